/**
 * One compaction pass of one namespace. Anyone may run it at any time; two at once cost work, never data.
 *
 * The order of the steps is rule A2's, and a crash between any two of them is harmless:
 * 1. the newest root, with its bytes;
 * 2. list the log;
 * 3. read the frames and records that the root has not absorbed (`fold.ts`), and decide updates that were left undecided for long;
 * 4. write tables, and wait until they are durable (`rewrite.ts`);
 * 5. put root n+1, list the roots: only if it is the newest does anything of this count (`commit-root.ts`);
 * 6. only then delete what nobody needs any more (`cleanup.ts`).
 * A pass that fails or loses deletes nothing, its own tables least of all: the root that it put may be the true one after all.
 */
import { assert, isPeatError, PeatError } from '../src/base/errors.ts';
import { maxStamp, type Stamp, stampTimeToMs } from '../src/base/stamp.ts';
import type { PassCounts, Root, Shard } from '../src/format/root.ts';
import { type LogListing, listLog } from '../src/log/log-listing.ts';
import { resolveUndecided } from '../src/log/resolve-record.ts';
import { commitRoot, nextRoot, type RootBase, readRootBase } from '../src/manifest/commit-root.ts';
import { highestRootNumber } from '../src/manifest/newest-root.ts';
import { runAsync } from '../src/medium/steps.ts';
import { cleanUp, NOTHING_DELETED } from './cleanup.ts';
import type { CleanupReport, PassContext, PassOptions, PassResult } from './context.ts';
import { type Fold, foldTail } from './fold.ts';
import { Pacer } from './pace.ts';
import { type Rewrite, type RewriteJob, rewriteShard } from './rewrite.ts';
import {
  countEntries,
  estimateBytes,
  filesOf,
  isWorthSweeping,
  joinShards,
  mostWastedFile,
  spread,
  tableBytes,
  tablesDownTo,
} from './shards.ts';
import { shardTargetBytes, tablesToMerge } from './stack.ts';
import { TableFileWriter } from './table-file-writer.ts';
import { forget, housekeeping, nextDrain, nextHorizon, recordsToResolve, rootModifiedMs } from './upkeep.ts';

export type { PassContext, PassOptions, PassResult } from './context.ts';

export const PASS_BYTES_MAX: number = 32 * 1024 * 1024;

/** What the passes before and the log amount to, before anything is written. */
interface Intake {
  readonly base: RootBase;
  readonly log: LogListing;
  readonly fold: Fold;
  /** Another pass has work at once. */
  readonly more: boolean;
  /** Puts that expired before this may be dropped. */
  readonly expiredBeforeMs: number;
}

/** The shards as the next root has them, and what it took to make them. */
interface Rewritten {
  readonly shards: readonly Shard[];
  readonly shardsTouched: number;
  readonly counts: Pick<PassCounts, 'entriesRead' | 'entriesWritten' | 'superseded' | 'dropped' | 'tableBytesOut'>;
  readonly dropFloor: Stamp | undefined;
  readonly warnings: readonly string[];
}

/**
 * Takes the tail in, as far as `bytesMax` allows, and does what upkeep is due.
 *
 * @throws PeatError `NAMESPACE_NOT_FOUND`, `CORRUPT` (the newest root), `UNSUPPORTED_VERSION`, or what the medium throws;
 * whatever it is, the store is whole, and another pass may be tried.
 */
export async function compactOnce(context: PassContext, options: PassOptions = {}): Promise<PassResult> {
  const startedMs = context.system.monotonicNowMs();
  const pacer = new Pacer(context.system, options.signal);
  const base = await readBase(context, options);
  const report = (facts: Partial<PassResult>): PassResult => ({
    ...emptyResult(base),
    durationMs: context.system.monotonicNowMs() - startedMs,
    ...facts,
  });
  const lost = (): PassResult => report({ outcome: 'lost', base: undefined, more: true });
  // What others have absorbed, replaced and deleted since looks like trouble, or damage, from a root that is not the newest.
  try {
    const intake = await takeIn(context, base, { options, pacer });
    if (intake === undefined) return lost();
    const result = report(await publish(context, intake, { options, pacer }));
    const isInDoubt = result.outcome !== 'committed' && result.warnings.length > 0;
    return isInDoubt && (await isOutdated(context, base)) ? lost() : result;
  } catch (error) {
    if (!isPeatError(error, 'TEMPORARY') || !(await isOutdated(context, base))) throw error;
    return lost();
  }
}

function emptyResult(base: RootBase): PassResult {
  return {
    outcome: 'nothing',
    root: base.root,
    base,
    framesIn: 0,
    entriesIn: 0,
    logBytesIn: 0,
    oldestFrameMs: undefined,
    tableBytesOut: 0,
    rootBytes: 0,
    shardsTouched: 0,
    durationMs: 0,
    more: false,
    draining: base.root.drain > base.root.horizon,
    horizonMovedTo: undefined,
    deleted: NOTHING_DELETED,
    warnings: [],
  };
}

async function readBase({ medium, system, layout }: PassContext, { known, signal }: PassOptions): Promise<RootBase> {
  const base = await runAsync(readRootBase(layout, { medium, system }, known), { medium, system, signal });
  if (base !== undefined) return base;
  throw new PeatError('NAMESPACE_NOT_FOUND', `there is no namespace ${layout.namespace}`, { namespace: layout.namespace });
}

async function isOutdated({ medium, system, layout }: PassContext, base: RootBase): Promise<boolean> {
  return (await runAsync(highestRootNumber(layout), { medium, system })) !== base.root.number;
}

interface Run {
  readonly options: PassOptions;
  readonly pacer: Pacer;
}

/** Steps 2 and 3. Undefined if the root was no longer the newest. */
async function takeIn(context: PassContext, base: RootBase, { options, pacer }: Run): Promise<Intake | undefined> {
  const { medium, system, layout } = context;
  const { signal, bytesMax = PASS_BYTES_MAX } = options;
  const log = await runAsync(listLog(layout, { stats: true }), { medium, system, signal });
  const fold = await foldTail(context, { root: base.root, log }, { bytesMax, pacer, signal });
  if (fold === undefined) {
    if (await isOutdated(context, base)) return undefined;
    throw new PeatError('TEMPORARY', `a segment or record of ${layout.namespace} that the newest root still needs has vanished`, {
      namespace: layout.namespace,
    });
  }
  const hasResolved = await resolveRecords(context, { root: base.root, fold, options });
  return { base, log, fold, more: fold.more || hasResolved, expiredBeforeMs: await findExpiredBefore(context, base) };
}

/** What is decided now is for the next pass to take in. */
async function resolveRecords(
  context: PassContext,
  { root, fold, options }: { root: Root; fold: Fold; options: PassOptions },
): Promise<boolean> {
  if (options.upkeep === false) return false;
  const records = await recordsToResolve(context, fold.records.undecided);
  for (const record of records) {
    options.signal?.throwIfAborted();
    await resolveUndecided(context, record, root);
  }
  return records.length > 0;
}

/** Steps 4 to 6. */
async function publish(context: PassContext, intake: Intake, run: Run): Promise<Partial<PassResult>> {
  const { base, log, fold } = intake;
  const horizon = nextHorizon(base.root, fold);
  const wantsUpkeep = run.options.upkeep !== false;
  const drain = wantsUpkeep && base.root.state === 'live' ? await nextDrain(context, intake) : base.root.drain;
  const rewritten = await rewriteTables(context, intake, run);
  const warnings = [...fold.warnings, ...rewritten.warnings];

  const facts = { more: intake.more, warnings };
  const hasNews = fold.hasNews || rewritten.shardsTouched > 0 || horizon !== base.root.horizon || drain !== base.root.drain;
  if (!hasNews) {
    // Once is enough: what this process leaves behind itself it knows of, since it has no base then.
    const looksForOrphans = run.options.known === undefined;
    const upkeep = wantsUpkeep ? await housekeeping(context, intake, { looksForOrphans }) : 'never';
    if (upkeep === 'never') return facts;
    if (upkeep === 'later') return looksForOrphans ? { ...facts, base: undefined } : facts;
  }

  const root = await buildRoot(context, intake, { rewritten, horizon, drain });
  run.options.signal?.throwIfAborted();
  // A namespace's first root may be seen before it is durable; writers take it that no later one is (rule A15).
  if (base.root.number === base.root.horizon) await context.medium.syncNames(context.layout.root);
  const commit = await commitRoot(context, root);
  if (commit.outcome !== 'committed') return { outcome: 'lost', base: undefined, more: true, warnings };
  return {
    ...facts,
    outcome: 'committed',
    root,
    base: commit.base,
    framesIn: fold.frames,
    entriesIn: fold.deltas,
    logBytesIn: fold.bytes,
    oldestFrameMs: fold.oldestTime === undefined ? undefined : stampTimeToMs(fold.oldestTime),
    tableBytesOut: rewritten.counts.tableBytesOut,
    rootBytes: commit.bytes,
    shardsTouched: rewritten.shardsTouched,
    draining: drain > horizon,
    horizonMovedTo: horizon === base.root.horizon ? undefined : horizon,
    deleted: await tryCleanUp(context, { root, before: base.root, listing: log }),
  };
}

/** The root is committed; what can't be deleted now is deleted by a later pass. */
async function tryCleanUp(
  context: PassContext,
  { root, ...garbage }: { root: Root; before: Root; listing: LogListing },
): Promise<CleanupReport> {
  try {
    return await cleanUp(context, { root, ...garbage });
  } catch (error) {
    context.log(
      `cleaning up ${root.namespace} after root ${root.number} failed: ${error instanceof Error ? error.message : String(error)}`,
    );
    return NOTHING_DELETED;
  }
}

/** Step 4: cuts the new entries by shard, and writes the shards that they touch, or that are worth sweeping. */
async function rewriteTables(context: PassContext, { base, fold, expiredBeforeMs }: Intake, { pacer }: Run): Promise<Rewritten> {
  const { root } = base;
  const namespaceBytes = root.shards.reduce((sum, { tables }) => sum + tableBytes(tables), estimateBytes(fold.entries, bytesEach(fold)));
  const target = shardTargetBytes(namespaceBytes);
  const jobs = planJobs(root, fold, expiredBeforeMs);
  const writer = new TableFileWriter(context, root.number + 1);
  const rewriting = { ...context, writer, pacer, horizon: root.horizon, expiredBeforeMs, shardTargetBytes: target };
  const shards: Shard[] = [];
  const rewrites: Rewrite[] = [];
  let shardsTouched = 0;
  try {
    for (const job of jobs) {
      if (job.fresh.length === 0 && job.merge === 0) {
        shards.push(job.shard);
        continue;
      }
      const rewrite = await rewriteShard(rewriting, job);
      rewrites.push(rewrite);
      shards.push(...rewrite.shards);
      if (rewrite.entriesWritten + rewrite.dropped > 0) shardsTouched++;
    }
    await writer.finish();
  } finally {
    await writer.settle();
  }
  const sum = (count: (rewrite: Rewrite) => number): number => rewrites.reduce((total, rewrite) => total + count(rewrite), 0);
  return {
    shards: joinShards(shards, target),
    shardsTouched,
    counts: {
      entriesRead: sum(({ entriesRead }) => entriesRead),
      entriesWritten: sum(({ entriesWritten }) => entriesWritten),
      superseded: sum(({ superseded }) => superseded) + fold.deltas - fold.entries.length,
      dropped: sum(({ dropped }) => dropped),
      tableBytesOut: writer.bytesWritten,
    },
    dropFloor: rewrites.reduce<Stamp | undefined>((floor, rewrite) => maxStamp(floor, rewrite.dropFloor), root.dropFloor),
    warnings: rewrites.flatMap(({ warning }) => warning ?? []),
  };
}

function bytesEach(fold: Fold): number {
  return fold.deltas === 0 ? 0 : fold.bytes / fold.deltas;
}

/** One job a shard, in order; one with nothing to do has neither new entries nor tables to merge. */
function planJobs(root: Root, fold: Fold, expiredBeforeMs: number): RewriteJob[] {
  const wasted = mostWastedFile(root.shards);
  let sweepBytes = 0;
  return spread(root.shards, fold.entries).map(({ shard, fresh }) => {
    const { tables } = shard;
    const freshBytes = estimateBytes(fresh, bytesEach(fold));
    if (sweepBytes < PASS_BYTES_MAX && isWorthSweeping(shard, { horizon: root.horizon, expiredBeforeMs })) {
      sweepBytes += tableBytes(tables);
      return { shard, fresh, freshBytes, merge: tables.length };
    }
    const sizes = tables.map(({ length }) => length);
    const merge = fresh.length === 0 ? 0 : tablesToMerge(sizes, freshBytes);
    return { shard, fresh, freshBytes, merge: Math.max(merge, tablesDownTo(shard, wasted)) };
  });
}

/**
 * Expired puts are judged by the medium's time, and kept for a grace more, since readers go by their own clocks. Where the medium
 * does not tell its time, the newest root's is late, and late is safe.
 */
async function findExpiredBefore({ medium, layout, constants }: PassContext, { root }: RootBase): Promise<number> {
  if (!root.shards.some(({ tables }) => tables.some(({ expiring }) => expiring > 0))) return Number.NEGATIVE_INFINITY;
  const nowMs = (await medium.nowMs()) ?? (await rootModifiedMs({ medium, layout }, root.number));
  return nowMs === undefined ? Number.NEGATIVE_INFINITY : nowMs - constants.graceMs;
}

async function buildRoot(
  context: PassContext,
  { base, log, fold }: Intake,
  { rewritten, horizon, drain }: { rewritten: Rewritten; horizon: number; drain: number },
): Promise<Root> {
  const { root } = base;
  const { shards, dropFloor } = rewritten;
  const counts: PassCounts = { ...rewritten.counts, framesIn: fold.frames, deltasIn: fold.deltas, logBytesIn: fold.bytes, salvageLost: 0 };
  checkCounts(root, shards, counts);
  const { absorbed, forgot } = forget(context, root, { absorbed: fold.absorbed, segments: log.segments });
  const dropped = await nextDropped(context, root, shards);
  const { serialThrough, serialNonces } = fold.records;
  const taken = { maxStamp: fold.maxStamp, absorbed, forgot, serialThrough, serialNonces };
  return nextRoot(base, context.system, { ...taken, horizon, drain, dropFloor, shards, dropped, counts });
}

/** Counts in = counts out, for what was rewritten and for the whole. */
function checkCounts(root: Root, shards: readonly Shard[], counts: PassCounts): void {
  const { deltasIn, entriesRead, entriesWritten, superseded, dropped, salvageLost } = counts;
  assert(deltasIn + entriesRead === entriesWritten + superseded + dropped + salvageLost, 'a pass gives out what it took in');
  assert(
    countEntries(shards) === countEntries(root.shards) - entriesRead + entriesWritten,
    'a root has the entries of the one before and what the pass added',
  );
}

/** Rule A14: files that this root no longer names, and earlier ones that a listing, taken after the base was read, still shows. */
async function nextDropped({ medium, layout }: PassContext, root: Root, shards: readonly Shard[]): Promise<Map<string, number>> {
  const dropped = new Map<string, number>();
  if (root.dropped.size > 0) {
    for (const { name } of await medium.list(layout.shard)) {
      const text = name.slice(layout.shard.length);
      const number = root.dropped.get(text);
      if (number !== undefined) dropped.set(text, number);
    }
  }
  const named = filesOf(shards);
  for (const file of filesOf(root.shards)) if (!named.has(file)) dropped.set(file, root.number + 1);
  return dropped;
}
