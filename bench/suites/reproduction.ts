/**
 * The syncs at once that Peat is made for: writers that each bring a few hundred changed entries into an index of 110 MB.
 *
 * Peat and SQLite commit as the entries come, ten at a time, and remove seven stale ones at the end. The status quo can't afford that: it
 * collects a sync's changes, and then reads, changes and replaces its file once, under its lock. Who does not get the lock in time has failed,
 * which is a result here, and no failure of the trial.
 *
 * Over a link, every writer stands on a host of its own, which has a round trip and a bandwidth of its own to the store. The link is chosen so that
 * the status quo holds its lock for the 50 s that were seen in life. In smaller scales the lock's timeout shrinks as the index does, so that a
 * hold stays the same share of it.
 */
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { type Case, numberOf, type Outcome, type Params, type Scale, type Stage, type Suite, sharedNowMs } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { peerNamed } from '../peers/index.ts';
import { Link } from '../peers/link.ts';
import { LockTimeoutError } from '../peers/lock-file.ts';
import type { Entry, PeerName, PeerOptions, PeerStore } from '../peers/peer.ts';
import { checksumOf, entryMaker, fill } from '../workload.ts';
import { COMMITS, changesOf, ENTRIES_A_COMMIT, keptSyncs, REMOVED } from './reproduction/changes.ts';

/** Read and replaced as a whole, so that a sync is one commit. */
const AT_ONCE: readonly PeerName[] = ['json-file', 'json-shards'];
/** Of an index at full scale. */
const FULL_ENTRIES = 262_144;
const FULL_TIMEOUT_MS = 60_000;
/** In JSON; in msgpack it is 110 MB that they make. A hold of 50 s is two transfers of 23 s, and some seconds in which the index is parsed and made. */
const ENTRY_JSON_BYTES = 458;
const FULL_BYTES_PER_SECOND = Math.round((FULL_ENTRIES * ENTRY_JSON_BYTES) / 23);

/** With more writers the status quo takes minutes, and shows nothing new: over a link two of them finish, and 64 files each keep the processors busy. */
const CROWD = 16;

interface Size {
  readonly entries: number;
  readonly writers: readonly number[];
  readonly roundTripMs: number;
  /** Of Peat and SQLite with the compactor, locally: what the targets are about. All else has one round, since it takes long. */
  readonly rounds: number;
}

const SIZES: Readonly<Record<Scale, Size>> = {
  smoke: { entries: 300, writers: [2], roundTripMs: 5, rounds: 1 },
  small: { entries: 65_536, writers: [4, 16], roundTripMs: 20, rounds: 2 },
  full: { entries: FULL_ENTRIES, writers: [4, 16, 64], roundTripMs: 20, rounds: 3 },
};

function cases(scale: Scale): Case[] {
  const { entries, writers, roundTripMs, rounds } = SIZES[scale];
  const lockTimeoutMs = Math.round((FULL_TIMEOUT_MS * entries) / FULL_ENTRIES);
  const link = { bytesPerSecond: FULL_BYTES_PER_SECOND, roundTripMs };
  return writers.flatMap((processes): Case[] => {
    const few = { roundsMax: rounds, peerRoundsMax: { 'json-file': 1, 'json-shards': 1 } };
    const local = { ...few, processes, isTended: true, params: { entries, lockTimeoutMs } };
    const linked = { ...local, needs: ['link'] as const, params: { ...local.params, ...link }, roundsMax: 1 };
    const all = ['peat', 'sqlite-full', ...AT_ONCE] as const;
    const isCrowded = processes > CROWD;
    return [
      { ...local, name: `empty store, ${processes} processes`, peers: ['peat'], params: { entries: 0, lockTimeoutMs } },
      { ...local, name: `local, ${processes} processes`, peers: all.filter((peer) => !(isCrowded && peer === 'json-shards')) },
      { ...local, name: `local, no compactor, ${processes} processes`, peers: ['peat'], isTended: false, roundsMax: 1 },
      { ...linked, name: `over a link, ${processes} processes`, peers: all.filter((peer) => !(isCrowded && AT_ONCE.includes(peer))) },
      { ...linked, name: `over a link, no compactor, ${processes} processes`, peers: ['peat'], isTended: false },
    ];
  });
}

function optionsOf(params: Params): PeerOptions {
  const lockTimeoutMs = numberOf(params, 'lockTimeoutMs');
  if (params['bytesPerSecond'] === undefined) return { lockTimeoutMs };
  const speed = { bytesPerSecond: numberOf(params, 'bytesPerSecond'), roundTripMs: numberOf(params, 'roundTripMs') };
  return { lockTimeoutMs, link: new Link(speed) };
}

/** The store without the link: how the index came there, and that it is right, is not what is measured. */
async function openBeside({ peer, params, directory }: Stage): Promise<PeerStore> {
  return (await peerNamed(peer)).open(directory, params['bytesPerSecond'] === undefined ? {} : { isFramed: true });
}

async function prepare(stage: Stage): Promise<void> {
  const store = await openBeside(stage);
  const entryAt = entryMaker({ seed: stage.seed });
  // Makes the store, where nothing else does.
  const { key, value } = entryAt(0);
  await store.put(key, value);
  await fill(store, numberOf(stage.params, 'entries'), entryAt);
  await store.settle();
  await store.close();
}

async function run({ peer, params, directory, seed, index, processes, start }: Stage): Promise<Outcome> {
  const changes = changesOf({ seed, entries: numberOf(params, 'entries'), index, processes });
  const appends = new Latencies();
  await start();
  const fromMs = sharedNowMs();
  try {
    // A sync opens the store anew: it is a command of its own.
    const store = await (await peerNamed(peer)).open(directory, optionsOf(params));
    if (AT_ONCE.includes(peer)) await store.change(changes.put, changes.removed);
    else await commitAsTheyCome(store, changes, appends);
    await store.close();
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    return { figures: { 'failed syncs': 1 }, ending: { seconds: (sharedNowMs() - fromMs) / 1000, isDone: false } };
  }
  const toMs = sharedNowMs();
  const seconds = (toMs - fromMs) / 1000;
  const syncs = new Latencies();
  syncs.add(seconds * 1e6);
  return {
    operations: 1,
    span: { fromMs, toMs },
    latencies: { sync: syncs.toJSON(), ...(appends.count > 0 ? { append: appends.toJSON() } : {}) },
    figures: { 'finished syncs': 1, 'failed syncs': 0, 'last done': seconds },
    ending: { seconds, isDone: true },
  };
}

async function commitAsTheyCome(
  store: PeerStore,
  { put, removed }: { put: readonly Entry[]; removed: readonly string[] },
  appends: Latencies,
): Promise<void> {
  const timed = async (commit: () => unknown): Promise<void> => {
    const startMs = performance.now();
    await commit();
    appends.add((performance.now() - startMs) * 1000);
  };
  for (let i = 0; i < put.length; i += ENTRIES_A_COMMIT) await timed(() => store.putMany(put.slice(i, i + ENTRIES_A_COMMIT)));
  await timed(() => store.remove(removed));
}

/** Of a lock file, or of SQLite, which waits for a minute as well. */
function isLockTimeout(error: unknown): boolean {
  return error instanceof LockTimeoutError || (error as { code?: unknown }).code === 'SQLITE_BUSY';
}

/** Counts the syncs that are there as a whole. Peers have to agree where that is all of them. */
async function check(stage: Stage): Promise<Outcome> {
  const { params, seed, processes } = stage;
  const store = await openBeside(stage);
  const keys = new Set<string>();
  for await (const key of store.keys()) keys.add(key);
  const kept = keptSyncs(keys, { seed, entries: numberOf(params, 'entries'), processes });
  const checksum = kept === processes ? await checksumOf(store) : undefined;
  await store.close();
  return { figures: { 'kept syncs': kept }, ...(checksum === undefined ? {} : { checksum }) };
}

const placeOf = (one: string, figure: string): Target['of'] => ({ suite: 'reproduction', case: one, peer: 'peat', figure });

const targetsAt = (processes: number): Target[] => [
  ...['local', 'over a link'].map(
    (place): Target => ({
      name: `${processes} syncs at once, ${place}: failures`,
      of: placeOf(`${place}, ${processes} processes`, 'failed syncs'),
      bound: { atMost: 0 },
    }),
  ),
  {
    name: `${processes} syncs at once, local: append p99 against an empty store's`,
    of: placeOf(`local, ${processes} processes`, 'append p99'),
    to: { case: `empty store, ${processes} processes` },
    bound: { atMost: 3 },
  },
];

export const suite: Suite = {
  name: 'reproduction',
  about:
    `Writers sync at once into an index of 1,200 models, of whose versions 87 % are stale: each opens the store, brings ${COMMITS * ENTRIES_A_COMMIT} entries, removes ${REMOVED}, and closes it. ` +
    `Peat and SQLite commit ${ENTRIES_A_COMMIT} at a time; the status quo commits once, under a lock that it waits for up to ${FULL_TIMEOUT_MS / 1000} s at full scale, ` +
    'and as much less in smaller scales as the index is smaller. Over a link, each writer has one of its own: each call takes ' +
    `${SIZES.full.roundTripMs} ms (${SIZES.smoke.roundTripMs} in the smallest scale) and the time of its bytes at ${(FULL_BYTES_PER_SECOND / 1e6).toFixed(1)} MB/s, and calls at the same time share that. The status quo moves its index ` +
    'there and back (its lock costs nothing), or those of its files that it touches; Peat moves its frames, and what it reads and lists. The compactor stands beside the store. ' +
    `With more than ${CROWD} writers the status quo is left out over a link, and the sharded one altogether, since that takes minutes and shows nothing new. ` +
    '"kept" are syncs all of whose changes were there in the end.',
  figures: {
    'finished syncs': { unit: '', better: 'more', together: 'sum' },
    'failed syncs': { unit: '', better: 'less', together: 'sum' },
    'last done': { unit: 's', better: 'less', together: 'max' },
    'kept syncs': { unit: '', better: 'more', together: 'sum' },
  },
  targets: [4, 16, 64].flatMap(targetsAt),
  cases,
  prepare,
  run,
  check,
};
