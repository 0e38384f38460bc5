/** Reads of a full store: one process alone, and while others write and the compactor runs. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LatencyCounts } from '../../src/cli/replay/latencies.ts';
import { type Case, numberOf, type Outcome, type Scale, type Stage, type Suite } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { peerNamed } from '../peers/index.ts';
import type { PeerName } from '../peers/peer.ts';
import { checksumOf, entryMaker, fill } from '../workload.ts';
import { type Durations, measure } from './read/measure.ts';
import { OPERATIONS, type OperationName, withOperations } from './read/operations.ts';

const QUIET = 'quiet';
const BUSY = 'while 4 others write';
const WRITERS = 4;
/** Each writer puts one entry so often: the load is the same beside every peer. */
const WRITE_EVERY_MS = 10;

interface Size {
  readonly entries: number;
  readonly durations: Durations;
}

const SIZES: Readonly<Record<Scale, Size>> = {
  smoke: { entries: 300, durations: { warmUpMs: 5, countMs: 10, sampleMs: 5 } },
  small: { entries: 20_000, durations: { warmUpMs: 80, countMs: 120, sampleMs: 60 } },
  full: { entries: 262_144, durations: { warmUpMs: 500, countMs: 1000, sampleMs: 500 } },
};

function cases(scale: Scale): Case[] {
  const { entries, durations } = SIZES[scale];
  const params = { entries, models: Math.min(1200, Math.ceil(entries / 100)), ...durations };
  return [
    { name: QUIET, peers: ['peat', 'sqlite-normal', 'lmdb', 'classic-level', 'json-file'], processes: 1, isTended: true, params },
    { name: BUSY, peers: ['peat', 'sqlite-full', 'lmdb', 'classic-level'], processes: 1 + WRITERS, isTended: true, params },
  ];
}

async function prepare({ peer, params, directory, seed }: Stage): Promise<void> {
  const store = await (await peerNamed(peer)).open(directory);
  await fill(store, numberOf(params, 'entries'), entryMaker({ seed, models: numberOf(params, 'models') }));
  await store.settle();
  await store.close();
}

function run(stage: Stage): Promise<Outcome> {
  return stage.index === 0 ? read(stage) : write(stage);
}

async function read({ peer, params, directory, seed, start }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory);
  const [count, models] = [numberOf(params, 'entries'), numberOf(params, 'models')];
  const durations: Durations = {
    warmUpMs: numberOf(params, 'warmUpMs'),
    countMs: numberOf(params, 'countMs'),
    sampleMs: numberOf(params, 'sampleMs'),
  };
  await start();
  const readable = { store, count, models, entryAt: entryMaker({ seed, models }), seed };
  // The code is warm only when all of it has run: the first operation would pay for the others.
  await withOperations(readable, (_, call) => measure(call, { ...durations, countMs: 0, sampleMs: 0 }));
  const measured = await withOperations(readable, (_, call) => measure(call, durations));
  await store.close();
  const figures: Record<string, number> = {};
  const latencies: Record<string, LatencyCounts> = {};
  for (const [name, { entriesPerSecond, latencies: counts }] of measured) {
    figures[rateOf(name)] = entriesPerSecond;
    latencies[name] = counts.toJSON();
  }
  return { figures, latencies };
}

/** New versions, which come to lie between those that are read. */
async function write({ peer, params, directory, seed, index, processes, start, led }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory);
  const count = numberOf(params, 'entries');
  const entryAt = entryMaker({ seed, models: numberOf(params, 'models') });
  await start();
  const startMs = performance.now();
  let written = 0;
  while (!led.aborted) {
    const { key, value } = entryAt(count + written * (processes - 1) + index - 1);
    await store.put(key, value);
    written++;
    await delay(Math.max(0, written * WRITE_EVERY_MS - (performance.now() - startMs)));
  }
  const seconds = (performance.now() - startMs) / 1000;
  await store.close();
  return { figures: { written: written / seconds } };
}

/** Of what was there at first: how much was written beside it differs. */
async function check({ peer, params, directory }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory);
  const count = numberOf(params, 'entries');
  const checksum = await checksumOf(store, { counts: ({ value }) => value.id < count });
  await store.close();
  return { checksum };
}

const rateOf = (name: OperationName): string => `${name} rate`;

function target(name: OperationName, to: PeerName, atLeast: number, where = QUIET): Target {
  const of = { suite: 'read', case: where, peer: 'peat' as const, figure: rateOf(name) };
  return { name: `${name}, ${where}: entries/s against ${to}`, of, to: { peer: to }, bound: { atLeast } };
}

const TARGETS: readonly Target[] = [
  ...(['get', 'snapshot get'] as const).flatMap((name) => [
    target(name, 'sqlite-normal', 2),
    target(name, 'lmdb', 0.667),
    target(name, 'sqlite-full', 2, BUSY),
    target(name, 'lmdb', 0.667, BUSY),
  ]),
  target('scan', 'lmdb', 1),
];

export const suite: Suite = {
  name: 'read',
  about:
    'The store is filled and settled (compaction, checkpoint) beforehand. One process reads: each operation is warmed up, then called in a ' +
    'loop without a clock around each call, which gives its rate in entries, then sampled for its latencies, of calls. "get" and "snapshot get" ask for ' +
    'the entries of 1 of 16 models, which all caches hold; "anywhere" for any of all entries, more than the caches of those that have one ' +
    'hold (Peat and LevelDB 32 MiB each, while the files of SQLite and LMDB are mapped). Keys are in random order; "miss" asks for keys ' +
    'that are not there, between those that are; "getMany" for 100 at once; "prefix scan" for the versions of a model; "scan" goes through ' +
    `all entries, "key scan" through all keys. In the second case ${WRITERS} other processes each put a new entry every ${WRITE_EVERY_MS} ms meanwhile ` +
    '("written" says whether they kept up). Peat runs beside its standalone compactor in both.',
  figures: {
    ...Object.fromEntries(OPERATIONS.map((name) => [rateOf(name), { unit: '/s', better: 'more', together: 'sum' } as const])),
    written: { unit: '/s', better: 'more', together: 'sum' },
  },
  targets: TARGETS,
  cases,
  prepare,
  run,
  check,
};
