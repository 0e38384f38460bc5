/** What an operation asks of the operating system, and of the medium. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from '../../src/index.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import type { Case, Figure, Outcome, Stage, Suite } from '../harness/suite.ts';
import { PeatStore } from '../peers/peat.ts';
import { entryMaker, fill } from '../workload.ts';
import { counting, MediumCounts } from './metadata/counting-medium.ts';
import { INITIAL_ENTRIES, OPERATIONS, REPETITIONS, stepsOf } from './metadata/operations.ts';
import { CALL_KINDS, countCalls, TRACED } from './metadata/trace.ts';

const PROGRAM = fileURLToPath(new URL('./metadata/program.js', import.meta.url));
const HAS_STRACE = spawnSync('strace', ['-qq', 'true']).status === 0;

const CASES: readonly Case[] = [
  { name: 'calls an operation', peers: ['peat', 'sqlite-full', 'lmdb', 'json-file'], processes: 1, needs: ['read', 'update'], params: {} },
];

async function run({ peer, directory, seed, start }: Stage): Promise<Outcome> {
  await start();
  const figures: Record<string, number> = {};
  if (peer === 'peat') await countAtTheSeam(join(directory, 'seam'), seed, figures);
  if (HAS_STRACE) await countInTheKernel(join(directory, 'traced'), { peer, seed }, figures);
  else console.error('metadata: strace is missing here, or may not trace: only calls at the medium are counted');
  return { figures };
}

async function countAtTheSeam(directory: string, seed: number, figures: Record<string, number>): Promise<void> {
  const counts = new MediumCounts();
  const options = { autoCompact: false };
  const other = new PeatStore(await open(directory, options));
  await fill(other, INITIAL_ENTRIES, entryMaker({ seed }));
  await other.settle();
  const store = new PeatStore(await open(counting(FileMedium.open(directory), counts), options));
  for (const operation of OPERATIONS) {
    const { before, step } = stepsOf(operation, { store, other, seed });
    let [calls, locks] = [0, 0];
    for (let turn = 0; turn <= REPETITIONS; turn++) {
      await before?.(turn);
      counts.calls = 0;
      counts.locks = 0;
      await step(turn);
      if (turn === 0) continue;
      calls += counts.calls;
      locks += counts.locks;
    }
    figures[atSeam(operation, 'calls')] = calls / REPETITIONS;
    figures[atSeam(operation, 'locks')] = locks / REPETITIONS;
  }
  await store.close();
  await other.close();
}

async function countInTheKernel(
  directory: string,
  { peer, seed }: Pick<Stage, 'peer' | 'seed'>,
  figures: Record<string, number>,
): Promise<void> {
  mkdirSync(directory);
  const log = `${directory}.trace`;
  const args = [
    '-f',
    '-qq',
    '-y',
    '-s',
    '64',
    '-o',
    log,
    '-e',
    `trace=${TRACED}`,
    process.execPath,
    PROGRAM,
    peer,
    directory,
    String(seed),
  ];
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'ignore'] });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the traced program of ${peer} ended with ${code}`);
  for (const [operation, counts] of countCalls(readFileSync(log, 'utf8'))) {
    for (const kind of CALL_KINDS) figures[inKernel(operation, kind)] = (counts.get(kind) ?? 0) / REPETITIONS;
  }
}

const atSeam = (operation: string, kind: string): string => `${operation}: medium ${kind}`;
const inKernel = (operation: string, kind: string): string => `${operation}: ${kind}`;

const COUNT: Figure = { unit: '', better: 'less', together: 'sum' };

export const suite: Suite = {
  name: 'metadata',
  about:
    `Calls an operation, the mean of ${REPETITIONS} after one that is not counted: of Peat those at its seam to the storage ("medium"), and of all peers those of the ` +
    'operating system that strace shows. A memory map shows no reads and no writes. "locks" are locks of the kernel, and calls on files that serve as locks. ' +
    '"get of news" comes after another handle has put what it gets; "settle" is a compaction, or a checkpoint.',
  figures: Object.fromEntries(
    OPERATIONS.flatMap((operation) => [
      ...['calls', 'locks'].map((kind) => [atSeam(operation, kind), COUNT]),
      ...CALL_KINDS.map((kind) => [inKernel(operation, kind), COUNT]),
    ]),
  ) as Record<string, Figure>,
  targets: (['append', 'get', 'get of news', 'scan'] as const).flatMap((operation) =>
    [atSeam(operation, 'locks'), inKernel(operation, 'locks')].map((figure) => ({
      name: `calls an operation: ${figure}`,
      of: { suite: 'metadata', case: 'calls an operation', peer: 'peat' as const, figure },
      bound: { atMost: 0 },
    })),
  ),
  roundsMax: 1,
  cases: () => CASES,
  run,
};
