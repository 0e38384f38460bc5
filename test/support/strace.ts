/**
 * The built command line under strace, which makes one call of the kernel fail, take its time, or stop or end the process. `when=` of strace
 * counts in each thread, so that the pool of threads has only one here; blocking calls are the main thread's. It is traced from where
 * everything is loaded: see `stop-when-loaded.mjs`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export { HAS_STRACE } from '../../bench/strace.ts';

import { PEAT_MAIN, type Ran } from './run-peat.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const PRELOAD = fileURLToPath(new URL('./stop-when-loaded.mjs', import.meta.url));
const POLL_MS = 2;

export interface Traced extends Ran {
  readonly signal: NodeJS.Signals | null;
}

/** @param inject as strace has it, `fsync:error=EIO:when=2` */
export async function runTraced(args: readonly string[], inject: string): Promise<Traced> {
  return await (await TracedProcess.start(args, injecting(inject))).ended;
}

function injecting(inject: string): string[] {
  const [call] = inject.split(':');
  return ['-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${inject}`];
}

/** The numbers of the calls, in the thread that makes them, that have to do with this directory, and which strace prints so. */
export async function callsIn(
  directory: string,
  { args, calls, printed = /./ }: { args: readonly string[]; calls: readonly string[]; printed?: RegExp },
): Promise<{ ran: Traced; numbers: Map<string, number[]> }> {
  const log = `${temporaryDirectory()}/trace`;
  const { ended } = await TracedProcess.start(args, ['-y', '-o', log, '-e', `trace=${calls.join()}`]);
  const ran = await ended;
  const made = new Map<string, number>();
  const numbers = new Map<string, Set<number>>(calls.map((call) => [call, new Set()]));
  for (const [line, thread, call = ''] of readFileSync(log, 'utf8').matchAll(/^(\d+) +(\w+)\(.*$/gm)) {
    const number = (made.get(`${thread} ${call}`) ?? 0) + 1;
    made.set(`${thread} ${call}`, number);
    if (line.includes(directory) && printed.test(line)) numbers.get(call)?.add(number);
  }
  rmSync(log);
  return { ran, numbers: new Map([...numbers].map(([call, set]) => [call, [...set].sort((a, b) => a - b)])) };
}

/** A run that is under way. */
export class TracedProcess {
  readonly ended: Promise<Traced>;
  readonly #process: ChildProcess;
  #isOver = false;

  private constructor(child: ChildProcess, ended: Promise<Traced>) {
    this.#process = child;
    this.ended = ended.finally(() => {
      this.#isOver = true;
    });
  }

  /** Starts the command line, and strace when all of it is loaded. */
  static async start(args: readonly string[], strace: readonly string[]): Promise<TracedProcess> {
    const child = spawn(process.execPath, ['--import', PRELOAD, PEAT_MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    });
    const exit = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const ended = Promise.all([text(child.stdout), text(child.stderr), exit]).then(
      ([stdout, stderr, [code, signal]]): Traced => ({ stdout, stderr, code, signal }),
    );
    const started = new TracedProcess(child, ended);
    await started.#reaches(() => started.isStopped);
    const tracer = spawn('strace', ['-f', '-qq', ...strace, '-p', String(child.pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
    const complaint = text(tracer.stderr);
    const traced = once(tracer, 'close');
    await started.#reaches(() => started.#threads().every((thread) => thread['TracerPid'] !== '0') || tracer.exitCode !== null);
    if (tracer.exitCode !== null) throw new Error(`strace ended: ${await complaint}`);
    child.kill('SIGCONT');
    return new TracedProcess(
      child,
      ended.then(async (ran) => {
        await traced;
        return ran;
      }),
    );
  }

  /** Starts it so that it stops itself at this call, as if by SIGSTOP, once the call is made. */
  static async startStopping(args: readonly string[], { call, when }: { call: string; when: number }): Promise<TracedProcess> {
    return await TracedProcess.start(args, injecting(`${call}:signal=SIGSTOP:when=${when}`));
  }

  /** Resolves when it has stopped, or ended. Says whether it has stopped. */
  async stopped(): Promise<boolean> {
    await this.#reaches(() => this.isStopped);
    return !this.#isOver;
  }

  /** Resolves when it is on its way again. It may stop once more, where its other thread makes its own call of that number. */
  async goOn(): Promise<void> {
    this.#process.kill('SIGCONT');
    await this.#reaches(() => !this.isStopped);
  }

  get isStopped(): boolean {
    const threads = this.#threads();
    // Under a tracer a stopped thread is a traced one.
    return threads.length > 0 && threads.every(({ State = '' }) => /^[Tt]/.test(State));
  }

  async #reaches(isThere: () => boolean): Promise<void> {
    while (!this.#isOver && !isThere()) await delay(POLL_MS);
  }

  /** What /proc says of each of its threads. */
  #threads(): Readonly<Record<string, string>>[] {
    try {
      return readdirSync(`/proc/${this.#process.pid}/task`).map((thread) => {
        const status = readFileSync(`/proc/${this.#process.pid}/task/${thread}/status`, 'utf8');
        return Object.fromEntries([...status.matchAll(/^(State|TracerPid):\t(.*)$/gm)].map(([, name, value]) => [name, value]));
      });
    } catch {
      // It ended between two of these.
      return [];
    }
  }
}
