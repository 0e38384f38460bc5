/** What small writes cost in smaller and larger stores: time, and bytes written. */
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { type Case, type Figure, numberOf, type Outcome, type Scale, type Stage, type Suite } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { peerNamed } from '../peers/index.ts';
import type { Entry, PeerName } from '../peers/peer.ts';
import { checksumOf, entryMaker, fill, shuffled } from '../workload.ts';
import { bytesWritten, compactedBytes } from './flat/bytes.ts';

const PEERS: readonly PeerName[] = ['peat', 'sqlite-full', 'lmdb'];
/** Those that rewrite what they have at each write: seconds each in large stores. */
const REWRITING: readonly PeerName[] = ['json-file', 'json-shards'];
const REWRITING_ENTRIES_MAX = 262_144;
const COLLECTED = 7;
const SMALL_BATCH = 100;

const OPERATIONS = ['append', 'update', 'gc', 'small batch'] as const;
type Operation = (typeof OPERATIONS)[number];

interface Size {
  readonly entries: readonly number[];
  /** How often each operation is done: by those that rewrite, and by others. */
  readonly few: number;
  readonly many: number;
  /** How many small batches. */
  readonly batches: number;
}

const SIZES: Readonly<Record<Scale, Size>> = {
  smoke: { entries: [200, 400], few: 2, many: 4, batches: 2 },
  small: { entries: [1000, 16_384, 65_536], few: 2, many: 100, batches: 2 },
  full: { entries: [1000, 16_384, 262_144, 1_048_576], few: 3, many: 1000, batches: 10 },
};

const sizeName = (entries: number): string => `${entries.toLocaleString('en')} entries`;

function cases(scale: Scale): Case[] {
  const { entries: sizes, ...counts } = SIZES[scale];
  return sizes.map((entries) => ({
    name: sizeName(entries),
    peers: entries <= REWRITING_ENTRIES_MAX ? [...PEERS, ...REWRITING] : PEERS,
    processes: 1,
    params: { entries, ...counts },
  }));
}

async function prepare({ peer, params, directory, seed }: Stage): Promise<void> {
  const store = await (await peerNamed(peer)).open(directory);
  await fill(store, numberOf(params, 'entries'), entryMaker({ seed }));
  await store.settle();
  await store.close();
}

/** Which entries each operation has to do with, by the number of its turn: all peers do the first `few` alike. */
function plan({ params, seed }: Pick<Stage, 'params' | 'seed'>) {
  const [count, few, many, batches] = ['entries', 'few', 'many', 'batches'].map((name) => numberOf(params, name)) as [
    number,
    number,
    number,
    number,
  ];
  const order = shuffled(count, seed);
  // From one end what is updated, which may come round again in a small store; from the other what is collected, each entry once.
  const collections = Math.min(many, Math.floor(count / 2 / COLLECTED));
  const updatable = count - collections * COLLECTED;
  return {
    few,
    appends: many,
    updates: many,
    collections,
    batches,
    appended: (turn: number): number => count + turn,
    updated: (turn: number): number => order[turn % updatable] as number,
    collected: (turn: number): number[] => Array.from({ length: COLLECTED }, (_, i) => order[count - 1 - turn * COLLECTED - i] as number),
    batched: (turn: number): number[] => Array.from({ length: SMALL_BATCH }, (_, i) => count + many + turn * SMALL_BATCH + i),
  };
}

async function run(stage: Stage): Promise<Outcome> {
  const store = await (await peerNamed(stage.peer)).open(stage.directory);
  const entryAt = entryMaker({ seed: stage.seed });
  const { few, appends, updates, collections, batches, ...those } = plan(stage);
  const isSlow = REWRITING.includes(stage.peer);
  const latencies: Partial<Record<Operation, Latencies>> = {};
  const figures: Record<string, number> = {};
  let tableBytes = 0;

  const each = async (name: Operation, turns: number, prepareTurn: (turn: number) => () => unknown): Promise<void> => {
    const counts = new Latencies();
    latencies[name] = counts;
    const calls = Array.from({ length: isSlow ? Math.min(few, turns) : turns }, (_, turn) => prepareTurn(turn));
    const before = bytesWritten();
    for (const call of calls) {
      const startMs = performance.now();
      await call();
      counts.add((performance.now() - startMs) * 1000);
    }
    const after = bytesWritten();
    figures[asked(name)] = (after.asked - before.asked) / calls.length;
    figures[stored(name)] = (after.stored - before.stored) / calls.length;
  };

  await stage.start();
  await each('append', appends, (turn) => {
    const { key, value } = entryAt(those.appended(turn));
    return () => store.put(key, value);
  });
  await each('update', updates, (turn) => {
    const { key, value } = entryAt(those.updated(turn));
    return () => store.update(key, (old) => ({ ...value, updatedAtMs: Number(old?.['updatedAtMs']) + 1 }));
  });
  await each('gc', collections, (turn) => {
    const keys = those.collected(turn).map((i) => entryAt(i).key);
    return () => store.remove(keys);
  });
  // What came before is settled first: a batch pays for itself.
  await store.settle();
  await each('small batch', batches, (turn) => {
    const entries: readonly Entry[] = those.batched(turn).map(entryAt);
    return async () => {
      await store.putMany(entries);
      tableBytes += compactedBytes(await store.settle()).tables;
    };
  });
  if (tableBytes > 0) figures[TABLE_BYTES] = tableBytes / batches;
  await store.close();
  return { figures, latencies: Object.fromEntries(Object.entries(latencies).map(([name, counts]) => [name, counts.toJSON()])) };
}

/** Those that rewrite do fewer turns: what only the others did does not count. */
async function check(stage: Stage): Promise<Outcome> {
  const store = await (await peerNamed(stage.peer)).open(stage.directory);
  const { few, appends, updates, collections, batches, ...those } = plan(stage);
  const turns = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  const left = new Set([
    ...turns(few, appends).map(those.appended),
    ...turns(few, updates).map(those.updated),
    ...turns(few, collections).flatMap(those.collected),
    ...turns(few, batches).flatMap(those.batched),
  ]);
  const checksum = await checksumOf(store, { counts: ({ value }) => !left.has(value.id) });
  await store.close();
  return { checksum };
}

const asked = (name: Operation): string => `${name} bytes`;
const stored = (name: Operation): string => `${name} disk bytes`;
const TABLE_BYTES = 'small batch table bytes';
const BYTES: Figure = { unit: 'B', better: 'less', together: 'sum' };

const TARGETS: readonly Target[] = (['append', 'update'] as const).map((name) => ({
  name: `${name}, ${sizeName(262_144)} against ${sizeName(1000)}: p50`,
  of: { suite: 'flat', case: sizeName(262_144), peer: 'peat', figure: `${name} p50` },
  to: { case: sizeName(1000) },
  bound: { atMost: 1.5 },
}));

export const suite: Suite = {
  name: 'flat',
  about:
    'One process in a store that was filled and settled (compaction, checkpoint): it puts new entries one by one, each a commit ("append"); reads and changes entries ' +
    `anywhere ("update"); removes ${COLLECTED} entries anywhere in a commit ("gc"); puts ${SMALL_BATCH} new entries in a commit and settles the store again ("small batch"). ` +
    'All is durable. "bytes" are those that the process handed to the system, "disk bytes" those that its system ' +
    'counted as dirtied by that, in whole pages or groups of pages, "table bytes" those of new tables of Peat; each for one operation. No standalone compactor runs.',
  figures: {
    ...Object.fromEntries(OPERATIONS.flatMap((name) => [asked(name), stored(name)]).map((name) => [name, BYTES])),
    [TABLE_BYTES]: BYTES,
  },
  targets: TARGETS,
  roundsMax: 3,
  cases,
  prepare,
  run,
  check,
};
