/**
 * A soak: all kinds of processes work on one store for a long time, and some are killed with -9 again and again. Each knows what it must
 * read; at the end everything that was acknowledged is counted, the store is verified, compacted, and must hold no more than it should.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeSystem } from '../../src/base/system.ts';
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { open, type Store } from '../../src/index.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { randomFrom } from '../random.ts';
import { Cast } from './cast.ts';
import { countFiles, measureTail } from './census.ts';
import { COUNTERS, counterKey, KILL_EVERY_MS, NAMESPACE, namesOf } from './plan.ts';
import { judgeHolds } from './roles/holder.ts';
import { fillAccounts, raisedBy } from './roles/updater.ts';
import { type Series, SeriesTable } from './series.ts';
import type { Report } from './telemetry.ts';

export interface SoakOptions {
  /** Where the store and the journals are made; it is empty. */
  readonly directory: string;
  readonly minutes: number;
  readonly seed: number;
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface SoakResult {
  readonly seconds: number;
  /** Of each kind of process. */
  readonly kills: Readonly<Record<string, number>>;
  /** Of each kind of operation, over the whole time. */
  readonly operations: readonly OperationFacts[];
  readonly series: readonly Series[];
  readonly problems: readonly string[];
  readonly counted: { readonly counters: number; readonly holds: number };
}

export interface OperationFacts {
  readonly kind: string;
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** No more than that many samples, and none more often than each second. */
const SAMPLES_MAX = 600;

/** Operations whose slowest 1 % is drawn. */
const CHARTED = ['append', 'get', 'scan', 'update', 'peat put', 'compaction lag'];

export async function soak(options: SoakOptions): Promise<SoakResult> {
  const store = join(options.directory, 'store');
  const journals = join(options.directory, 'journals');
  mkdirSync(journals, { recursive: true });
  await fillAccounts(store);

  const durationMs = options.minutes * 60_000;
  const sampleMs = Math.max(1000, durationMs / SAMPLES_MAX);
  const recorder = new Recorder(sampleMs);
  const cast = new Cast({ store, journals, seed: options.seed, reportMs: sampleMs, onReport: (report) => recorder.add(report) });
  const kills: Record<string, number> = {};
  const startMs = performance.now();
  const ending = new AbortController();
  const stop = AbortSignal.any([options.signal, ending.signal]);
  const pause = (ms: number): Promise<void> => delay(ms, undefined, { signal: stop }).catch(() => {});

  cast.start();
  const killing = (async () => {
    const random = randomFrom(options.seed);
    const [least, most] = KILL_EVERY_MS;
    for (;;) {
      await pause(least + (most - least) * random());
      if (stop.aborted) return;
      const kind = await cast.killOne(random);
      kills[kind] = (kills[kind] ?? 0) + 1;
    }
  })();
  const reader = await open(store, { readOnly: true });
  while (!stop.aborted && performance.now() - startMs < durationMs) {
    await pause(sampleMs);
    recorder.sample({ ...(await measureTail(reader.namespace(NAMESPACE))), ...countFiles(store), ...cast.memory() });
    options.onProgress(recorder.progress((performance.now() - startMs) / 1000));
  }
  ending.abort();
  await killing;
  await cast.end();
  await reader.close();
  const seconds = (performance.now() - startMs) / 1000;

  options.onProgress('judging');
  const judged = await judge(store, journals);
  return {
    seconds,
    kills,
    operations: recorder.operations(),
    series: recorder.series(),
    problems: [...recorder.problems, ...judged.problems],
    counted: judged.counted,
  };
}

/** Gathers the reports between two samples. */
class Recorder {
  readonly problems: string[] = [];
  readonly #sampleMs: number;
  readonly #table = new SeriesTable();
  readonly #all = new Map<string, Latencies>();
  #recent = new Map<string, Latencies>();

  constructor(sampleMs: number) {
    this.#sampleMs = sampleMs;
  }

  add({ latencies, problems }: Report): void {
    this.problems.push(...problems);
    for (const [kind, samples] of Object.entries(latencies)) {
      for (const map of [this.#all, this.#recent]) {
        const added = map.get(kind) ?? new Latencies();
        map.set(kind, added);
        for (const ms of samples) added.add(ms * 1000);
      }
    }
  }

  /** One more row: the slowest 1 % of each kind of operation since the last, and these figures. */
  sample(figures: Readonly<Record<string, number>>): void {
    const recent = this.#recent;
    this.#recent = new Map();
    const slowest = CHARTED.map((kind) => [`${kind}, p99 ms`, recent.get(kind)?.quantileMs(0.99)] as const);
    const perSecond = (recent.get('append')?.count ?? 0) / (this.#sampleMs / 1000);
    this.#table.add({ 'appends a second': perSecond, ...Object.fromEntries(slowest), ...figures, problems: this.problems.length });
  }

  progress(seconds: number): string {
    const done = [...this.#all.values()].reduce((sum, { count }) => sum + count, 0);
    return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}, ${done} operations, ${this.problems.length} problems`;
  }

  operations(): OperationFacts[] {
    return [...this.#all].map(([kind, latencies]) => {
      const { count, maxMs } = latencies;
      return { kind, count, p50Ms: latencies.quantileMs(0.5), p99Ms: latencies.quantileMs(0.99), maxMs };
    });
  }

  series(): Series[] {
    return this.#table.all();
  }
}

/** When everybody has ended: what was acknowledged is there, and nothing is left over. */
async function judge(directory: string, journals: string): Promise<Pick<SoakResult, 'problems' | 'counted'>> {
  const store = await open(directory, { autoCompact: false });
  try {
    const counters = await judgeCounters(store, journals);
    const holds = judgeHolds(journals, namesOf('holder'));
    const problems = [...counters.problems, ...holds.problems, ...(await judgeRest(store)), ...(await verify(directory))];
    return { problems, counted: { counters: counters.sum, holds: holds.holds } };
  } finally {
    await store.close();
  }
}

async function judgeCounters(store: Store, journals: string): Promise<{ sum: number; problems: string[] }> {
  const keys = Array.from({ length: COUNTERS }, (_, i) => counterKey(i));
  const counts = await store.namespace<number>(NAMESPACE).getMany(keys);
  const sum = counts.reduce<number>((total, count = 0) => total + count, 0);
  const raised = namesOf('updater').map((name) => raisedBy(journals, name));
  const done = raised.reduce((total, one) => total + one.done, 0);
  const unknown = raised.reduce((total, one) => total + one.unknown, 0);
  if (sum >= done && sum <= done + unknown) return { sum, problems: [] };
  return { sum, problems: [`the counters add up to ${sum}; ${done} updates are known to be done, and of ${unknown} nobody knows`] };
}

/** Nobody is alive who could hold a lock, and a compaction leaves no tail. */
async function judgeRest(store: Store): Promise<string[]> {
  const alive = (await store.listLocks()).filter(({ tickets }) => tickets.some(({ state }) => state === 'alive'));
  const problems = alive.map((lock) => `all have ended, and a lock counts as held: ${JSON.stringify(lock)}`);
  await store.compact({ namespace: NAMESPACE });
  const { tail } = await store.namespace(NAMESPACE).stats();
  if (tail.frames > 0 || tail.records > 0) problems.push(`after a compaction a tail is left: ${JSON.stringify(tail)}`);
  return problems;
}

async function verify(directory: string): Promise<string[]> {
  const medium = FileMedium.open(directory, { readOnly: true });
  const problems: string[] = [];
  await verifyStore(
    { medium, system: nodeSystem },
    {
      onFinding: ({ severity, what, file }) => {
        if (severity !== 'info') problems.push(`verify: ${severity}: ${file}: ${what}`);
      },
    },
  );
  await medium.close();
  return problems;
}
