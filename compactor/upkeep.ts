/**
 * What a pass does beside taking in the tail: drains and horizons (rule A10), forgetting (rule A9), and housekeeping roots.
 *
 * A drain goes like this: root n says `drain = H` → a later pass reads root n, lists the log, takes in everything below H, and
 * publishes `horizon = H`. From the first of these roots on no writer is acknowledged below H without being covered; from the second on,
 * what is below H and not covered is dead. So H must be old enough that no live writer is near it, and the second root may come
 * only if nothing below H was left unread, by a bound or by damage.
 */
import { parseSegmentId, parseTableFile, rootName } from '../src/format/layout.ts';
import type { SerialRecord } from '../src/format/record.ts';
import { type Absorbed, type Root, serialThrough } from '../src/format/root.ts';
import type { LogListing } from '../src/log/log-listing.ts';
import type { RootBase } from '../src/manifest/commit-root.ts';
import { datedRoots, newestAged, ROOT_GAP_MAX_MS, rootAges } from '../src/manifest/root-ages.ts';
import type { PassContext } from './context.ts';
import type { Fold } from './fold.ts';
import type { RecordFold } from './fold-records.ts';
import { awaitsHorizon, filesOf, isWorthSweeping } from './shards.ts';

/** Housekeeping roots of an idle store are published at most so often. */
const HOUSEKEEPING_MS = 60_000;
/** An update that was left undecided for so long is decided by the compactor, so that an idle store comes to rest. */
const UNDECIDED_MS = 10_000;

/** What a pass has found before it decides: the newest root, the log, and the medium's time, less the grace, by which puts have expired. */
export interface Found {
  readonly base: RootBase;
  readonly log: LogListing;
  readonly expiredBeforeMs: number;
}

/** The medium's timestamp of a root; undefined if the root is gone, or the medium tells none. */
export async function rootModifiedMs(
  { medium, layout }: Pick<PassContext, 'medium' | 'layout'>,
  number: number,
): Promise<number | undefined> {
  const name = rootName(layout, number);
  const listed = await medium.list(layout.root, { stats: true, ...(number === 0 ? {} : { after: rootName(layout, number - 1) }) });
  return listed.find((root) => root.name === name)?.modifiedMs;
}

/** The horizon of the root after `root`: its drain, if that is complete now. */
export function nextHorizon(root: Root, fold: Pick<Fold, 'incompleteFrom'>): number {
  const { horizon, drain } = root;
  if (drain <= horizon) return horizon;
  return fold.incompleteFrom === undefined || fold.incompleteFrom >= drain ? drain : horizon;
}

/** The drain of the root after `base.root`: a new one, if there is none under way, some root is old enough, and it is worth it. */
export async function nextDrain(context: PassContext, found: Found): Promise<number> {
  const { medium, layout, constants } = context;
  const { root } = found.base;
  const highest = root.number - constants.drainAgeRoots;
  if (root.drain > root.horizon || highest <= root.horizon || !isDrainWorthIt(context, found, highest)) return root.drain;
  const ages = rootAges(datedRoots(layout, await medium.list(layout.root, { stats: true })));
  const oldEnough = Math.min(newestAged(ages, constants.drainAgeMs) ?? 0, highest);
  return oldEnough > root.horizon && isDrainWorthIt(context, found, oldEnough) ? oldEnough : root.drain;
}

/**
 * A drain needs little reason, but without any none starts, and an idle store comes to rest. For the merges that are to come, which
 * drop what a horizon lets go, it is enough if it moves now and then.
 */
function isDrainWorthIt(context: PassContext, found: Found, horizon: number): boolean {
  const { root } = found.base;
  if (holdsUp(context, found, horizon)) return true;
  return horizon >= root.horizon + context.constants.drainAgeRoots && awaitsHorizon(root);
}

/** What only a horizon can clear away: segments of silent writers, entries of `absorbed` that can't be forgotten, tombstones, expired puts. */
function holdsUp({ medium }: PassContext, { base, log: { segments }, expiredBeforeMs }: Found, horizon: number): boolean {
  const { root } = base;
  const isBelow = (number: number): boolean => number >= root.horizon && number < horizon;
  for (const { id, text } of segments.values()) if (isBelow(id.root) && root.absorbed.get(text)?.sealed !== true) return true;
  if (!medium.canAppend) {
    for (const text of root.absorbed.keys()) if (isBelow(parseSegmentId(text)?.root ?? -1) && !segments.has(text)) return true;
  }
  return root.shards.some(
    (shard) => !isWorthSweeping(shard, { horizon: root.horizon, expiredBeforeMs }) && isWorthSweeping(shard, { horizon, expiredBeforeMs }),
  );
}

export interface Forgetting {
  readonly absorbed: ReadonlyMap<string, Absorbed>;
  readonly forgot: number;
  readonly count: number;
}

/**
 * Rule A9: leaves out what `absorbed` says of segments that a listing, taken after the root was read, lacks. A writer that
 * still waits for its answer must not take that for "dead": for an unsealed segment `forgot` tells it that nobody knows.
 *
 * On media without append an object may appear late, put twice by the transport: there only a horizon lets go.
 */
export function forget(
  context: PassContext,
  root: Root,
  tail: { absorbed: Fold['absorbed']; segments: LogListing['segments'] },
): Forgetting {
  const absorbed = new Map(tail.absorbed);
  let forgot = root.forgot;
  for (const [text, { sealed }] of tail.absorbed) {
    const number = parseSegmentId(text)?.root ?? Number.MAX_SAFE_INTEGER;
    if (tail.segments.has(text) || (!context.medium.canAppend && number >= root.horizon)) continue;
    absorbed.delete(text);
    if (!sealed) forgot = Math.max(forgot, number + 1);
  }
  return { absorbed, forgot, count: tail.absorbed.size - absorbed.size };
}

/**
 * Of the undecided records, those whose updaters have had time enough. How long that is makes a difference only to how often an update has to
 * begin anew.
 */
export async function recordsToResolve({ medium, system }: PassContext, undecided: RecordFold['undecided']): Promise<SerialRecord[]> {
  if (undecided.length === 0) return [];
  const nowMs = (await medium.nowMs()) ?? system.wallNowMs();
  // A difference below zero is no reason to wait for ever.
  const isOld = (putAtMs: number): boolean => Math.abs(nowMs - putAtMs) >= UNDECIDED_MS;
  return undecided.filter(({ putAtMs }) => putAtMs !== undefined && isOld(putAtMs)).map(({ record }) => record);
}

/** Rule A12, by the newest root; `cleanup.ts` waits until that is old enough. */
export function isSegmentDone(root: Root, { text, id }: { text: string; id: { root: number } }): boolean {
  return id.root < root.horizon || root.absorbed.get(text)?.sealed === true;
}

/**
 * Whether garbage waits for roots to age, and for a root that sees to it: `now` if none was published for a minute. Not for a minute by this
 * machine's clock alone: the ages go by the medium's.
 *
 * @param looksForOrphans whether tables of passes that failed are looked for, too
 */
export async function housekeeping(
  context: PassContext,
  found: Found,
  { looksForOrphans }: { looksForOrphans: boolean },
): Promise<'now' | 'later' | 'never'> {
  if (!hasGarbage(context, found) && !(looksForOrphans && (await hasOrphans(context, found.base.root)))) return 'never';
  return (await isHousekeepingDue(context, found.base.root)) ? 'now' : 'later';
}

async function isHousekeepingDue(context: PassContext, root: Root): Promise<boolean> {
  const { medium, system } = context;
  const modifiedMs = await rootModifiedMs(context, root.number);
  if (modifiedMs === undefined) return false;
  // A difference below zero is no reason to wait for ever.
  const isOld = (nowMs: number): boolean => Math.abs(nowMs - modifiedMs) >= HOUSEKEEPING_MS;
  return isOld(system.wallNowMs()) && isOld((await medium.nowMs()) ?? system.wallNowMs());
}

/** Tables that no root names: what a pass left that failed, or was overtaken. The next root deletes them. */
async function hasOrphans({ medium, layout }: PassContext, root: Root): Promise<boolean> {
  const named = filesOf(root.shards);
  return (await medium.list(layout.shard)).some(({ name }) => {
    const text = name.slice(layout.shard.length);
    const made = parseTableFile(text)?.root;
    return made !== undefined && made <= root.number + 1 && !named.has(text) && !root.dropped.has(text);
  });
}

/**
 * How many roots remain however many more are published, a minute apart: the newest ones, and those that are not old enough to go. To publish
 * another one for the sake of these would only make it the next of them.
 */
function rootsAtRest({ constants: { rootsKept, retentionMs, drainAgeMs } }: PassContext): number {
  return Math.max(rootsKept, Math.ceil(Math.max(retentionMs, drainAgeMs) / ROOT_GAP_MAX_MS) + 1);
}

function hasGarbage(context: PassContext, found: Found): boolean {
  const { base, log } = found;
  const { segments, records } = log;
  const { root, rootsListed } = base;
  if (root.dropped.size > 0 || rootsListed > rootsAtRest(context)) return true;
  for (const segment of segments.values()) if (isSegmentDone(root, segment)) return true;
  for (const [stripe, listed] of records) if ((listed[0]?.number ?? Infinity) <= serialThrough(root, stripe)) return true;
  return (
    forget(context, root, { absorbed: root.absorbed, segments }).count > 0 ||
    (root.state === 'live' && holdsUp(context, found, root.number + 1))
  );
}
