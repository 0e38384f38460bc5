/** A child process of a test that speaks in lines, and may be killed at any time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child {
  readonly lines: string[] = [];
  /** Resolves when it has ended and everything that it said was read. */
  readonly exit: Promise<Exit>;
  readonly #process: ChildProcess;
  #onLine: (() => void)[] = [];
  #isOver = false;

  /** Starts `node <script> <options as JSON>`; the test that is running kills it at its end, if it still lives. */
  constructor(script: string, options: unknown, env: Readonly<Record<string, string>> = {}) {
    const child = spawn(process.execPath, ['--no-warnings', script, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    this.#process = child;
    const ended = once(child, 'close') as Promise<[Exit['code'], Exit['signal']]>;
    const reader = createInterface({ input: child.stdout });
    const read = once(reader, 'close');
    reader.on('line', (line) => {
      this.lines.push(line);
      this.#wake();
    });
    this.exit = Promise.all([ended, read]).then(([[code, signal]]) => ({ code, signal }));
    void this.exit.then(() => {
      this.#isOver = true;
      this.#wake();
    });
    onTestFinished(() => this.kill());
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (this.isAlive) this.#process.kill(signal);
  }

  /** Waits for a line that starts so; undefined if it ends without one. */
  async line(prefix: string): Promise<string | undefined> {
    for (let at = 0; ; ) {
      for (; at < this.lines.length; at++) if (this.lines[at]?.startsWith(prefix)) return this.lines[at];
      if (this.#isOver) return undefined;
      await new Promise<void>((resolve) => {
        this.#onLine.push(resolve);
      });
    }
  }

  /** The numbers of all lines `<word> <number>` so far; a last line that a kill cut off does not count. */
  numbers(word: string): number[] {
    return this.lines.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.slice(word.length + 1)));
  }

  /** What follows `<word> ` in its last such line, parsed. */
  json(word: string): unknown {
    const line = this.lines.findLast((one) => one.startsWith(`${word} `));
    return line === undefined ? undefined : JSON.parse(line.slice(word.length + 1));
  }

  #wake(): void {
    for (const wake of this.#onLine.splice(0)) wake();
  }
}

/** The script beside the tests that plays all processes of the crash tests. */
export const CRASH_WORKER: string = fileURLToPath(new URL('../crash/worker.mjs', import.meta.url));

/** The seed of a random test: from the environment, or a new one. It is printed, so that a failure can be repeated. */
export function testSeed(): number {
  const seed = Number(process.env['PEAT_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`PEAT_SEED=${seed}`);
  return seed;
}
