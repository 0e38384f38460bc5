/**
 * Deletes what a committed root, and the roots' ages, allow: segments (rule A12), records (B6), table files (A14), old roots (A3).
 *
 * Order of the steps: list `shard/` → list the roots, of which this one must still be the newest → sync the roots'
 * names (A15), since what is deleted can't be brought back when a power cut takes the root on which that rests → delete. Each
 * deletion stands for itself and may be repeated by anyone at any time.
 */
import { parseTableFile, recordName, rootName, segmentPartName } from '../src/format/layout.ts';
import { type Root, serialThrough } from '../src/format/root.ts';
import type { LogListing } from '../src/log/log-listing.ts';
import { readRoot } from '../src/manifest/newest-root.ts';
import { type AgedRoot, ageOf, datedRoots, newestAged, rootAges } from '../src/manifest/root-ages.ts';
import type { ListedObject } from '../src/medium/medium.ts';
import { runAsync } from '../src/medium/steps.ts';
import type { CleanupReport, PassContext } from './context.ts';
import { filesOf } from './shards.ts';
import { isSegmentDone } from './upkeep.ts';

export const NOTHING_DELETED: CleanupReport = { segments: 0, records: 0, tableFiles: 0, roots: 0 };

/**
 * @param root committed by this process, and the newest one when that was looked at; `before` is the one that it was built on, and `listing`
 * was taken in between
 */
export async function cleanUp(
  context: PassContext,
  { root, before, listing }: { root: Root; before: Root; listing: LogListing },
): Promise<CleanupReport> {
  const { medium, layout } = context;
  const tableFiles = await medium.list(layout.shard);
  const ages = rootAges(datedRoots(layout, await medium.list(layout.root, { stats: true })));
  if (ages.at(-1)?.number !== root.number) return NOTHING_DELETED;

  const tables = deletableTables(context, { root, ages, files: tableFiles });
  const log = await deletableSegments(context, { root, ages, listing });
  const records = deletableRecords(context, before, listing);
  const roots = deletableRoots(context, root, ages);
  const names = [...tables, ...log.names, ...records, ...roots];
  if (names.length === 0) return NOTHING_DELETED;
  await medium.syncNames(layout.root);
  await medium.delete(names);
  return { segments: log.segments, records: records.length, tableFiles: tables.length, roots: roots.length };
}

/**
 * Files made for a root up to this one that it neither names nor lists as dropped are what failed passes left: such a file is
 * never named again. Dropped ones wait, for readers that still use an older root.
 */
function deletableTables(
  { layout, constants }: PassContext,
  { root, ages, files }: { root: Root; ages: readonly AgedRoot[]; files: readonly ListedObject[] },
): string[] {
  const named = filesOf(root.shards);
  return files
    .map(({ name }) => name)
    .filter((name) => {
      const text = name.slice(layout.shard.length);
      const id = parseTableFile(text);
      if (id === undefined || id.root > root.number || named.has(text)) return false;
      const droppedBy = root.dropped.get(text);
      return droppedBy === undefined || ageOf(ages, droppedBy) >= constants.retentionMs;
    });
}

/**
 * A segment goes by what a root says that is old enough for every reader to have seen it, or a newer one. The newest of these
 * is no zombie's: one that was put again has the number of a root far older than that.
 */
async function deletableSegments(
  context: PassContext,
  { root, ages, listing }: { root: Root; ages: readonly AgedRoot[]; listing: LogListing },
): Promise<{ segments: number; names: string[] }> {
  const { medium, system, layout, constants } = context;
  const done = [...listing.segments.values()].filter((segment) => isSegmentDone(root, segment));
  const number = done.length === 0 ? undefined : newestAged(ages, constants.segmentGraceMs);
  const old = number === undefined ? undefined : await runAsync(readRoot(layout, number), { medium, system });
  if (old === undefined) return { segments: 0, names: [] };
  const gone = done.filter((segment) => isSegmentDone(old, segment));
  const names = gone.flatMap(({ text, parts }) => {
    const name = layout.log + text;
    return parts === undefined ? [name] : parts.map((part) => segmentPartName(name, part));
  });
  return { segments: gone.length, names };
}

/**
 * Records go by the root before the newest: one later than rule B6 has to have it. So a reader that has just read that root finds what is
 * not in it, and beside a busy compactor readers need not start over for ever. Records can't wait for a minute as segments do: each is a file.
 */
function deletableRecords({ layout }: PassContext, before: Root, listing: LogListing): string[] {
  return [...listing.records].flatMap(([stripe, records]) =>
    records.filter(({ number }) => number <= serialThrough(before, stripe)).map(({ number }) => recordName(layout, { stripe, number })),
  );
}

/** The newest of the roots that are old enough stays, too: where roots follow quickly, it is the one at which a drain can start. */
function deletableRoots({ layout, constants }: PassContext, root: Root, ages: readonly AgedRoot[]): string[] {
  const oldest = newestAged(ages, Math.max(constants.retentionMs, constants.drainAgeMs)) ?? 0;
  return ages
    .filter(({ number }) => number <= root.number - constants.rootsKept && number < oldest)
    .map(({ number }) => rootName(layout, number));
}
