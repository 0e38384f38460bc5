/** What an operation asks of the operating system, and of the medium. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from '../../src/index.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import type { Case, Figure, Outcome, Scale, Stage, Suite } from '../harness/suite.ts';
import type { Target } from '../harness/targets.ts';
import { COMMAND, NAMESPACE, PeatStore } from '../peers/peat.ts';
import type { PeerName } from '../peers/peer.ts';
import { HAS_STRACE } from '../strace.ts';
import { entryMaker, fill } from '../workload.ts';
import { counting, SEAM_KINDS, SeamCounts, type SeamKind } from './metadata/counting-medium.ts';
import { INITIAL_ENTRIES, OPERATIONS, operationNamed, REPETITIONS } from './metadata/operations.ts';
import { CALL_KINDS, type CallKind, countBetweenMarks, countIn, TRACED } from './metadata/trace.ts';

const PROGRAM = fileURLToPath(new URL('./metadata/program.js', import.meta.url));
/** Not one of {@link OPERATIONS}, since it is a process of its own. */
const COMMAND_PUT = 'the command peat put';

const isPeat = (peer: PeerName): boolean => peer.startsWith('peat');

/** Without strace nobody but Peat can be looked at. At smoke scale others are looked at once: starting under strace takes long. */
function cases(scale: Scale): Case[] {
  const operations = Object.entries(OPERATIONS).map(([name, { peers }]): [string, readonly PeerName[]] => [name, peers]);
  const all = HAS_STRACE ? [...operations, [COMMAND_PUT, ['peat']] as const] : operations;
  return all.map(([name, peers], i) => ({
    name,
    peers: HAS_STRACE && (scale !== 'smoke' || i === 0) ? peers : peers.filter(isPeat),
    processes: 1,
    params: { operation: name },
  }));
}

async function run(stage: Stage): Promise<Outcome> {
  const { params, peer, directory, start } = stage;
  await start();
  const operation = String(params['operation']);
  if (operation === COMMAND_PUT) return { figures: await ofCommand(join(directory, 'store')) };
  return {
    figures: {
      ...(isPeat(peer) ? await atTheSeam(join(directory, 'seam'), { ...stage, operation }) : {}),
      ...(HAS_STRACE ? await inTheKernel(join(directory, 'traced'), { ...stage, operation }) : {}),
    },
  };
}

interface Counted extends Pick<Stage, 'peer' | 'seed'> {
  readonly operation: string;
}

async function atTheSeam(directory: string, { peer, seed, operation }: Counted): Promise<Record<string, number>> {
  const counts = new SeamCounts();
  const options = { autoCompact: false, durability: peer === 'peat-os' ? 'os' : 'sync' } as const;
  const other = new PeatStore(await open(directory, options));
  await fill(other, INITIAL_ENTRIES, entryMaker({ seed }));
  await other.settle();
  const openCounted = async (): Promise<PeatStore> => new PeatStore(await open(counting(FileMedium.open(directory), counts), options));
  const store = await openCounted();
  const { before, step } = operationNamed(operation).stepsOf({ store, other, open: openCounted, seed });
  for (let turn = 0; turn <= REPETITIONS; turn++) {
    await before?.(turn);
    counts.isOn = turn > 0;
    await step(turn);
    counts.isOn = false;
  }
  await store.close();
  await other.close();
  return Object.fromEntries(SEAM_KINDS.map((kind) => [seamFigure(kind), counts.of(kind) / REPETITIONS]));
}

async function inTheKernel(directory: string, { peer, seed, operation }: Counted): Promise<Record<string, number>> {
  mkdirSync(directory);
  const log = await traced([PROGRAM, peer, directory, String(seed), operation], `${directory}.trace`);
  return kernelFigures(countBetweenMarks(log), REPETITIONS);
}

/** Of all that a process does in the store's directory, from its start to its end. */
async function ofCommand(directory: string): Promise<Record<string, number>> {
  const put = ['put', directory, '--namespace', NAMESPACE, 'key', '{"id":1}'];
  await using store = await open(directory);
  await store.namespace(NAMESPACE).put('first', { id: 0 });
  return kernelFigures(countIn(directory, await traced([COMMAND, ...put], `${directory}.trace`)), 1);
}

/** What strace has to say of a program. @throws Error with what the program said, if it fails */
async function traced(program: readonly string[], log: string): Promise<string> {
  const args = ['-f', '-qq', '-y', '-s', '64', '-o', log, '-e', `trace=${TRACED}`, process.execPath, ...program];
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the traced program ${program.slice(0, 2).join(' ')} ended with ${code}: ${said.slice(-2000)}`);
  return readFileSync(log, 'utf8');
}

function kernelFigures(counts: ReadonlyMap<CallKind, number>, times: number): Record<string, number> {
  return Object.fromEntries(CALL_KINDS.map((kind) => [kind, (counts.get(kind) ?? 0) / times]));
}

const seamFigure = (kind: SeamKind): string => `medium ${kind}`;

const COUNT: Figure = { unit: '', better: 'less', together: 'sum' };

function noLocks(name: string, { peer, figure }: { peer: PeerName; figure: string }): Target {
  const calls = figure === 'locks' ? 'of the system' : 'of the medium';
  const of = { suite: 'metadata', case: name, peer, figure };
  return { name: `${name}: calls ${calls} that have to do with locks`, of, bound: { atMost: 0 } };
}

const TARGETS: readonly Target[] = [
  ...Object.entries(OPERATIONS)
    .filter(([, { isLockFree }]) => isLockFree)
    .flatMap(([name, { peers }]) =>
      [seamFigure('locks'), 'locks'].map((figure) => noLocks(name, { peer: peers.find(isPeat) ?? 'peat', figure })),
    ),
  noLocks(COMMAND_PUT, { peer: 'peat', figure: 'locks' }),
];

export const suite: Suite = {
  name: 'metadata',
  about:
    `Calls an operation, the mean of ${REPETITIONS} after one that is not counted, in a store of ${INITIAL_ENTRIES} entries that nobody else writes to: of Peat those at its seam to the storage ` +
    ('("medium"), and of all peers those of the operating system' +
      (HAS_STRACE
        ? ' that strace shows. '
        : '. STRACE IS MISSING HERE, OR MAY NOT TRACE: the latter, and all other peers, are left out. ')) +
    'A memory map shows no reads and no writes, and a lock in shared memory (LMDB) shows no call while nobody else wants it. "locks" are locks of the kernel, ' +
    'and calls on files that serve as locks. "get of news" comes after another handle has put what it gets; "compaction" of SQLite is a checkpoint. ' +
    `"${COMMAND_PUT}" is a process from its start to its end, as far as it has to do with the store's directory.`,
  figures: Object.fromEntries([...SEAM_KINDS.map(seamFigure), ...CALL_KINDS].map((name) => [name, COUNT])) as Record<string, Figure>,
  targets: TARGETS,
  roundsMax: 1,
  cases,
  run,
};
