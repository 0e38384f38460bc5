/** A compactor process beside a replay: restarted when it was killed, and asked to end at the end. */
import { readLines } from '../formats/lines.ts';
import { type PeatProcess, startPeat } from './peat-process.ts';

export interface CompactorFacts {
  passes: number;
  root: number;
  /** Of the last pass. */
  lagMs: number;
}

export class ReplayCompactor {
  readonly #args: readonly string[];
  readonly #facts: CompactorFacts;
  #process: PeatProcess;
  #ending = false;
  readonly #done: Promise<void>;
  restarts = 0;

  constructor(options: {
    location: string;
    namespace: string;
    gatherMs: number | undefined;
    facts: CompactorFacts;
    onFailed: (error: Error) => void;
  }) {
    const { location, namespace, gatherMs } = options;
    this.#args = ['compactor', location, '-n', namespace, '--json', ...(gatherMs === undefined ? [] : ['--gather-ms', String(gatherMs)])];
    this.#facts = options.facts;
    this.#process = startPeat(this.#args);
    this.#done = this.#supervise();
    this.#done.catch(options.onFailed);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Asks it to end after its pass. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#process.kill('SIGTERM');
    await this.#done;
  }

  async #supervise(): Promise<void> {
    for (;;) {
      await this.#readEvents(this.#process);
      const how = await this.#process.ended;
      if (this.#ending) return;
      if (how !== 'SIGKILL') throw new Error(`a compactor ended by itself: ${how}`);
      this.restarts++;
      this.#process = startPeat(this.#args);
    }
  }

  async #readEvents(process: PeatProcess): Promise<void> {
    for await (const { text } of readLines(process.stdout as AsyncIterable<Buffer>, 'a compactor')) {
      let event: { event?: string; root?: number; lagMs?: number };
      try {
        event = JSON.parse(text) as typeof event;
      } catch {
        // Half a line of one that was killed.
        continue;
      }
      if (event.event !== 'pass') continue;
      this.#facts.passes++;
      this.#facts.root = Math.max(this.#facts.root, event.root ?? 0);
      this.#facts.lagMs = event.lagMs ?? 0;
    }
  }
}
