/**
 * A replay: a history through several writer processes into one namespace, compactor processes beside them, then the comparison.
 *
 * A path always goes to the same writer, and a writer appends in order, so the last commit of a path wins as it does in the history. A commit whose
 * paths belong to several writers is a batch in each.
 */
import { murmur3 } from '../../base/hash.ts';
import { toKey } from '../../base/key.ts';
import type { HistoryOperation, HistorySource, Oracle } from '../history/history.ts';
import type { Output } from '../output.ts';
import { Latencies } from './latencies.ts';
import { startPeat } from './peat-process.ts';
import { describe, type ReadBack, readBack } from './read-back.ts';
import { type CompactorFacts, ReplayCompactor } from './replay-compactor.ts';
import { ReplayWriter } from './replay-writer.ts';
import { type RootFacts, readRootFacts } from './root-facts.ts';

export interface ReplayOptions {
  readonly location: string;
  readonly namespace: string;
  readonly writers: number;
  readonly pipeline: number;
  readonly compactors: number;
  readonly durability: 'sync' | 'os';
  readonly gatherMs: number | undefined;
  readonly killCompactorEveryMs: number | undefined;
  readonly killWriterEveryMs: number | undefined;
  readonly output: Output;
  readonly signal: AbortSignal;
}

export interface ReplayReport {
  readonly commits: number;
  readonly deltas: number;
  readonly batches: number;
  readonly leftOut: number;
  readonly durationMs: number;
  readonly latency: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
  readonly compactorRestarts: number;
  readonly writerRestarts: number;
  readonly roots: RootFacts;
  readonly oracle: Oracle;
  /** Read while compactors ran, and after everything was compacted. */
  readonly reads: readonly { readonly when: 'beside' | 'compacted'; readonly read: ReadBack }[];
}

const HASH_SEED = 0x70656174;

export class Replay {
  readonly #source: HistorySource;
  readonly #options: ReplayOptions;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #latencies = new Latencies();
  readonly #compactorFacts: CompactorFacts = { passes: 0, root: 0, lagMs: 0 };
  readonly #expected = new Map<string, string>();
  #writers: ReplayWriter[] = [];
  #compactors: ReplayCompactor[] = [];
  #commits = 0;
  #deltas = 0;
  #batches = 0;
  #acknowledged = 0;

  constructor(source: HistorySource, options: ReplayOptions) {
    this.#source = source;
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#abort.signal]);
  }

  /** @throws what went wrong first: of a process, of the history, or the signal's reason. Everything it started has ended then. */
  async run(): Promise<ReplayReport> {
    const { compactors, writers, killCompactorEveryMs, killWriterEveryMs } = this.#options;
    this.#compactors = Array.from({ length: compactors }, () => this.#startCompactor());
    this.#writers = Array.from({ length: writers }, () => this.#startWriter());
    const timers = [
      inTurns(killCompactorEveryMs, (turn) => this.#compactors[turn % compactors]?.kill()),
      inTurns(killWriterEveryMs, (turn) => this.#writers[turn % writers]?.kill()),
    ];
    try {
      const startedAtMs = performance.now();
      await this.#append(startedAtMs);
      const durationMs = performance.now() - startedAtMs;
      clearInterval(timers[1]);
      const oracle = await this.#source.oracle(this.#signal);
      const beside = await readBack(this.#options, this.#expected);
      clearInterval(timers[0]);
      await Promise.all(this.#compactors.map((compactor) => compactor.end()));
      await this.#compactAll();
      const compacted = await readBack(this.#options, this.#expected);
      this.#signal.throwIfAborted();
      return await this.#report({
        durationMs,
        oracle,
        reads: [
          { when: 'beside', read: beside },
          { when: 'compacted', read: compacted },
        ],
      });
    } catch (error) {
      throw this.#signal.aborted ? this.#signal.reason : error;
    } finally {
      for (const timer of timers) clearInterval(timer);
      await Promise.allSettled([...this.#writers.map((writer) => writer.end()), ...this.#compactors.map((compactor) => compactor.end())]);
    }
  }

  #startCompactor(): ReplayCompactor {
    const { location, namespace, gatherMs } = this.#options;
    return new ReplayCompactor({
      location,
      namespace,
      gatherMs,
      facts: this.#compactorFacts,
      onFailed: (error) => this.#abort.abort(error),
    });
  }

  #startWriter(): ReplayWriter {
    const { location, namespace, durability, pipeline } = this.#options;
    return new ReplayWriter({
      location,
      namespace,
      durability,
      pipeline,
      latencies: this.#latencies,
      onAcknowledged: () => {
        this.#acknowledged++;
      },
      onFailed: (error) => this.#abort.abort(error),
    });
  }

  async #append(startedAtMs: number): Promise<void> {
    for await (const commit of this.#source.commits(this.#signal)) {
      this.#signal.throwIfAborted();
      this.#commits++;
      for (const operation of commit.operations) this.#expect(operation);
      for (const [writer, operations] of this.#partition(commit.operations)) {
        this.#batches++;
        await this.#writers[writer]?.send({ ...commit, operations });
      }
      this.#options.output.progress(() => this.#progress(startedAtMs));
    }
    await Promise.all(this.#writers.map((writer) => writer.end()));
  }

  #expect(operation: HistoryOperation): void {
    this.#deltas++;
    if (operation[0] === 'del') this.#expected.delete(operation[1]);
    else this.#expected.set(operation[1], describe({ size: operation[2], blob: operation[3] }));
  }

  #partition(operations: readonly HistoryOperation[]): Map<number, HistoryOperation[]> {
    const parts = new Map<number, HistoryOperation[]>();
    for (const operation of operations) {
      const writer = murmur3(toKey(operation[1]), HASH_SEED) % this.#options.writers;
      const part = parts.get(writer);
      if (part === undefined) parts.set(writer, [operation]);
      else part.push(operation);
    }
    return parts;
  }

  #progress(startedAtMs: number): string {
    const rate = Math.round((this.#deltas / (performance.now() - startedAtMs)) * 1000);
    const { root, lagMs } = this.#compactorFacts;
    const lag = this.#batches - this.#acknowledged;
    return `${this.#commits} commits, ${this.#deltas} deltas, ${rate} deltas/s, ${lag} batches under way, root ${root}, lag ${lagMs} ms`;
  }

  /** Whatever is left in the log, so that the second reading sees tables. */
  async #compactAll(): Promise<void> {
    const process = startPeat(['compact', this.#options.location, '-n', this.#options.namespace]);
    process.stdout.resume();
    const how = await process.ended;
    if (how !== 0) throw new Error(`peat compact ended with ${how}`);
  }

  async #report(facts: Pick<ReplayReport, 'durationMs' | 'oracle' | 'reads'>): Promise<ReplayReport> {
    return {
      ...facts,
      commits: this.#commits,
      deltas: this.#deltas,
      batches: this.#batches,
      leftOut: this.#source.leftOut,
      latency: { p50Ms: this.#latencies.quantileMs(0.5), p99Ms: this.#latencies.quantileMs(0.99), maxMs: this.#latencies.maxMs },
      compactorRestarts: this.#compactors.reduce((sum, { restarts }) => sum + restarts, 0),
      writerRestarts: this.#writers.reduce((sum, { restarts }) => sum + restarts, 0),
      roots: await readRootFacts(this.#options.location, this.#options.namespace),
    };
  }
}

function inTurns(everyMs: number | undefined, act: (turn: number) => void): NodeJS.Timeout | undefined {
  let turn = 0;
  return everyMs === undefined ? undefined : setInterval(() => act(turn++), everyMs);
}
