/**
 * One try at committing a group of updates (rules B1 to B4): read, let the callers' functions run, put one record for all of them, and ask
 * the newest root what became of it.
 *
 * Updates of one stripe share a `single` record. Those of several stripes share one in each: secondaries first, then, once a newest
 * root has absorbed none of their numbers, the primary, whose put decides (`docs/protocol.md`). A crash before that leaves
 * secondaries that are undecided; whoever comes upon them decides that it did not happen.
 *
 * Callers have their answer only when a record with all that they saw is committed: what one function of a group wrote is what the next one
 * of the same key reads.
 */
import { assert, isPeatError } from '../base/errors.ts';
import type { Key } from '../base/key.ts';
import { NO_WRITER, type Stamp } from '../base/stamp.ts';
import { newNonce, type System } from '../base/system.ts';
import type { Entry } from '../format/entry.ts';
import { type NamespaceLayout, type RecordId, recordName } from '../format/layout.ts';
import { decodeRecord, encodeRecord, type RecordKind, type SerialRecord, stripeOf } from '../format/record.ts';
import { type Root, serialThrough } from '../format/root.ts';
import type { ReadRecord } from '../log/record-log.ts';
import { resolveUndecided } from '../log/resolve-record.ts';
import { newestRoot } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { runAsync } from '../medium/steps.ts';
import type { NamespaceReader } from '../read/namespace-reader.ts';
import type { State } from '../read/state.ts';
import { TableGoneError } from '../read/table-store.ts';
import type { WriterRoot } from '../write/writer-root.ts';
import type { Change, Job, Verdict } from './job.ts';
import { checkRecord, unknownOutcome } from './record-check.ts';

export interface AttemptContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  readonly reader: NamespaceReader;
  /** Sees to it that the namespace is there, is live, and may be written to. */
  readonly root: WriterRoot;
  /** How many stripes the keys are spread over. */
  readonly stripes: number;
}

/** What a job was told, and what it decided. */
interface Run {
  readonly job: Job;
  verdict: Verdict | undefined;
  /** Its keys' entries after it. */
  entries: (Entry | undefined)[];
  hasChanged: boolean;
}

/**
 * `done`: those that were tried have their answers · `again`: the race was lost, or what was read had been overtaken · `split`: together they
 * are too large for one record.
 */
export type AttemptOutcome = 'done' | 'again' | 'split';

/** What a group changes is held in memory; beyond this the rest waits for the next one. */
const GROUP_BYTES_MAX = 4 * 1024 * 1024;
const JOBS_AT_ONCE_MAX = 64;

/**
 * Tries some of the jobs, in their order, or all. Those that got their answer are settled.
 *
 * @param jobs all of the same stripes
 * @throws what reading throws; then nothing was written
 */
export async function attempt(context: AttemptContext, jobs: readonly Job[]): Promise<AttemptOutcome> {
  try {
    return await attemptOnce(context, jobs);
  } finally {
    for (const job of jobs) job.resume();
  }
}

async function attemptOnce(context: AttemptContext, jobs: readonly Job[]): Promise<AttemptOutcome> {
  const { reader } = context;
  const stripes = (jobs[0] as Job).options.stripes;
  await context.root.prepare();
  // Several keys are read at one moment: no put checks those that are not changed, nor what is written blindly.
  const isOfSeveral = jobs.some(({ options }) => options.keys.length > 1);
  const keys = jobs.flatMap(({ options }) => options.keys);
  let state = isOfSeveral ? await reader.pinned({ keys }) : await reader.fresh();
  // A later read of this process may add to a tail that is not pinned: no harm, but for frames that a drain may yet cut off.
  if (state.root.drain > state.root.horizon) state = await reader.pinned({ keys });
  if (state.root.number < 0) {
    // Dropped since the root was read last; or it can't be seen yet. The root tells which.
    context.root.doubt();
    return startOver(context);
  }

  for (const stripe of stripes) {
    const undecided = state.stripes.undecided.get(stripe);
    if (undecided === undefined) continue;
    await resolveUndecided(context, undecided, state.root);
    return startOver(context);
  }

  const changed = new Map<Key, Entry>();
  let runs: Run[];
  try {
    runs = await runAll(context, { jobs, state, changed });
  } catch (error) {
    if (!(error instanceof TableGoneError)) throw error;
    const why = await reader.whyGone(error);
    if (why.code === 'CORRUPT') throw why;
    return startOver(context);
  }
  if (changed.size === 0) {
    settle(runs, undefined);
    return 'done';
  }
  // Who gave up must not find it done all the same.
  if (runs.some(({ job, hasChanged }) => !job.hold() && hasChanged)) return 'again';
  return await commit(context, { runs, state, stripes, changed });
}

async function commit(
  context: AttemptContext,
  { runs, ...update }: { runs: readonly Run[]; state: State; stripes: readonly number[]; changed: ReadonlyMap<Key, Entry> },
): Promise<AttemptOutcome> {
  const { layout, reader } = context;
  let record: PutRecord | undefined;
  try {
    record = await put(context, update);
  } catch (error) {
    if (error instanceof RangeError && runs.length > 1) return 'split';
    failAll(runs, error);
    return 'done';
  }
  if (record === undefined) return 'again';

  try {
    const { outcome, root } = await runAsync(checkRecord({ ...context, known: reader.view.reading }, record), context);
    if (outcome === 'lost') return 'again';
    if (outcome === 'committed') {
      // An update of several stripes has other records beside this one: those are read back, and this with them.
      if (root !== undefined && record.kind === 'single') reader.view.learnRecord(asRead(layout, record), root);
      settle(runs, record.id);
    } else failAll(runs, unknownOutcome(layout));
  } catch (error) {
    failAll(runs, unknownOutcome(layout, error));
  }
  return 'done';
}

/** What the view knew has been overtaken. */
function startOver({ reader }: AttemptContext): 'again' {
  reader.view.invalidate();
  return 'again';
}

/** Runs jobs until enough was changed for one record. What they change is gathered in `changed`. */
async function runAll(
  context: AttemptContext,
  { jobs, state, changed }: { jobs: readonly Job[]; state: State; changed: Map<Key, Entry> },
): Promise<Run[]> {
  const runs: Run[] = [];
  let bytes = 0;
  // The first ones tell how large the others will be.
  for (
    let start = 0, count = 1;
    start < jobs.length && bytes < GROUP_BYTES_MAX;
    start += count, count = Math.min(2 * count, JOBS_AT_ONCE_MAX)
  ) {
    for (const run of await runSome(context, { jobs: jobs.slice(start, start + count), state, changed })) {
      if (run.hasChanged) for (const entry of run.entries) bytes += entry?.value?.length ?? 0;
      runs.push(run);
    }
  }
  return runs;
}

/** Runs jobs side by side, but those of one key one after the other. */
async function runSome(context: AttemptContext, group: { jobs: readonly Job[]; state: State; changed: Map<Key, Entry> }): Promise<Run[]> {
  const runs: Run[] = [];
  const last = new Map<Key, Promise<void>>();
  for (const job of group.jobs) {
    if (job.isSettled) continue;
    const run: Run = { job, verdict: undefined, entries: [], hasChanged: false };
    const before = job.options.keys.map((key) => last.get(key)).filter((done) => done !== undefined);
    const done =
      before.length === 0 ? runOne(context, { ...group, run }) : Promise.all(before).then(() => runOne(context, { ...group, run }));
    for (const key of job.options.keys) last.set(key, done);
    runs.push(run);
  }
  const ended = await Promise.allSettled(last.values());
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  return runs;
}

async function runOne(
  { reader }: AttemptContext,
  { state, changed, run }: { state: State; changed: Map<Key, Entry>; run: Run },
): Promise<void> {
  const { keys } = run.job.options;
  const entries: (Entry | undefined)[] = [];
  for (const key of keys) entries.push(changed.get(key) ?? (await reader.find(state, key)));
  const verdict = await run.job.run(entries);
  run.verdict = verdict;
  run.entries = entries;
  if (verdict?.kind !== 'decided') return;
  run.entries = keys.map((key, i) => {
    const change = verdict.changes[i];
    if (change === undefined) return entries[i];
    const entry = nextEntry(key, change, { read: entries[i]?.stamp, root: state.root });
    changed.set(key, entry);
    run.hasChanged = true;
    return entry;
  });
}

/** Rule B7: the immediate successor of what was read, so that it hides nothing that was not. */
function nextEntry(key: Key, { value, expiresAtMs }: Change, { read, root }: { read: Stamp | undefined; root: Root }): Entry {
  const { time, writer, sub } = read ?? root.dropFloor ?? { time: 0, writer: NO_WRITER, sub: 0 };
  return { key, value, expiresAtMs, stamp: { time, writer, sub: sub + 1 }, absorbedAt: 0 };
}

/** Puts what changed. The deciding record; undefined if another one was faster. */
async function put(
  context: AttemptContext,
  { state, stripes, changed }: { state: State; stripes: readonly number[]; changed: ReadonlyMap<Key, Entry> },
): Promise<PutRecord | undefined> {
  const nonce = newNonce(context.system);
  const ids = stripes.map((stripe): RecordId => ({ stripe, number: nextNumber(state, stripe) }));
  const [first, ...others] = ids as [RecordId, ...RecordId[]];
  const part = (id: RecordId, kind: RecordKind, links: readonly RecordId[]): SerialRecord => ({
    id,
    nonce,
    root: state.root.number,
    kind,
    links,
    entries: stripes.length === 1 ? [...changed.values()] : entriesOf(changed, { stripe: id.stripe, stripes: context.stripes }),
  });
  for (const id of others) if (!(await putSecondary(context, part(id, 'secondary', [first])))) return undefined;
  if (others.length > 0 && !(await areStanding(context, others))) return undefined;
  return await putRecord(context, part(first, others.length > 0 ? 'primary' : 'single', others));
}

function nextNumber({ stripes, root }: State, stripe: number): number {
  return Math.max(stripes.highest.get(stripe) ?? 0, serialThrough(root, stripe)) + 1;
}

function entriesOf(changed: ReadonlyMap<Key, Entry>, { stripe, stripes }: { stripe: number; stripes: number }): Entry[] {
  return [...changed.values()].filter(({ key }) => stripeOf(key, stripes) === stripe);
}

/** One that may or may not be there decides nothing: it only stands in the way until somebody resolves it. */
async function putSecondary(context: AttemptContext, record: SerialRecord): Promise<boolean> {
  try {
    return (await putRecord(context, record)) !== undefined;
  } catch (error) {
    if (isPeatError(error, 'OUTCOME_UNKNOWN')) return false;
    throw error;
  }
}

/** A record that was put, and what stands in its object. */
interface PutRecord extends SerialRecord {
  readonly encoded: Buffer;
}

/** Undefined if its number is taken. */
async function putRecord({ medium, layout }: AttemptContext, record: SerialRecord): Promise<PutRecord | undefined> {
  const encoded = encodeRecord(layout, record);
  return (await medium.putIfAbsent(recordName(layout, record.id), encoded)) ? { ...record, encoded } : undefined;
}

/** As others read it. */
function asRead(layout: NamespaceLayout, { id, encoded }: PutRecord): ReadRecord {
  return { ...decodeRecord(layout, id, encoded), bytes: encoded.length };
}

/** Whether the secondaries that were put count: a record at or below a newest root's `serialThrough` is ignored by all. */
async function areStanding(context: AttemptContext, ids: readonly RecordId[]): Promise<boolean> {
  const { layout, reader } = context;
  const newest = await runAsync(newestRoot(layout, context, reader.view.reading), context);
  assert(newest !== undefined, 'a namespace that was read has a root');
  return ids.every(({ stripe, number }) => number > serialThrough(newest.root, stripe));
}

function settle(runs: readonly Run[], record: RecordId | undefined): void {
  for (const { job, verdict, entries, hasChanged } of runs) {
    if (verdict?.kind === 'decided') job.succeed({ entries, record: hasChanged ? record : undefined });
    else if (verdict !== undefined) job.fail(verdict.error);
  }
}

/** Those whose own function failed hear of that. */
function failAll(runs: readonly Run[], error: unknown): void {
  for (const { job, verdict } of runs) if (verdict !== undefined) job.fail(verdict.kind === 'failed' ? verdict.error : error);
}
