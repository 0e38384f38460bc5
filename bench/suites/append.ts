/** Appends: one entry a commit, by more and more processes; many calls at once; blocking calls; larger and larger values. */
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { type Case, numberOf, type Outcome, type Params, type Scale, type Stage, type Suite, sharedNowMs } from '../harness/suite.ts';
import type { Place, Target } from '../harness/targets.ts';
import { peerNamed } from '../peers/index.ts';
import { Link } from '../peers/link.ts';
import type { Entry, PeerName, PeerOptions } from '../peers/peer.ts';
import { checksumOf, entryMaker } from '../workload.ts';

const SYNC: readonly PeerName[] = ['peat', 'sqlite-full', 'lmdb', 'classic-level', 'raw-sync'];
const OS: readonly PeerName[] = ['peat-os', 'sqlite-normal', 'lmdb-nosync', 'classic-level-os', 'raw-write', 'memory'];
/** Each process warms up with this share of what it does afterwards. */
const WARM_UP_SHARE = 0.2;

interface Workload {
  readonly processes: number;
  readonly count: number;
  readonly valueBytes?: number;
  readonly concurrency?: number;
  readonly isBlocking?: boolean;
}

function caseOf(name: string, peers: readonly PeerName[], workload: Workload): Case {
  const { processes, count, valueBytes = 420, concurrency = 1, isBlocking = false } = workload;
  return { name, peers, processes, isTended: true, params: { count, valueBytes, concurrency, isBlocking } };
}

/** Entries a process, for each scale. */
const COUNTS: Readonly<Record<Scale, { readonly sync: number; readonly os: number; readonly linked: number }>> = {
  smoke: { sync: 20, os: 50, linked: 4 },
  small: { sync: 1000, os: 10_000, linked: 40 },
  full: { sync: 4000, os: 50_000, linked: 200 },
};

/** Each process has one of its own: it stands on a host of its own, with the network between it and the store. */
const LINK = { bytesPerSecond: 5_000_000, roundTripMs: 20 };

function linkedCase(processes: number, count: number): Case {
  const one = caseOf(`over a link, ${processes} processes`, ['peat'], { processes, count });
  return { ...one, needs: ['link'], params: { ...one.params, ...LINK } };
}

const isLinked = (params: Params): boolean => params['roundTripMs'] !== undefined;

/** What one has who works: over a link, if there is one. */
function optionsOf(params: Params): PeerOptions {
  if (!isLinked(params)) return {};
  return { link: new Link({ bytesPerSecond: numberOf(params, 'bytesPerSecond'), roundTripMs: numberOf(params, 'roundTripMs') }) };
}

function cases(scale: Scale): Case[] {
  const { sync, os, linked } = COUNTS[scale];
  const processes = scale === 'smoke' ? [1, 2] : [1, 2, 4, 8, 16];
  const sizes = scale === 'smoke' ? [65_536] : [256, 4096, 65_536];
  return [
    ...processes.map((n) => caseOf(`sync, ${n} processes`, SYNC, { processes: n, count: Math.ceil(sync / Math.sqrt(n)) })),
    ...processes.map((n) => caseOf(`os, ${n} processes`, OS, { processes: n, count: Math.ceil(os / n) })),
    caseOf('sync, 64 calls at once', SYNC, { processes: 1, count: sync * 4, concurrency: 64 }),
    caseOf('sync, blocking calls', ['peat', 'sqlite-full', 'lmdb', 'raw-sync'], { processes: 1, count: sync, isBlocking: true }),
    caseOf('os, blocking calls', ['peat-os', 'sqlite-normal', 'lmdb-nosync', 'raw-write'], { processes: 1, count: os, isBlocking: true }),
    ...(scale === 'smoke' ? [1, 2] : [1, 4, 16]).map((n) => linkedCase(n, linked)),
    ...sizes.map((valueBytes) => caseOf(`sync, ${valueBytes} bytes`, SYNC, { processes: 1, count: sync / 2, valueBytes })),
  ];
}

/** Makes the store, so that no process has to. */
async function prepare({ peer, params, directory, seed }: Stage): Promise<void> {
  const store = await (await peerNamed(peer)).open(directory, { isFramed: isLinked(params) });
  const { key, value } = entryMaker({ seed })(0);
  await store.put(key, value);
  await store.close();
}

async function run({ peer, params, directory, seed, index, start }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory, optionsOf(params));
  const count = numberOf(params, 'count');
  const concurrency = numberOf(params, 'concurrency');
  const entryAt = entryMaker({ seed: seed + index, valueBytes: numberOf(params, 'valueBytes') });
  const put = params['isBlocking'] === true ? store.putBlocking?.bind(store) : store.put.bind(store);
  if (put === undefined) throw new Error(`${peer} has no blocking call`);
  const warmUps = Math.ceil(count * WARM_UP_SHARE);
  // Made beforehand: an entry takes longer to make up than some peers take to write it.
  const entries = Array.from({ length: count + warmUps }, (_, i) => entryAt(i));
  const putOne = (i: number): unknown => {
    const { key, value } = entries[i] as Entry;
    return put(`${key}/${index}`, value);
  };
  const latencies = new Latencies();
  for (let i = count; i < entries.length; i++) await putOne(i);
  await start();
  const fromMs = sharedNowMs();
  const lane = async (first: number): Promise<void> => {
    for (let i = first; i < count; i += concurrency) {
      const startMs = performance.now();
      const done = putOne(i);
      if (done instanceof Promise) await done;
      latencies.add((performance.now() - startMs) * 1000);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, first) => lane(first)));
  const toMs = sharedNowMs();
  await store.close();
  return { operations: count, span: { fromMs, toMs }, latencies: { append: latencies.toJSON() } };
}

async function check({ peer, params, directory }: Stage): Promise<Outcome> {
  const those = await peerNamed(peer);
  if (those.cannot.scan !== undefined) return {};
  const store = await those.open(directory, { isFramed: isLinked(params) });
  const checksum = await checksumOf(store);
  await store.close();
  return { checksum };
}

const throughput = (one: string, peer: PeerName): Place => ({ suite: 'append', case: one, peer, figure: 'throughput' });

const TARGETS: readonly Target[] = [
  ...[1, 4].map(
    (n): Target => ({
      name: `durable append, ${n} processes: throughput against the raw limit`,
      of: throughput(`sync, ${n} processes`, 'peat'),
      to: { peer: 'raw-sync' },
      bound: { atLeast: 0.9 },
    }),
  ),
  {
    name: 'durable append, 4 processes: throughput against SQLite FULL',
    of: throughput('sync, 4 processes', 'peat'),
    to: { peer: 'sqlite-full' },
    bound: { atLeast: 2 },
  },
  ...[1, 4].map(
    (n): Target => ({
      name: `durable append, ${n} processes: p99 against SQLite FULL`,
      of: { suite: 'append', case: `sync, ${n} processes`, peer: 'peat', figure: 'append p99' },
      to: { peer: 'sqlite-full' },
      bound: { atMost: 1 },
    }),
  ),
  {
    name: 'append over a link, 16 processes against 1: p50',
    of: { suite: 'append', case: 'over a link, 16 processes', peer: 'peat', figure: 'append p50' },
    to: { case: 'over a link, 1 processes' },
    bound: { atMost: 1.5 },
  },
  ...[1, 4].flatMap((n) =>
    (['sqlite-normal', 'lmdb-nosync'] as const).map(
      (peer): Target => ({
        name: `os append, ${n} processes: throughput against ${peer}`,
        of: throughput(`os, ${n} processes`, 'peat-os'),
        to: { peer },
        bound: { atLeast: 3 },
      }),
    ),
  ),
];

export const suite: Suite = {
  name: 'append',
  about:
    'Each process opens the store, warms up, waits for the others, and then puts its entries one at a time, each a commit. Peat runs beside ' +
    'its standalone compactor. Blocking peers block, others are awaited. Over a link, each process stands on a host of its own: each call takes ' +
    `${LINK.roundTripMs} ms and the time of its bytes at ${LINK.bytesPerSecond / 1e6} MB/s; the compactor stands beside the store.`,
  figures: {},
  targets: TARGETS,
  cases,
  prepare,
  run,
  check,
};
