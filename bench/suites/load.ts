/** Bringing much in at once, and what compaction makes of it. */
import { type Case, numberOf, type Outcome, type Scale, type Stage, type Suite, sharedNowMs } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { peerNamed } from '../peers/index.ts';
import type { PeerName } from '../peers/peer.ts';
import { checksumOf, entryMaker, shuffled } from '../workload.ts';
import { diskUsage } from './load/disk-usage.ts';
import { longestStallMs } from './load/stall.ts';

const PEERS: readonly PeerName[] = [
  'peat',
  'peat-os',
  'sqlite-full',
  'sqlite-normal',
  'lmdb',
  'lmdb-nosync',
  'classic-level',
  'classic-level-os',
];
const BATCH = 1000;
const LARGE = 262_144;
const SMALLER = 16_384;

const SIZES: Readonly<Record<Scale, readonly number[]>> = { smoke: [300], small: [SMALLER, 65_536], full: [SMALLER, LARGE] };

const nameOf = (entries: number): string => `${entries.toLocaleString('en')} entries`;

function cases(scale: Scale): Case[] {
  return SIZES[scale].map((entries) => ({ name: nameOf(entries), peers: PEERS, processes: 1, needs: ['scan'], params: { entries } }));
}

async function run({ peer, params, directory, seed, start }: Stage): Promise<Outcome> {
  const count = numberOf(params, 'entries');
  const entryAt = entryMaker({ seed });
  const entries = [...shuffled(count, seed)].map(entryAt);
  const store = await (await peerNamed(peer)).open(directory);
  await start();
  const fromMs = sharedNowMs();
  for (let from = 0; from < count; from += BATCH) await store.putMany(entries.slice(from, from + BATCH));
  const toMs = sharedNowMs();
  await store.close();
  return { operations: count, span: { fromMs, toMs } };
}

/** In a process of its own, so that its memory is that of settling. */
async function check({ peer, params, directory }: Stage): Promise<Outcome> {
  const count = numberOf(params, 'entries');
  const store = await (await peerNamed(peer)).open(directory);
  const fromMs = performance.now();
  const stall = await longestStallMs(() => store.settle());
  const seconds = (performance.now() - fromMs) / 1000;
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const used = diskUsage(directory);
  let checksum = '';
  const scanStall = await longestStallMs(async () => {
    checksum = await checksumOf(store);
  });
  const scanPeakBytes = process.resourceUsage().maxRSS * 1024;
  await store.close();
  const times = { settled: count / seconds, stall, 'scan stall': scanStall };
  return { checksum, figures: { ...times, memory: peakBytes, 'scan memory': scanPeakBytes, files: used.files, disk: used.bytes } };
}

const at = (figure: string, entries = LARGE) => ({ suite: 'load', case: nameOf(entries), peer: 'peat' as const, figure });

const TARGETS: readonly Target[] = [
  {
    name: 'bulk load, durable: throughput against classic-level',
    of: at('throughput'),
    to: { peer: 'classic-level' },
    bound: { atLeast: 1 },
  },
  {
    name: 'bulk load, not synced: throughput against classic-level',
    of: { ...at('throughput'), peer: 'peat-os' },
    to: { peer: 'classic-level-os' },
    bound: { atLeast: 1 },
  },
  { name: 'compaction after a bulk load: entries a second', of: at('settled'), bound: { atLeast: 400_000 } },
  {
    name: `memory of a compaction: ${nameOf(LARGE)} against ${nameOf(SMALLER)}`,
    of: at('memory'),
    to: { case: nameOf(SMALLER) },
    bound: { atMost: 1.5 },
  },
];

export const suite: Suite = {
  name: 'load',
  about:
    `Entries in random order, ${BATCH} a commit; then a process of its own brings the store into its final form (Peat compacts, SQLite takes in its WAL, LevelDB ` +
    'compacts its whole range). "settled" is the entries a second of that, "memory" the largest resident size of that process, Node itself included, "stall" the longest ' +
    'time for which it could do nothing else. "scan stall" and "scan memory" are those once it has read all back, entry by entry, and hashed it.',
  figures: {
    settled: { unit: '/s', better: 'more', together: 'max' },
    stall: { unit: 'ms', better: 'less', together: 'max' },
    memory: { unit: 'bytes', better: 'less', together: 'max' },
    'scan stall': { unit: 'ms', better: 'less', together: 'max' },
    'scan memory': { unit: 'bytes', better: 'less', together: 'max' },
    files: { unit: '', better: 'less', together: 'max' },
    disk: { unit: 'bytes', better: 'less', together: 'max' },
  },
  targets: TARGETS,
  cases,
  run,
  check,
};
