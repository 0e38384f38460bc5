/**
 * The syncs at once that Peat is made for: writers that each bring a few hundred changed entries into an index of 110 MB.
 *
 * Peat and SQLite commit as the entries come, ten at a time, and remove seven stale ones at the end. The status quo can't afford that: it
 * collects a sync's changes, and then reads, changes and replaces its file once, under its lock.
 *
 * Over a link, every writer stands on a host of its own, which has a round trip and a bandwidth of its own to the store. The link is chosen so that
 * the status quo holds its lock for the 50 s that were seen in life; in smaller scales the lock's timeout shrinks as the index does.
 */
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { type Case, numberOf, type Outcome, type Params, type Scale, type Stage, type Suite, sharedNowMs } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { peerNamed } from '../peers/index.ts';
import type { Link } from '../peers/link.ts';
import { LockTimeoutError } from '../peers/lock-file.ts';
import type { Entry, PeerName, PeerOptions, PeerStore } from '../peers/peer.ts';
import { checksumOf, entryMaker, fill } from '../workload.ts';

/** Read and replaced as a whole, so that a sync is one commit. */
const AT_ONCE: readonly PeerName[] = ['json-file', 'json-shards'];
const COMMITS = 20;
const ENTRIES_A_COMMIT = 10;
const REMOVED = 7;
const ROUND_TRIP_MS = 20;
/** Of an index at full scale. */
const FULL_ENTRIES = 262_144;
const FULL_TIMEOUT_MS = 60_000;
/** In JSON; with it a hold is two transfers of 25 s. */
const ENTRY_JSON_BYTES = 430;
const FULL_BYTES_PER_SECOND = Math.round((FULL_ENTRIES * ENTRY_JSON_BYTES) / 25);

interface Size {
  readonly entries: number;
  readonly writers: readonly number[];
}

const SIZES: Readonly<Record<Scale, Size>> = {
  smoke: { entries: 2000, writers: [2] },
  small: { entries: 16_384, writers: [4, 16] },
  full: { entries: FULL_ENTRIES, writers: [4, 16, 64] },
};

function cases(scale: Scale): Case[] {
  const { entries, writers } = SIZES[scale];
  const lockTimeoutMs = Math.max(1000, (FULL_TIMEOUT_MS * entries) / FULL_ENTRIES);
  return writers.flatMap((processes): Case[] => {
    const local = { processes, isTended: true, params: { entries, lockTimeoutMs } };
    const linked = { bytesPerSecond: FULL_BYTES_PER_SECOND, roundTripMs: ROUND_TRIP_MS };
    return [
      { ...local, name: `empty store, ${processes} processes`, peers: ['peat'], params: { entries: 0, lockTimeoutMs } },
      { ...local, name: `local, ${processes} processes`, peers: ['peat', 'sqlite-full', ...AT_ONCE] },
      { ...local, name: `local, no compactor, ${processes} processes`, peers: ['peat'], isTended: false },
      {
        ...local,
        name: `over a link, ${processes} processes`,
        peers: ['peat', 'sqlite-full', ...AT_ONCE],
        needs: ['link'],
        // A minute a trial and more, most of it spent in waiting, which does not vary.
        roundsMax: 1,
        params: { ...local.params, ...linked },
      },
    ];
  });
}

function optionsOf(params: Params): PeerOptions {
  const lockTimeoutMs = numberOf(params, 'lockTimeoutMs');
  if (params['bytesPerSecond'] === undefined) return { lockTimeoutMs };
  const link: Link = { bytesPerSecond: numberOf(params, 'bytesPerSecond'), roundTripMs: numberOf(params, 'roundTripMs') };
  return { lockTimeoutMs, link };
}

/** The index is there, and local: how it came there is not what is measured. */
async function prepare({ peer, params, directory, seed }: Stage): Promise<void> {
  const store = await (await peerNamed(peer)).open(directory, params['bytesPerSecond'] === undefined ? {} : { isFramed: true });
  const { key, value } = entryMaker({ seed })(0);
  await store.put(key, value);
  await fill(store, numberOf(params, 'entries'), entryMaker({ seed }));
  await store.settle();
  await store.close();
}

async function run({ peer, params, directory, seed, index, processes, start }: Stage): Promise<Outcome> {
  const count = numberOf(params, 'entries');
  const entryAt = entryMaker({ seed });
  const changed = Array.from({ length: COMMITS * ENTRIES_A_COMMIT }, (_, i) => entryAt(count + index + i * processes));
  const removed = Array.from({ length: REMOVED }, (_, i) => entryAt(index + i * processes).key);
  const appends = new Latencies();
  const syncs = new Latencies();
  await start();
  const fromMs = sharedNowMs();
  try {
    // A sync opens the store anew: it is a command of its own.
    const store = await (await peerNamed(peer)).open(directory, optionsOf(params));
    if (AT_ONCE.includes(peer)) await store.change(changed, removed);
    else await commitAsTheyCome(store, { changed, removed, appends });
    await store.close();
  } catch (error) {
    if (!(error instanceof LockTimeoutError)) throw error;
    return { figures: { 'failed syncs': 1, 'failed after': (sharedNowMs() - fromMs) / 1000 } };
  }
  const toMs = sharedNowMs();
  syncs.add((toMs - fromMs) * 1000);
  return {
    operations: 1,
    span: { fromMs, toMs },
    latencies: { sync: syncs.toJSON(), ...(appends.count > 0 ? { append: appends.toJSON() } : {}) },
    figures: { 'finished syncs': 1, 'failed syncs': 0, 'last done': (toMs - fromMs) / 1000 },
  };
}

async function commitAsTheyCome(
  store: PeerStore,
  { changed, removed, appends }: { changed: readonly Entry[]; removed: readonly string[]; appends: Latencies },
): Promise<void> {
  const timed = async (commit: () => unknown): Promise<void> => {
    const startMs = performance.now();
    await commit();
    appends.add((performance.now() - startMs) * 1000);
  };
  for (let i = 0; i < changed.length; i += ENTRIES_A_COMMIT) await timed(() => store.putMany(changed.slice(i, i + ENTRIES_A_COMMIT)));
  await timed(() => store.remove(removed));
}

/** Peers agree if no sync failed; those that lost some can't. */
async function check({ peer, params, directory }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory, params['bytesPerSecond'] === undefined ? {} : { isFramed: true });
  const checksum = await checksumOf(store);
  await store.close();
  return AT_ONCE.includes(peer) ? {} : { checksum };
}

const syncsAt = (processes: number): Target[] => [
  {
    name: `${processes} syncs at once: failures`,
    of: { suite: 'reproduction', case: `local, ${processes} processes`, peer: 'peat', figure: 'failed syncs' },
    bound: { atMost: 0 },
  },
  {
    name: `${processes} syncs at once: append p99 against an empty store's`,
    of: { suite: 'reproduction', case: `local, ${processes} processes`, peer: 'peat', figure: 'append p99' },
    to: { case: `empty store, ${processes} processes` },
    bound: { atMost: 3 },
  },
];

export const suite: Suite = {
  name: 'reproduction',
  about:
    `Writers sync at once into an index of 1,200 models, of whose versions 87 % are stale: each brings ${COMMITS * ENTRIES_A_COMMIT} entries and removes ${REMOVED}. ` +
    `Peat and SQLite commit ${ENTRIES_A_COMMIT} at a time; the status quo commits once, under a lock that it waits for up to ${FULL_TIMEOUT_MS / 1000} s ` +
    `(less in smaller scales, in proportion). Over a link each call takes ${ROUND_TRIP_MS} ms and its bytes' time at ${(FULL_BYTES_PER_SECOND / 1e6).toFixed(1)} MB/s.`,
  figures: {
    'finished syncs': { unit: '', better: 'more', together: 'sum' },
    'failed syncs': { unit: '', better: 'less', together: 'sum' },
    'last done': { unit: 's', better: 'less', together: 'max' },
    'failed after': { unit: 's', better: 'more', together: 'max' },
  },
  targets: [4, 16, 64].flatMap(syncsAt),
  cases,
  prepare,
  run,
  check,
};
