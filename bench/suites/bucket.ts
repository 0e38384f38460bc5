/** A store in a bucket: what each operation asks of the server, what that costs, and how long it takes. */
import { randomUUID } from 'node:crypto';
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { LOCKS_PREFIX, NAMESPACES_PREFIX, STORE_FILE, TMP_PREFIX } from '../../src/format/layout.ts';
import { open, type Store } from '../../src/index.ts';
import { REQUEST_KINDS } from '../../src/medium/s3/request-counts.ts';
import { PRICE_TABLE } from '../../src/medium/s3/request-price.ts';
import { S3Medium } from '../../src/medium/s3/s3-medium.ts';
import { type Case, type Figure, numberOf, type Outcome, type Scale, type Stage, type Suite } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { NAMESPACE, PeatStore } from '../peers/peat.ts';
import type { Value } from '../peers/peer.ts';
import { entryMaker, fill } from '../workload.ts';
import { OPERATIONS, operationNamed, type Scene } from './bucket/operations.ts';

/** Where the stores are made, as `s3://bucket/prefix`; the server and the credentials are in the `AWS_*` environment. */
const BUCKET = process.env['PEAT_BENCH_BUCKET'];

const ENTRIES: Readonly<Record<Scale, number>> = { smoke: 100, small: 2000, full: 50_000 };
const IDLE_SECONDS: Readonly<Record<Scale, number>> = { smoke: 3, small: 120, full: 300 };

const SENT = 'bytes sent';
const RECEIVED = 'bytes received';
const DOLLARS = 'dollars for a million';
const PREFIXES = [NAMESPACES_PREFIX, LOCKS_PREFIX, TMP_PREFIX];

function cases(scale: Scale): Case[] {
  const params = { entries: ENTRIES[scale], idleSeconds: IDLE_SECONDS[scale] };
  return Object.keys(OPERATIONS).map((operation) => ({ name: operation, peers: ['peat'], processes: 1, params: { ...params, operation } }));
}

/** @throws Error without a bucket, which the harness does not let happen */
function bucket(): string {
  if (BUCKET === undefined) throw new Error('PEAT_BENCH_BUCKET names no bucket');
  return BUCKET.replace(/\/$/, '');
}

async function run({ params, directory, seed, start }: Stage): Promise<Outcome> {
  await start();
  const location = `${bucket()}/${randomUUID()}`;
  const openStore = (): Promise<Store> => open(location, { autoCompact: false, s3: { cache: { directory: `${directory}/cache` } } });
  const entryAt = entryMaker({ seed });
  const other = await openStore();
  try {
    await fill(new PeatStore(other), numberOf(params, 'entries'), entryAt);
    await other.compact();
    await using store = await openStore();
    const scene = {
      store,
      entries: store.namespace<Value>(NAMESPACE),
      counters: store.namespace<number>('counters'),
      others: other.namespace<Value>(NAMESPACE),
      openStore,
      entryAt,
      idleSeconds: numberOf(params, 'idleSeconds'),
    };
    const stop = new AbortController();
    const running: Promise<unknown>[] = [];
    try {
      const beside: Scene['beside'] = (work) => void running.push(work(stop.signal));
      return await count({ ...scene, beside }, String(params['operation']));
    } finally {
      stop.abort();
      await Promise.all(running);
    }
  } finally {
    await other.close();
    await remove(location);
  }
}

/** Does it once, and then as often as it is to be counted. */
async function count(
  { store, openStore, ...rest }: Omit<Scene, 'open'> & { openStore: () => Promise<Store> },
  name: string,
): Promise<Outcome> {
  const { before, step, repetitions, weight } = operationNamed(name);
  const opened = [store];
  const open = async (): Promise<Store> => {
    const one = await openStore();
    opened.push(one);
    return one;
  };
  const scene: Scene = { store, open, ...rest };
  const latencies = new Latencies();
  const sums = new Map<string, number>();
  for (let turn = 0; turn <= repetitions; turn++) {
    await before?.(scene, turn);
    const atFirst = await movedBy(opened);
    const startMs = performance.now();
    await step(scene, turn);
    const ms = performance.now() - startMs;
    if (turn === 0) continue;
    latencies.add(ms * 1000);
    for (const [figure, value] of await movedBy(opened)) {
      sums.set(figure, (sums.get(figure) ?? 0) + value - (atFirst.get(figure) ?? 0));
    }
  }
  const operations = repetitions * (weight?.(scene) ?? 1);
  const figures = Object.fromEntries([...sums].map(([figure, sum]) => [figure, sum / operations]));
  return { figures: { ...figures, [DOLLARS]: (figures[DOLLARS] ?? 0) * 1e6 }, latencies: { step: latencies.toJSON() } };
}

/** By all these stores, closed ones included. */
async function movedBy(stores: readonly Store[]): Promise<Map<string, number>> {
  const moved = new Map<string, number>();
  const add = (figure: string, value: number): void => void moved.set(figure, (moved.get(figure) ?? 0) + value);
  for (const store of stores) {
    const { bucket } = await store.stats();
    if (bucket === undefined) throw new Error('PEAT_BENCH_BUCKET names a store that is not in a bucket');
    for (const kind of REQUEST_KINDS) {
      const { requests, bytesSent, bytesReceived } = bucket.requests[kind];
      add(kind.toUpperCase(), requests);
      add(SENT, bytesSent);
      add(RECEIVED, bytesReceived);
    }
    add(DOLLARS, bucket.cost.dollars);
  }
  return moved;
}

/** All that the trial has put. */
async function remove(location: string): Promise<void> {
  const medium = await S3Medium.open(location);
  for (const prefix of PREFIXES) {
    const objects = await medium.list(prefix);
    await medium.delete(objects.map(({ name }) => name));
  }
  await medium.delete([STORE_FILE]);
  await medium.close();
}

const COUNT: Figure = { unit: '', better: 'less', together: 'sum' };
const BYTES: Figure = { unit: 'B', better: 'less', together: 'sum' };

const requests = (name: string, operation: string, figure: string, atMost: number): Target => ({
  name,
  of: { suite: 'bucket', case: operation, peer: 'peat', figure },
  bound: { atMost },
});

export const suite: Suite = {
  name: 'bucket',
  about:
    'A store in a bucket that nobody else uses, in a prefix of its own: requests, bytes and list prices of one operation (each attempt at a request counts; ' +
    `prices: ${PRICE_TABLE}), the mean of several after one that is not counted, and how long it takes ("step"; of 64 appends at once, all of them). There is a cache of tables on the local disk, ` +
    'which the uncounted one has filled. "get" finds nothing new; "get of news" comes after another handle has put what it gets.',
  figures: {
    ...Object.fromEntries(REQUEST_KINDS.map((kind) => [kind.toUpperCase(), COUNT])),
    [SENT]: BYTES,
    [RECEIVED]: BYTES,
    [DOLLARS]: { ...COUNT, unit: '$' },
  },
  targets: [
    requests('append: PUTs of a group', 'append', 'PUT', 1),
    requests('append: LISTs of a group', 'append', 'LIST', 0),
    requests('fresh get, nothing new: LISTs', 'get', 'LIST', 2),
    requests('idle compactor: LISTs a second', 'a second of an idle compactor', 'LIST', 1),
  ],
  cannot: BUCKET === undefined ? 'PEAT_BENCH_BUCKET names no bucket (s3://bucket/prefix, with AWS_* as for every command)' : undefined,
  roundsMax: 1,
  cases,
  run,
};
