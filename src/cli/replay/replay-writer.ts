/**
 * One writer of a replay as the replay sees it: a process that takes batches in order and acknowledges them. What is not acknowledged is kept; when the
 * process was killed, another one takes its place, and begins with the oldest of these. A batch that was appended but not acknowledged is then appended
 * twice, which changes nothing: only this writer writes its paths, and it repeats all that came after.
 */
import { readLines } from '../formats/lines.ts';
import type { HistoryCommit } from '../history/history.ts';
import type { Latencies } from './latencies.ts';
import { type PeatProcess, startPeat } from './peat-process.ts';

export interface ReplayWriterOptions {
  readonly location: string;
  readonly namespace: string;
  readonly durability: 'sync' | 'os';
  /** Batches under way at a time. */
  readonly pipeline: number;
  readonly latencies: Latencies;
  readonly onAcknowledged: () => void;
  readonly onFailed: (error: Error) => void;
}

export class ReplayWriter {
  readonly #options: ReplayWriterOptions;
  #process: PeatProcess;
  #unacknowledged: { n: number; line: string }[] = [];
  #sent = 0;
  #ending = false;
  #failed: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #done: Promise<void>;
  restarts = 0;

  constructor(options: ReplayWriterOptions) {
    this.#options = options;
    this.#process = this.#start();
    this.#done = this.#supervise();
    this.#done.catch(() => undefined);
  }

  /** Resolves when it is taken in; waits while too much is under way. One call at a time. */
  async send(commit: HistoryCommit): Promise<void> {
    while (this.#unacknowledged.length >= 2 * this.#options.pipeline && this.#failed === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failed !== undefined) throw this.#failed;
    const n = this.#sent++;
    const line = `${JSON.stringify([n, commit])}\n`;
    this.#unacknowledged.push({ n, line });
    this.#process.stdin.write(line);
  }

  /** Everything acknowledged, and the process ended well. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#process.stdin.end();
    await this.#done;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  #start(): PeatProcess {
    const { location, namespace, durability, pipeline } = this.#options;
    const process = startPeat(['replay-writer', location, '-n', namespace, '--durability', durability, '--pipeline', String(pipeline)]);
    for (const { line } of this.#unacknowledged) process.stdin.write(line);
    if (this.#ending) process.stdin.end();
    return process;
  }

  async #supervise(): Promise<void> {
    try {
      for (;;) {
        const torn = await this.#readAcknowledgements(this.#process).then(
          () => undefined,
          (error: unknown) => error,
        );
        const how = await this.#process.ended;
        if (how === 0 && this.#ending && this.#unacknowledged.length === 0) return;
        // A killed process may leave half a line.
        if (how !== 'SIGKILL') throw new Error(`a writer ended early: ${how}${torn === undefined ? '' : `, ${String(torn)}`}`);
        this.restarts++;
        this.#process = this.#start();
      }
    } catch (error) {
      this.#failed = error as Error;
      this.#wake?.();
      this.#options.onFailed(this.#failed);
      throw error;
    }
  }

  async #readAcknowledgements(process: PeatProcess): Promise<void> {
    for await (const { text } of readLines(process.stdout as AsyncIterable<Buffer>, 'a writer')) {
      const [n, us] = JSON.parse(text) as [number, number];
      const oldest = this.#unacknowledged.shift();
      if (oldest?.n !== n) throw new Error(`a writer acknowledged batch ${n} where ${oldest?.n} was next`);
      this.#options.latencies.add(us);
      this.#options.onAcknowledged();
      this.#wake?.();
    }
  }
}
