/**
 * The fault sweep: an operation is run with its k-th call of the medium failing, for each k until it passes without the fault being reached;
 * once, and from then on; for each kind of failure. After each trial the store must be whole (`settleDown`).
 *
 * Trials are the same each time: storage is in memory, clocks are virtual, and ids come from a seed. A trial that fails names itself, and
 * `PEAT_SWEEP_ONLY` runs it alone.
 */
import { compactOnce } from '../../compactor/pass.ts';
import { PeatError, type PeatErrorCode } from '../../src/base/errors.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { open } from '../../src/index.ts';
import { newestRoot } from '../../src/manifest/newest-root.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { QUICK_CONSTANTS } from './compactor-world.ts';
import type { FaultEffect, MediumCall, Operation as MediumOperation } from './faulty-medium.ts';
import { all, put } from './ledger.ts';
import type { SceneName } from './sweep-scenes.ts';
import { type MediumForm, SweepWorld } from './sweep-world.ts';

export interface SweptOperation {
  readonly name: string;
  /** Default `busy`. */
  readonly scene?: SceneName;
  /** Before the calls are counted. Default: opens the store. */
  readonly prepare?: (world: SweepWorld) => Promise<unknown>;
  readonly run: (world: SweepWorld) => Promise<unknown>;
  /** With the faults off, and the store under test still open if only one call failed. */
  readonly check?: (world: SweepWorld) => Promise<unknown>;
  /** Before anything else is done with the store, with the faults off; where a store is damaged until the operation has succeeded. */
  readonly recover?: (world: SweepWorld) => Promise<unknown>;
  /** Needs calls that block. */
  readonly isBlocking?: boolean;
  /** The handle that was used takes no more writes after it. */
  readonly endsHandle?: boolean;
}

export interface FaultKind {
  readonly name: string;
  readonly effect: FaultEffect;
  /** The calls that can fail so; all others go through. */
  readonly ops: ReadonlySet<MediumOperation>;
  readonly code: (op: MediumOperation) => PeatErrorCode;
  readonly errno: string;
  /** Each call fails so once, in the short form, too. */
  readonly isThorough?: boolean;
}

export type Mode = 'once' | 'from then on';

const READS = ['get', 'list', 'listFolders', 'nowMs'] as const;
const WRITES = ['putIfAbsent', 'openAppend', 'write', 'sync'] as const;
const isUnknown = (op: MediumOperation): PeatErrorCode => (op === 'putIfAbsent' ? 'OUTCOME_UNKNOWN' : 'STORAGE');

/** `watermark` and `closeFile` are missing: a medium never throws from these. */
export const KINDS: readonly FaultKind[] = [
  {
    name: 'EIO',
    effect: 'fail',
    ops: new Set([...READS, ...WRITES, 'delete', 'syncNames']),
    code: () => 'STORAGE',
    errno: 'EIO',
    isThorough: true,
  },
  {
    name: 'answer lost',
    effect: 'drop-answer',
    ops: new Set([...WRITES, 'delete', 'syncNames']),
    code: isUnknown,
    errno: 'EIO',
    isThorough: true,
  },
  { name: 'unknown', effect: 'fail', ops: new Set(['putIfAbsent']), code: isUnknown, errno: 'EIO' },
  { name: 'late', effect: 'late', ops: new Set(['putIfAbsent']), code: isUnknown, errno: 'ETIMEDOUT' },
  { name: 'half', effect: 'half', ops: new Set(['write', 'delete']), code: () => 'STORAGE', errno: 'ENOSPC' },
  { name: 'ENOSPC', effect: 'fail', ops: new Set(WRITES), code: () => 'STORAGE', errno: 'ENOSPC' },
  {
    name: 'EACCES',
    effect: 'fail',
    ops: new Set([...READS, 'putIfAbsent', 'openAppend', 'delete', 'syncNames']),
    code: () => 'ACCESS_DENIED',
    errno: 'EACCES',
  },
];

export const IS_FULL: boolean = process.env['PEAT_SWEEP_FULL'] === '1';

const LOCAL: MediumForm = { name: 'append', canAppend: true, blocking: true, isRemote: false };
const REMOTE: MediumForm = { name: 'objects', canAppend: false, blocking: false, isRemote: true };

export const FORMS: readonly MediumForm[] = IS_FULL
  ? [
      LOCAL,
      REMOTE,
      { name: 'append, async', canAppend: true, blocking: false, isRemote: false },
      { name: 'objects, local', canAppend: false, blocking: true, isRemote: false },
    ]
  : [LOCAL, REMOTE];

/** Which trial. */
interface Trial {
  readonly kind: FaultKind;
  readonly mode: Mode;
  /** Which call fails, from 1. */
  readonly k: number;
}

export interface SweepOptions {
  readonly kinds?: readonly FaultKind[];
  readonly wrap?: (medium: Medium) => Medium;
}

export interface SweepReport {
  readonly trials: number;
  /** How many calls of the medium the operation makes where none fails. */
  readonly calls: number;
  readonly failures: readonly string[];
}

/** Runs all trials of one operation. @throws what goes wrong without any fault */
export async function sweep(operation: SweptOperation, form: MediumForm, options: SweepOptions = {}): Promise<SweepReport> {
  const only = process.env['PEAT_SWEEP_ONLY'];
  const clean = await runTrial(operation, form, { options });
  if (clean.problems.length > 0) throw new Error(`${operation.name} fails without a fault: ${clean.problems.join('\n')}`);
  const failures: string[] = [];
  let trials = 0;
  for (const kind of options.kinds ?? KINDS) {
    for (const mode of ['once', 'from then on'] as const) {
      for (const k of callsToFail(clean.calls, { kind, mode, isAll: IS_FULL || only !== undefined })) {
        const id = [operation.name, form.name, kind.name, mode, k].join('/');
        if (only !== undefined && only !== id) continue;
        const isAged = trials++ % AGED_EVERY === 0 || only !== undefined;
        const { calls, problems } = await runTrial(operation, form, { options, trial: { kind, mode, k }, isAged });
        if (problems.length === 0) continue;
        const hit = calls[k - 1];
        const call = hit === undefined ? 'which was not reached' : `${hit.op} of ${hit.name === '' ? 'the medium' : hit.name}`;
        failures.push(`PEAT_SWEEP_ONLY='${id}': call ${k}, ${call}:\n    ${problems.join('\n    ')}`);
      }
    }
  }
  return { trials, calls: clean.calls.length, failures };
}

/** In the short form: of the kinds that say little more than the first ones, and of lasting failures, so many trials at most. */
const FEW = 3;

/** Numbers of calls that can fail in this way. */
function callsToFail(calls: readonly MediumCall[], { kind, mode, isAll }: { kind: FaultKind; mode: Mode; isAll: boolean }): number[] {
  const numbers = calls.flatMap(({ op }, i) => (kind.ops.has(op) ? [i + 1] : []));
  if (isAll || (kind.isThorough === true && mode === 'once')) return numbers;
  // Each kind has others.
  const stride = Math.ceil(numbers.length / FEW);
  const first = (kind.name.length + mode.length) % Math.max(stride, 1);
  return numbers.filter((_, i) => i % stride === first);
}

/** A namespace is left to itself for some hours after every so many trials. */
const AGED_EVERY = IS_FULL ? 1 : 24;

async function runTrial(
  operation: SweptOperation,
  form: MediumForm,
  { options, trial, isAged = false }: { options: SweepOptions; trial?: Trial; isAged?: boolean },
): Promise<{ calls: readonly MediumCall[]; problems: readonly string[] }> {
  const { scene = 'busy', prepare = (w) => w.openStore() } = operation;
  const world = await SweepWorld.open(scene, form, { wrap: options.wrap });
  await world.until(prepare(world));
  const calls: MediumCall[] = [];
  const disarm = world.faulty.inject({
    when: (call) => {
      calls.push(call);
      if (trial === undefined || !trial.kind.ops.has(call.op)) return false;
      return trial.mode === 'once' ? calls.length === trial.k : calls.length >= trial.k;
    },
    times: Number.POSITIVE_INFINITY,
    ...(trial === undefined ? {} : { effect: trial.kind.effect, error: (call) => errorOf(trial.kind, call) }),
  });
  await world.until(world.must(operation.name, () => operation.run(world)));
  const made = [...calls];
  if (trial?.mode === 'from then on') {
    await world.until(closeFailing(world));
    disarm();
  } else {
    disarm();
    await world.until(goOn(world, operation));
  }
  await world.until(settleDown(world, { operation, isAged }));
  if (isAged && scene !== 'nothing') await world.until(growOld(world));
  return { calls: made, problems: world.problems };
}

function errorOf({ code, errno }: FaultKind, { op, name, number }: MediumCall): PeatError {
  const cause = Object.assign(new Error(`${errno}: injected`), { code: errno, errno: -1 });
  return new PeatError(code(op), `injected: ${op} of ${name} (call ${number}): ${errno}`, { file: name, cause });
}

/** A process that ends while nothing works any more. */
async function closeFailing(world: SweepWorld): Promise<void> {
  if (world.isOpen) await world.attempt('close', () => world.store.close());
}

/** The same process, after one call failed. */
async function goOn(world: SweepWorld, operation: SweptOperation): Promise<void> {
  await world.must('recovering', async () => operation.recover?.(world));
  if (!world.isOpen) await world.must('opening again', () => world.openStore());
  await world.judge('beside the handle', world.store, { isLast: false });
  const handle = operation.endsHandle === true ? world.store.namespace('runs') : world.runs;
  await mustWrite(world, 'goes on', () => handle.put('goes on', 1), put('goes on', 1));
  await operation.check?.(world);
  await world.faulty.executeLate();
  await world.must('close', () => world.store.close());
}

async function mustWrite(world: SweepWorld, what: string, call: () => Promise<unknown>, effect: ReturnType<typeof put>): Promise<void> {
  await world.must(what, async () => {
    const end = world.ledger.begin(effect);
    await call();
    end('acknowledged');
  });
}

/** A process that comes after: it opens, verifies, reads, writes and compacts. */
async function settleDown(world: SweepWorld, { operation, isAged }: { operation: SweptOperation; isAged: boolean }): Promise<void> {
  const { inner, system } = world;
  await world.faulty.executeLate();
  await world.must('recovering', async () => operation.recover?.(world));
  await world.must('the next process', async () => {
    const store = await open(inner, { system, autoCompact: false, onWarning: ({ message }) => world.problems.push(message) });
    await world.verify('afterwards');
    await world.judge('afterwards', store, { isLast: true });
    const runs = store.namespace('runs');
    await mustWrite(
      world,
      'a batch afterwards',
      () =>
        runs.batch([
          { type: 'put', key: 'later', value: 1 },
          { type: 'put', key: 'later still', value: 2 },
        ]),
      all(put('later', 1), put('later still', 2)),
    );
    await mustWrite(world, 'an update afterwards', () => runs.update('updated', () => 'later'), put('updated', 'later'));
    const [summary] = await store.compact();
    for (const warning of summary?.warnings ?? []) world.problems.push(`the compaction warns: ${warning}`);
    await world.judge('after a compaction', store, { isLast: false });
    await store.close();
    if (isAged) await world.verify('after a compaction');
  });
}

const AGING_PASSES = 16;

/** Hours later nothing has come back, and what nobody needs is gone. */
async function growOld(world: SweepWorld): Promise<void> {
  const { inner, system } = world;
  const layout = namespaceLayout('runs');
  const context = { medium: inner, system, layout, constants: QUICK_CONSTANTS, log: (message: string) => world.problems.push(message) };
  await world.must('growing old', async () => {
    for (let i = 0; i < AGING_PASSES; i++) {
      await compactOnce(context);
      system.time.skip(61_000);
    }
    const store = await open(inner, { system, readOnly: true });
    await world.judge('hours later', store, { isLast: false });
    await store.close();
    const log = await world.names('log');
    world.check(log.length === 0, `hours later the log has ${log.join(', ')}`);
    const reading = await runAsync(newestRoot(layout, { medium: inner, system }), { medium: inner, system });
    const named = new Set(reading?.root.shards.flatMap(({ tables }) => tables.map(({ file }) => file)));
    const stray = (await world.names('shard')).filter((file) => !named.has(file));
    world.check(stray.length === 0, `hours later nobody names ${stray.join(', ')}`);
  });
  await world.verify('hours later');
}
