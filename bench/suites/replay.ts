/**
 * Real histories: the commits of a git checkout, or of a history file that PEAT_BENCH_HISTORY names, through several writers. All peers get
 * the same changes, a path always by the same writer.
 */
import { murmur3 } from '../../src/base/hash.ts';
import { toKey } from '../../src/base/key.ts';
import { type HistoryCommit, type HistoryValue, OracleHash, toOperations } from '../../src/cli/history/history.ts';
import { openHistory } from '../../src/cli/history/open-history.ts';
import { type Case, numberOf, type Outcome, type Scale, type Stage, type Suite, sharedNowMs } from '../harness/suite.ts';
import { peerNamed } from '../peers/index.ts';
import type { Value } from '../peers/peer.ts';

const SOURCE = process.env['PEAT_BENCH_HISTORY'] ?? process.cwd();
const WRITERS: Readonly<Record<Scale, readonly number[]>> = { smoke: [2], small: [1, 4], full: [1, 2, 4, 8] };
const COMMITS_MAX: Readonly<Record<Scale, number>> = { smoke: 20, small: 1000, full: 10_000 };

function cases(scale: Scale): Case[] {
  return WRITERS[scale].map((writers) => ({
    name: `${writers} writers`,
    peers: ['peat', 'sqlite-full', 'lmdb', 'json-shards'],
    processes: writers,
    isTended: true,
    needs: ['scan'],
    params: { commits: COMMITS_MAX[scale] },
  }));
}

async function* commitsOf(most: number): AsyncIterable<HistoryCommit> {
  const signal = new AbortController().signal;
  let left = most;
  for await (const commit of (await openHistory(SOURCE, signal)).commits(signal)) {
    if (left-- === 0) return;
    yield commit;
  }
}

async function prepare({ peer, directory }: Stage): Promise<void> {
  await (await (await peerNamed(peer)).open(directory)).close();
}

interface Change {
  readonly key: string;
  readonly value: (Value & HistoryValue) | undefined;
}

/** What this writer has to do, a list a commit. */
async function myPart({ params, index, processes }: Stage): Promise<Change[][]> {
  const part: Change[][] = [];
  for await (const commit of commitsOf(numberOf(params, 'commits'))) {
    const changes = toOperations(commit)
      .filter(({ key }) => murmur3(toKey(key), 0) % processes === index)
      .map((operation, id): Change => ({ key: operation.key, value: operation.type === 'put' ? { id, ...operation.value } : undefined }));
    if (changes.length > 0) part.push(changes);
  }
  return part;
}

async function run(stage: Stage): Promise<Outcome> {
  const part = await myPart(stage);
  const store = await (await peerNamed(stage.peer)).open(stage.directory);
  await stage.start();
  const fromMs = sharedNowMs();
  let changed = 0;
  for (const changes of part) {
    const puts = changes.flatMap(({ key, value }) => (value === undefined ? [] : [{ key, value }]));
    await store.change(
      puts,
      changes.filter(({ value }) => value === undefined).map(({ key }) => key),
    );
    changed += changes.length;
  }
  const toMs = sharedNowMs();
  await store.close();
  return { operations: changed, span: { fromMs, toMs } };
}

async function check({ peer, directory }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory);
  const hash = new OracleHash();
  for await (const { key, value } of store.scan()) hash.add(key, value as Value & HistoryValue);
  await store.close();
  return { checksum: hash.digest().sha256 };
}

export const suite: Suite = {
  name: 'replay',
  about:
    'The history of a tree of files: each commit changes some paths, which always belong to the same writer; a writer commits its part of a commit as one. What is read ' +
    'back at the end is compared between the peers, as the SHA-256 of a line for each path. Peat runs beside its compactor.',
  figures: {},
  targets: [],
  cases,
  prepare,
  run,
  check,
};
