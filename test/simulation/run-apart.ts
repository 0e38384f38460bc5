/** Runs the simulation in a process of its own, as `npm run simulate` does. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { SimulationReport } from './main.ts';

const PROGRAM = fileURLToPath(new URL('run.mjs', import.meta.url));

export async function simulateApart(args: readonly string[]): Promise<{ report: SimulationReport; status: number | null; output: string }> {
  const child = spawn(process.execPath, [PROGRAM, '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString();
  });
  const [status] = (await once(child, 'close')) as [number | null];
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`the simulation ended with ${status}: ${output}${errors}`);
  return { report: JSON.parse(last) as SimulationReport, status, output };
}
