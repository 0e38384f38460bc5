/** Runs the built command line, as users do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export const PEAT_MAIN: string = fileURLToPath(new URL('../../dist/lib/peat.js', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runPeat(args: readonly string[], options: { stdin?: string | Buffer; cwd?: string } = {}): Promise<Ran> {
  const child = spawn(process.execPath, [PEAT_MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'], cwd: options.cwd });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
