/**
 * Random histories of three writers and compaction passes, with the power cut at every few calls of the medium: what was acknowledged
 * with durability `sync` survives, batches are whole or not there, and nothing deleted comes back. With durability `os` a cut may
 * take recent writes, but the store opens, and nothing in it is called damaged for sure.
 */
import { describe, expect, it } from 'vitest';
import { compactOnce } from '../../compactor/pass.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { DEFAULT_CONSTANTS, type StoreConstants } from '../../src/format/store-file.ts';
import { type OpenOptions, open, type Store } from '../../src/index.ts';
import { testSeed } from '../support/child.ts';
import { PowerCutStorage } from '../support/power-cut-storage.ts';
import { randomFrom } from '../support/random.mjs';
import { Turns } from '../support/turns.ts';
import { type VirtualSystem, VirtualTime } from '../support/virtual-system.ts';
import { batchOf, judge, summarize, type Told } from './history.mjs';

const WRITERS = 3;
const BATCHES = 15;
const LIVES = 5;
const RUNS = 40;
/** The first cut of run i comes at about this many calls more than that of the run before. */
const CALLS_A_RUN = 7;
/** Of passes between two lives. */
const MINUTE_MS = 61_000;

/** Drains and deletions happen within a history; a drain is still older than any segment that is written to. */
const CONSTANTS: StoreConstants = {
  ...DEFAULT_CONSTANTS,
  retentionMs: 400_000,
  drainAgeMs: 400_000,
  drainAgeRoots: 4,
  rootsKept: 4,
};

const LAYOUT = namespaceLayout('crash');

interface Facts {
  writer: string;
  lane: string;
  acked: number[];
  called: number;
}

class History {
  readonly told: Facts[] = [];
  readonly problems: string[] = [];
  readonly #storage: PowerCutStorage;
  readonly #system: VirtualSystem;
  readonly #random: () => number;
  readonly #open: OpenOptions;

  constructor(options: { seed: number; canAppend: boolean; durability: 'sync' | 'os' }) {
    this.#random = randomFrom(options.seed);
    this.#system = new VirtualTime().system({ seed: options.seed });
    this.#storage = new PowerCutStorage({ system: this.#system, canAppend: options.canAppend, random: this.#random });
    this.#open = { system: this.#system, durability: options.durability, autoCompact: false, segmentBytesMax: 4096 };
  }

  /** From one power-on to the next power cut. */
  async live(life: number, calls: number): Promise<void> {
    const turns = new Turns(this.#system, { stepMsMax: 4000, freezeChance: 0.005, frozenTurnsMax: 60 });
    const before = this.#storage.cuts;
    this.#storage.cutAfter(calls);
    const hasPower = (): boolean => this.#storage.cuts === before;
    const fail = (who: string, error: unknown): void => {
      if (hasPower()) this.problems.push(`${who} failed while there was power: ${String(error)}`);
    };
    let writing = WRITERS;
    const writers = Array.from({ length: WRITERS }, async (_, i) => {
      try {
        await this.#write({ writer: `w${i}-${life}`, lane: `w${i}` }, () => turns.take(`writer ${i}`));
      } catch (error) {
        fail(`writer ${i}`, error);
      }
      writing--;
    });
    const compactors = Array.from({ length: 1 + (life % 2) }, async (_, i) => {
      const gate = (): Promise<void> => turns.take(`compactor ${i}`);
      while (writing > 0 && hasPower()) await this.#pass(gate).catch((error: unknown) => fail(`compactor ${i}`, error));
    });
    await turns.run([...writers, ...compactors]);
    if (hasPower()) this.#storage.powerCut();
    await this.#system.advance(1000);
  }

  async #write({ writer, lane }: { writer: string; lane: string }, gate: () => Promise<void>): Promise<void> {
    const facts: Facts = { writer, lane, acked: [], called: -1 };
    this.told.push(facts);
    const store = await open(this.#storage.handle(gate), this.#open);
    const entries = store.namespace('crash');
    let next = 0;
    const row = async (): Promise<void> => {
      while (next < BATCHES) {
        const n = next++;
        facts.called = n;
        const size = 1 + Math.floor(this.#random() * 4);
        await entries.batch(batchOf({ writer, lane, n, size, bytes: 10 + Math.floor(this.#random() ** 3 * 600) }));
        facts.acked.push(n);
      }
    };
    await Promise.all([row(), row()]);
    await store.close();
  }

  async #pass(gate: () => Promise<void>): Promise<string[]> {
    const log = (): void => {};
    const context = { medium: this.#storage.handle(gate), system: this.#system, layout: LAYOUT, constants: CONSTANTS, log };
    if ((await context.medium.list(LAYOUT.root)).length === 0) return [];
    const { warnings } = await compactOnce(context, { bytesMax: this.#random() < 0.5 ? 2000 : 1_000_000 });
    this.problems.push(...warnings.filter((warning) => !this.#mayBeTorn(warning)));
    return [...warnings];
  }

  /** A cut that takes the middle of a segment and leaves its seal looks like damage, and the warning says so. */
  #mayBeTorn(warning: string): boolean {
    return (
      this.#open.durability === 'os' && warning.endsWith("before its seal are bad, from a power cut in durability 'os' or from damage")
    );
  }

  /** What a process finds that comes after a power cut; then compacts, and finds the same. */
  async judge(): Promise<string[]> {
    const told: Told[] = this.#open.durability === 'os' ? this.told.map((facts) => ({ ...facts, acked: [] })) : this.told;
    const problems = judge(await this.#read(), told);
    for (let i = 0; i < 3; i++) {
      await this.#system.advance(MINUTE_MS);
      await this.#pass(async () => {});
    }
    return [...this.problems, ...problems, ...judge(await this.#read(), told).map((problem) => `compacted: ${problem}`)];
  }

  async #read(): Promise<Awaited<ReturnType<typeof summarize>>> {
    const store: Store = await open(this.#storage.handle(), this.#open);
    const summary = await summarize(store.namespace('crash').scan());
    await store.close();
    return summary;
  }
}

async function run(options: { seed: number; canAppend: boolean; durability: 'sync' | 'os'; firstCut: number }): Promise<void> {
  const { seed, firstCut } = options;
  const random = randomFrom(seed ^ 0x5eed);
  const history = new History(options);
  for (let life = 0; life < LIVES; life++) {
    const calls = life === 0 ? firstCut : Math.floor(random() * 400);
    await history.live(life, calls);
    expect(await history.judge(), `seed ${seed}, life ${life}, cut at call ${calls}`).toEqual([]);
  }
}

describe.each([
  { canAppend: true, durability: 'sync' },
  { canAppend: false, durability: 'sync' },
  { canAppend: true, durability: 'os' },
  { canAppend: false, durability: 'os' },
] as const)('a power cut (append: $canAppend, durability: $durability)', ({ canAppend, durability }) => {
  it(`at every ${CALLS_A_RUN}th call of the medium leaves the store whole`, async () => {
    const seed = testSeed();
    for (let i = 0; i < RUNS; i++) await run({ seed: seed + i, canAppend, durability, firstCut: 1 + i * CALLS_A_RUN });
  });
});
