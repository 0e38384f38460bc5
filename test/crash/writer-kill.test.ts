/**
 * Writers that are killed with -9 at random points, more than 200 times: nothing acknowledged is lost, batches are whole or not
 * there, and the store always opens, appends and compacts. PEAT_SEED repeats a run, as far as real processes can be repeated.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Child, CRASH_WORKER, testSeed } from '../support/child.ts';
import { randomFrom } from '../support/random.mjs';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { judge, type Summary, type Told } from './history.mjs';

const KILLS_A_LANE = 26;
const KILLS_A_CHECK = 5;
const KILLS_AT_CREATION = 24;

interface Lane {
  readonly name: string;
  /** Options of `open`. */
  readonly open: Readonly<Record<string, unknown>>;
  /** Options of the writer. */
  readonly write: Readonly<Record<string, unknown>>;
  readonly hasCompactor: boolean;
}

const LANES: readonly Lane[] = [
  { name: 'single', open: { segments: 'appended' }, write: { inFlight: 1, sizeMax: 1, bytesMax: 100 }, hasCompactor: false },
  { name: 'group', open: { segments: 'appended' }, write: { inFlight: 8, sizeMax: 50, bytesMax: 100_000 }, hasCompactor: true },
  {
    name: 'os',
    open: { segments: 'appended', durability: 'os' },
    write: { inFlight: 4, sizeMax: 20, bytesMax: 20_000 },
    hasCompactor: false,
  },
  {
    name: 'os-large',
    open: { segments: 'appended', durability: 'os' },
    write: { inFlight: 2, sizeMax: 50, bytesMax: 100_000, pauseMs: 1 },
    hasCompactor: true,
  },
  { name: 'blocking', open: { segments: 'appended' }, write: { blocking: true, sizeMax: 10, bytesMax: 1_000 }, hasCompactor: true },
  {
    name: 'rotating',
    open: { segments: 'appended', segmentBytesMax: 16_384 },
    write: { inFlight: 4, sizeMax: 10, bytesMax: 2_000 },
    hasCompactor: true,
  },
  { name: 'framed', open: { segments: 'framed' }, write: { inFlight: 8, sizeMax: 50, bytesMax: 100_000 }, hasCompactor: true },
  {
    name: 'framed-os',
    open: { segments: 'framed', durability: 'os' },
    write: { inFlight: 4, sizeMax: 10, bytesMax: 1_000 },
    hasCompactor: false,
  },
];

async function readStore(store: string, options: Record<string, unknown> = {}): Promise<Summary> {
  const child = new Child(CRASH_WORKER, { role: 'check', store, ...options });
  const { code } = await child.exit;
  expect(child.lines.filter((line) => line.startsWith('error'))).toEqual([]);
  expect(code).toBe(0);
  return child.json('summary') as Summary;
}

/** Kills a writer some time after its start, or after its first acknowledgement. */
async function killOne(store: string, { writer, lane, random }: { writer: string; lane: Lane; random: () => number }): Promise<Told> {
  const seed = Math.floor(random() * 2 ** 31);
  const child = new Child(CRASH_WORKER, { role: 'write', store, writer, lane: lane.name, seed, open: lane.open, ...lane.write });
  if (random() < 0.3) {
    await delay(160 * random());
  } else {
    await child.line('ack');
    await delay(120 * random() ** 2);
  }
  child.kill();
  const exit = await child.exit;
  expect(child.lines.filter((line) => line.startsWith('error'))).toEqual([]);
  expect(exit.signal).toBe('SIGKILL');
  return { writer, lane: lane.name, acked: child.numbers('ack') };
}

async function runLane(lane: Lane, random: () => number): Promise<void> {
  const store = temporaryDirectory();
  const compactor = lane.hasCompactor ? new Child(CRASH_WORKER, { role: 'compactor', store, open: lane.open }) : undefined;
  const told: Told[] = [];
  for (let kill = 1; kill <= KILLS_A_LANE; kill++) {
    told.push(await killOne(store, { writer: `${lane.name}-${kill}`, lane, random }));
    if (kill % KILLS_A_CHECK !== 0 && kill !== KILLS_A_LANE) continue;
    const writer = `${lane.name}-${kill}-after`;
    told.push({ writer, lane: lane.name, acked: [0] });
    const summary = await readStore(store, { open: lane.open, append: { writer, lane: lane.name }, compact: !lane.hasCompactor });
    expect(judge(summary, told)).toEqual([]);
  }
  compactor?.kill('SIGTERM');
  await compactor?.exit;
  expect(
    compactor?.lines.filter((line) => line.startsWith('error') || line.includes('"failed"') || line.includes('"warning"')) ?? [],
  ).toEqual([]);
  expect(judge(await readStore(store, { compact: true }), told)).toEqual([]);
}

/** Runs jobs, a few at a time. */
async function runAll(jobs: readonly (() => Promise<void>)[], concurrency: number): Promise<void> {
  const waiting = [...jobs];
  const row = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await job();
  };
  await Promise.all(Array.from({ length: concurrency }, row));
}

describe('a writer that is killed', () => {
  it(`loses nothing that was acknowledged, ${LANES.length * KILLS_A_LANE} times`, async () => {
    const random = randomFrom(testSeed());
    const jobs = LANES.map((lane) => {
      const laneRandom = randomFrom(Math.floor(random() * 2 ** 31));
      return () => runLane(lane, laneRandom);
    });
    await runAll(jobs, 4);
  });

  it(`leaves a store that opens, killed ${KILLS_AT_CREATION} times while it creates it`, async () => {
    const random = randomFrom(testSeed());
    const jobs = Array.from({ length: KILLS_AT_CREATION }, (_, i) => async () => {
      const store = temporaryDirectory();
      const writer = `creator-${i}`;
      const open = { segments: i % 2 === 0 ? 'appended' : 'framed' };
      const child = new Child(CRASH_WORKER, { role: 'write', store, writer, lane: 'a', open });
      await delay(40 + 100 * random());
      child.kill();
      await child.exit;
      const told: Told[] = [{ writer, lane: 'a', acked: child.numbers('ack') }];
      if (told[0]?.acked.length !== 0) expect(judge(await readStore(store), told)).toEqual([]);
      const after = { writer: 'after', lane: 'a' };
      expect(judge(await readStore(store, { append: after, compact: true }), [...told, { ...after, acked: [0] }])).toEqual([]);
    });
    await runAll(jobs, 4);
  });
});
