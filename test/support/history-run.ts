/** A run of real processes on one store, beside a compactor, of which some are killed or stopped; and what the checks say of its history. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { compareStamps } from '../../src/base/stamp.ts';
import { checkedJsonTrailer, decodeCheckedJson } from '../../src/format/checked-json.ts';
import { STORE_FILE } from '../../src/format/layout.ts';
import { DEFAULT_CONSTANTS, type StoreConstants } from '../../src/format/store-file.ts';
import { open } from '../../src/index.ts';
import { Child } from './child.ts';
import { describeOperation, type Operation, readHistories } from './history.ts';
import { blindWriteProblems, parseStamp, STAMP_SKEW_NS } from './history-blind.ts';
import { type Blow, lockProblems } from './history-locks.ts';
import { sessionProblems } from './history-sessions.ts';
import { setProblems } from './history-sets.ts';
import { snapshotProblems } from './history-snapshots.ts';
import { versionsOf } from './history-versions.ts';
import { linearizabilityProblems } from './linearizable-registers.ts';
import { LogArchive, type LoggedBatch } from './log-archive.ts';
import { unpad } from './padded.mjs';
import { temporaryDirectory } from './temporary-directory.ts';

const WORKER = fileURLToPath(new URL('../process/histories.worker.mjs', import.meta.url));

const HANG_MS = 120_000;
const LEASE_MS = 2000;

/**
 * What is replaced is deleted soon, so that readers, snapshots and watches meet that in a short run. It still has to be longer than a
 * process may be stopped. Drains stay as rare as they are: that none begins within a minute is what the fast paths rest on.
 */
const CONSTANTS: StoreConstants = { ...DEFAULT_CONSTANTS, retentionMs: 6000, rootsKept: 4, segmentGraceMs: 1000 };

export const KEYS: readonly string[] = [
  ...Array.from({ length: 14 }, (_, i) => `d${i}`),
  ...Array.from({ length: 3 }, (_, i) => `m${i}`),
  ...Array.from({ length: 4 }, (_, i) => `c${i}`),
];
const NAMES = ['a', 'b', 'c'];

export interface RunOptions {
  readonly segments: 'appended' | 'framed';
  readonly clients: number;
  readonly forMs: number;
  /** How often one of the processes is killed or stopped; never without it. */
  readonly blowEveryMs?: number;
  /** A fault that all clients play (`planted.mjs`). */
  readonly plant?: string;
}

export interface History {
  readonly operations: readonly Operation[];
  readonly log: readonly LoggedBatch[];
  readonly blows: readonly Blow[];
}

interface Lane {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  lives: number;
  child: Child;
}

/** Runs processes as asked for, ends them in order, reads everything back, and tells what was noted. */
export async function runHistory(random: () => number, options: RunOptions): Promise<History> {
  const directory = temporaryDirectory();
  const run = new Run(random, { directory, options });
  await createStore(run.store, options.segments);
  const archive = new LogArchive(run.store, 'mixed', join(directory, 'archive'));
  await run.start();
  await run.pass(options.forMs);
  await run.finish();
  const log = await archive.read((value) => unpad(String(value)));
  return { operations: run.operations(), log, blows: run.blows };
}

/** The constants of a store are written when it is created; these can be told by nobody else. */
async function createStore(path: string, segments: RunOptions['segments']): Promise<void> {
  const store = await open(path, { segments });
  await store.createNamespace('mixed');
  await store.close();
  const file = join(path, STORE_FILE);
  const facts = decodeCheckedJson(readFileSync(file), STORE_FILE) as Record<string, unknown>;
  const json = Buffer.from(JSON.stringify({ ...facts, constants: CONSTANTS }));
  writeFileSync(file, json.toString('utf8') + checkedJsonTrailer(json));
}

class Run {
  readonly store: string;
  readonly blows: Blow[] = [];
  readonly #histories: string;
  readonly #random: () => number;
  readonly #options: RunOptions;
  readonly #lanes: Lane[] = [];
  #compactor: Child | undefined;

  constructor(random: () => number, { directory, options }: { directory: string; options: RunOptions }) {
    this.store = join(directory, 'store');
    this.#histories = join(directory, 'histories');
    this.#random = random;
    this.#options = options;
    mkdirSync(this.#histories);
    mkdirSync(join(directory, 'archive'));
  }

  /** Resolves when all of them work. */
  async start(): Promise<void> {
    const { plant, clients } = this.#options;
    this.#compactor = this.#spawn({ role: 'compact' });
    for (let n = 0; n < clients; n++) {
      const options = { role: 'mix', watch: n % 2 === 0, ...(plant === undefined ? {} : { plant }) };
      this.#lanes.push({ name: `p${n}`, options, lives: 0, child: this.#spawnClient(`p${n}`, options) });
    }
    await Promise.all(this.#lanes.map(({ child, name }) => this.#inTime(child.line('ready'), name)));
  }

  /** Lets time pass, and strikes meanwhile. */
  async pass(forMs: number): Promise<void> {
    const { blowEveryMs = forMs } = this.#options;
    const untilMs = performance.now() + forMs;
    for (let leftMs = forMs; leftMs > 0; leftMs = untilMs - performance.now()) {
      await delay(Math.min(leftMs, blowEveryMs));
      if (this.#options.blowEveryMs !== undefined) await this.#strike();
    }
  }

  /** Lets all end by themselves: first the clients, then those of them that watch, then the compactor. */
  async finish(): Promise<void> {
    for (const { child, name } of this.#lanes) {
      // Before it listens for that, it would die of it.
      await this.#inTime(child.line('ready'), name);
      child.kill('SIGTERM');
    }
    for (const { child, name } of this.#lanes)
      if ((await this.#inTime(child.line('idle'), name)) === undefined) await this.#ended(child, name);
    await this.#mark();
    for (const { child, name } of this.#lanes) await this.#ended(child, name);
    await this.#inTime((this.#compactor as Child).line('ready'), 'the compactor');
    this.#compactor?.kill('SIGTERM');
    await this.#ended(this.#compactor as Child, 'the compactor');
    const reader = this.#spawnClient('end', { role: 'look' });
    await this.#ended(reader, 'the reader');
    expect(reader.numbers('tail')).toEqual([0]);
  }

  /** Ends the watches: with a second mark, when all have told of a first one. A watch may have begun after that, so there may be several. */
  async #mark(): Promise<void> {
    const watching = this.#lanes.filter(({ options }) => options['watch'] === true).map(({ child }) => child);
    const told = Promise.all(watching.map((child) => child.line('marked')));
    const giveUpAtMs = performance.now() + HANG_MS;
    for (let n = 0, isTold = false; !isTold; n++) {
      if (performance.now() > giveUpAtMs) throw new Error('a watch does not tell of a mark');
      await this.#ended(this.#spawnClient(clientOf('mark1', n), { role: 'mark' }), 'mark1');
      isTold = await Promise.race([told.then(() => true), delay(300, false)]);
    }
    await this.#ended(this.#spawnClient('mark2', { role: 'mark' }), 'mark2');
  }

  operations(): Operation[] {
    return readHistories(this.#histories);
  }

  #spawn(options: Record<string, unknown>): Child {
    return new Child(WORKER, { store: this.store, ...options });
  }

  #spawnClient(client: string, options: Record<string, unknown>): Child {
    const seed = Math.floor(this.#random() * 2 ** 31);
    return this.#spawn({ client, histories: this.#histories, seed, keys: KEYS, names: NAMES, ...options });
  }

  async #inTime<T>(what: Promise<T>, name: string): Promise<T> {
    const stop = new AbortController();
    const late = delay(HANG_MS, 'late' as const, { signal: stop.signal });
    const done = await Promise.race([what, late]);
    stop.abort();
    await late.catch(() => {});
    if (done === 'late') {
      const open = this.operations().filter(({ client, endedAt }) => client.startsWith(name) && endedAt === Number.POSITIVE_INFINITY);
      throw new Error(`${name} does not come to an end; at ${now()} under way:\n${open.map(describeOperation).join('\n')}`);
    }
    return done as T;
  }

  async #ended(child: Child, name: string): Promise<void> {
    expect(await this.#inTime(child.exit, name), `${name}: ${child.lines.at(-1)}`).toEqual({ code: 0, signal: null });
  }

  /** Kills a client or the compactor and starts another one in its place, or stops a client for longer than its lease. */
  async #strike(): Promise<void> {
    const kind = this.#random();
    const lane = this.#lanes[Math.floor(this.#random() * this.#lanes.length)] as Lane;
    if (kind < 0.25) {
      this.#compactor?.kill();
      await this.#compactor?.exit;
      this.#compactor = this.#spawn({ role: 'compact' });
    } else if (kind < 0.35) {
      await this.#stop(lane);
    } else {
      await this.#replace(lane);
    }
  }

  async #stop({ child, name, lives }: Lane): Promise<void> {
    const from = now();
    child.kill('SIGSTOP');
    await delay(LEASE_MS + 600);
    this.blows.push({ client: clientOf(name, lives), from, until: now() });
    child.kill('SIGCONT');
  }

  async #replace(lane: Lane): Promise<void> {
    this.blows.push({ client: clientOf(lane.name, lane.lives), from: now(), until: Number.POSITIVE_INFINITY });
    lane.child.kill();
    expect(await lane.child.exit).toEqual({ code: null, signal: 'SIGKILL' });
    lane.lives++;
    lane.child = this.#spawnClient(clientOf(lane.name, lane.lives), lane.options);
  }
}

const now = (): number => Number(process.hrtime.bigint());

function clientOf(name: string, lives: number): string {
  return lives === 0 ? name : `${name}.${lives}`;
}

/** What each of the checks says of a history. */
export function problemsOf({ operations, log, blows }: History): Readonly<Record<string, readonly string[]>> {
  const { versions, problems } = versionsOf(operations, log);
  // What a snapshot shows, or a watch tells, is not what is there at that time.
  const direct = operations.filter(({ details, what }) => details?.view === undefined && what !== 'event');
  const compare = (a: string, b: string): number => compareStamps(parseStamp(a), parseStamp(b));
  const blind = { skew: STAMP_SKEW_NS, compareStamps: compare };
  return {
    sets: [...problems, ...setProblems(operations, versions)],
    sessions: sessionProblems(operations, versions),
    snapshots: snapshotProblems(operations, versions),
    updates: [
      ...linearizabilityProblems(countersOnly(direct)),
      ...KEYS.filter((key) => key.startsWith('m')).flatMap((key) => blindWriteProblems(direct, key, blind)),
    ],
    locks: lockProblems(operations, { leaseMs: LEASE_MS, blows }),
  };
}

/** What was done to keys that are only updated. A scan shows each key at a moment of its own. */
function countersOnly(operations: readonly Operation[]): Operation[] {
  const own = (values: Operation['reads']): Operation['reads'] =>
    Object.fromEntries(Object.entries(values).filter(([key]) => key.startsWith('c')));
  return operations.flatMap((one): Operation[] => {
    const [reads, writes] = [own(one.reads), own(one.writes)];
    if (Object.keys(reads).length === 0 && Object.keys(writes).length === 0) return [];
    if (one.what !== 'scan' && one.what !== 'final') return [{ ...one, reads, writes }];
    return Object.entries(reads).map(([key, value]) => ({ ...one, reads: { [key]: value }, writes: {} }));
  });
}
