/** Read-modify-writes: counters that several processes raise, each its own keys in turn, or all the same one. */
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { type Case, numberOf, type Outcome, type Scale, type Stage, type Suite, sharedNowMs } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { peerNamed } from '../peers/index.ts';
import type { PeerName, Value } from '../peers/peer.ts';
import { checksumOf } from '../workload.ts';

const PEERS: readonly PeerName[] = ['peat', 'sqlite-full', 'lmdb', 'json-file', 'json-shards'];
const COUNTERS = 256;
const WARM_UPS = 10;

const SIZES: Readonly<Record<Scale, { readonly processes: readonly number[]; readonly updates: number }>> = {
  smoke: { processes: [1, 2], updates: 20 },
  small: { processes: [1, 4, 8], updates: 800 },
  full: { processes: [1, 4, 8], updates: 4000 },
};

const nameOf = (isHot: boolean, processes: number): string => `${isHot ? 'one hot key' : 'spread keys'}, ${processes} processes`;

function cases(scale: Scale): Case[] {
  const { processes, updates } = SIZES[scale];
  return [false, true].flatMap((isHot) =>
    processes.map(
      (n): Case => ({
        name: nameOf(isHot, n),
        peers: PEERS,
        processes: n,
        needs: ['update'],
        isTended: true,
        params: { count: Math.ceil(updates / n), isHot },
      }),
    ),
  );
}

/** The counters are there: what is measured is raising them. */
async function prepare({ peer, directory }: Stage): Promise<void> {
  const store = await (await peerNamed(peer)).open(directory);
  await store.putMany(Array.from({ length: COUNTERS }, (_, id) => ({ key: keyOf(id), value: { id, count: 0 } })));
  await store.settle();
  await store.close();
}

const keyOf = (id: number): string => `counter/${String(id).padStart(4, '0')}`;
const raised = (value: Value | undefined): Value => ({ id: Number(value?.id), count: Number(value?.['count']) + 1 });

async function run({ peer, params, directory, index, start }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory);
  const count = numberOf(params, 'count');
  const update = (i: number): unknown => store.update(keyOf(params['isHot'] === true ? 0 : (i * 7 + index * 61) % COUNTERS), raised);
  for (let i = 0; i < WARM_UPS; i++) await update(i);
  await start();
  const latencies = new Latencies();
  const fromMs = sharedNowMs();
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    await update(i);
    latencies.add((performance.now() - startMs) * 1000);
  }
  const toMs = sharedNowMs();
  await store.close();
  return {
    operations: count,
    span: { fromMs, toMs },
    latencies: { update: latencies.toJSON() },
    figures: { 'longest wait': latencies.maxMs / ((toMs - fromMs) / count) },
  };
}

async function check({ peer, directory }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory);
  const checksum = await checksumOf(store);
  await store.close();
  return { checksum };
}

const throughputTarget = (isHot: boolean, atLeast: number): Target => ({
  name: `durable update, 4 processes, ${isHot ? 'one hot key' : 'spread keys'}: throughput against SQLite FULL`,
  of: { suite: 'update', case: nameOf(isHot, 4), peer: 'peat', figure: 'throughput' },
  to: { peer: 'sqlite-full' },
  bound: { atLeast },
});

export const suite: Suite = {
  name: 'update',
  about:
    `Each process raises counters by one, one update at a time: ${COUNTERS} of them in turn, or always the same. What is read back is the sum, so an update ` +
    'that was lost shows. The longest wait is told in fair shares: 1 is what an update takes a process on average. Peat runs beside its compactor.',
  figures: { 'longest wait': { unit: 'fair shares', better: 'less', together: 'max' } },
  targets: [throughputTarget(false, 0.7), throughputTarget(true, 0.4)],
  cases,
  prepare,
  run,
  check,
};
