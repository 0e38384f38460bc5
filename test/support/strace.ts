/**
 * The built command line under strace, which makes one call of the kernel fail, take its time, or end the process. `when=` of strace counts
 * in each thread, so that the pool of threads has only one here; blocking calls are the main thread's.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { PEAT_MAIN, type Ran } from './run-peat.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** False where strace is missing, or may not trace. */
export const HAS_STRACE: boolean = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

export interface Traced extends Ran {
  readonly signal: NodeJS.Signals | null;
}

/** @param inject as strace has it, `fsync:error=EIO:when=2` */
export async function runTraced(args: readonly string[], inject: string): Promise<Traced> {
  const [call] = inject.split(':');
  return await run(args, ['-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${inject}`]);
}

/** How often the thread that calls each of these most often does so. */
export async function countCalls(args: readonly string[], calls: readonly string[]): Promise<{ ran: Traced; counts: Map<string, number> }> {
  const log = `${temporaryDirectory()}/trace`;
  const ran = await run(args, ['-o', log, '-e', `trace=${calls.join()}`]);
  const byThread = new Map<string, number>();
  for (const [, thread, call] of readFileSync(log, 'utf8').matchAll(/^(\d+) +(\w+)\(/gm)) {
    byThread.set(`${call} ${thread}`, (byThread.get(`${call} ${thread}`) ?? 0) + 1);
  }
  rmSync(log);
  const counts = new Map<string, number>(calls.map((call) => [call, 0]));
  for (const [key, count] of byThread) {
    const [call = ''] = key.split(' ');
    counts.set(call, Math.max(count, counts.get(call) ?? 0));
  }
  return { ran, counts };
}

async function run(args: readonly string[], strace: readonly string[]): Promise<Traced> {
  const child = spawn('strace', ['-f', '-qq', ...strace, process.execPath, PEAT_MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
  });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  return { stdout, stderr, code, signal };
}
