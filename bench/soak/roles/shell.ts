/** Starts the command line again and again, as a shell script would, and checks what it answers. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Actor } from '../actor.ts';
import { NAMESPACE } from '../plan.ts';
import { PEAT } from '../program.ts';

const EVERY_MS = 300;

export async function runCommands({ assignment, telemetry, stop, pause }: Actor): Promise<void> {
  const run = async (command: string, ...rest: string[]): Promise<string> => {
    const args = [PEAT, command, assignment.store, '-n', NAMESPACE, ...rest];
    return (await telemetry.time(`peat ${command}`, () => promisify(execFile)(process.execPath, args))).stdout;
  };
  let n = 0;
  for (; !stop.aborted; n++) {
    const key = `shell/${n}`;
    await run('put', key, `{"n":${n}}`);
    const read = JSON.parse(await run('get', key)) as { n: number };
    telemetry.expect(read.n === n, () => `peat get ${key} answers ${JSON.stringify(read)}`);
    await run('update', 'shell-counter', '--add', '1');
    await run('delete', `shell/${n - 1}`);
    const listed = (await run('list', '--prefix', 'shell/', '--json')).trim().split('\n');
    telemetry.expect(listed.length === 1, () => `peat list finds ${listed.length} keys, and there is one: ${listed.join(', ')}`);
    await pause(EVERY_MS);
  }
  if (n === 0) return;
  const counted = await run('get', 'shell-counter');
  telemetry.expect(Number(counted) === n, () => `peat update raised a counter ${n} times, and it is ${counted.trim()}`);
}
