/** The shards of a root as key ranges: which new entries fall into which, and neighbours that become one. */
import type { Key } from '../src/base/key.ts';
import type { Entry } from '../src/format/entry.ts';
import { parseTableFile } from '../src/format/layout.ts';
import type { Root, Shard, TableRef } from '../src/format/root.ts';

const FIRST_KEY: Key = '' as Key;
/** Neighbours are joined only up to so many tables, which all lie in one stack then. */
const JOINED_TABLES_MAX = 8;
/** ... and up to this part of the target. */
const JOINED_PART = 1 / 4;

export function tableBytes(tables: readonly TableRef[]): number {
  return tables.reduce((sum, { length }) => sum + length, 0);
}

/** What a table has beside its entries, and an entry beside its key and value. */
const TABLE_OVERHEAD_BYTES = 128;
const ENTRY_OVERHEAD_BYTES = 20;
/** More entries than these are not looked at one by one. */
const WEIGHED_MAX = 256;

/** About how large a table of these entries would be, rather too large than too small. @param bytesEach of all new entries, on average */
export function estimateBytes(entries: readonly Entry[], bytesEach: number): number {
  if (entries.length === 0) return 0;
  const overhead = TABLE_OVERHEAD_BYTES + entries.length * ENTRY_OVERHEAD_BYTES;
  if (entries.length > WEIGHED_MAX) return overhead + entries.length * bytesEach;
  return entries.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), overhead);
}

export function countEntries(shards: readonly Shard[]): number {
  let count = 0;
  for (const { tables } of shards) for (const { entries } of tables) count += entries;
  return count;
}

export function filesOf(shards: readonly Shard[]): Set<string> {
  const files = new Set<string>();
  for (const { tables } of shards) for (const { file } of tables) files.add(file);
  return files;
}

/** Each shard with the part of the sorted entries that falls into its range. There is at least one. */
export function spread(shards: readonly Shard[], entries: readonly Entry[]): { shard: Shard; fresh: readonly Entry[] }[] {
  const all = shards.length === 0 ? [{ from: FIRST_KEY, tables: [] }] : shards;
  let at = 0;
  return all.map((shard, i) => {
    const next = all[i + 1]?.from;
    const start = at;
    at = next === undefined ? entries.length : lowerBound(entries, next, start);
    return { shard, fresh: start === at ? [] : entries.slice(start, at) };
  });
}

function lowerBound(entries: readonly Entry[], key: Key, from: number): number {
  let low = from;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle] as Entry).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Leaves out shards that have become empty, whose range goes to the one before, and joins tiny neighbours. Nothing is rewritten
 * for that: as their ranges don't overlap, the order of their tables in one stack makes no difference.
 */
export function joinShards(shards: readonly Shard[], targetBytes: number): Shard[] {
  const joined: Shard[] = [];
  for (const shard of shards) {
    if (shard.tables.length === 0) continue;
    const last = joined.at(-1);
    const tables = [...(last?.tables ?? []), ...shard.tables];
    if (last !== undefined && tables.length <= JOINED_TABLES_MAX && tableBytes(tables) <= targetBytes * JOINED_PART) {
      joined[joined.length - 1] = { from: last.from, tables };
    } else {
      joined.push({ from: joined.length === 0 ? FIRST_KEY : shard.from, tables: shard.tables });
    }
  }
  return joined;
}

/**
 * The root that a table was made for; all its tombstones were absorbed by then. A name that says nothing counts as
 * later than any.
 */
export function madeFor({ file }: TableRef): number {
  return parseTableFile(file)?.root ?? Number.MAX_SAFE_INTEGER;
}

/** A part of a shard's entries that must be tombstones, or expired, before it is written anew only to drop them. */
const SWEEP_PART = 1 / 10;

/**
 * Whether merging the whole shard would drop a good part of it: what a horizon at `horizon` lets go for sure, that is tombstones, and the
 * expiring puts of tables in which all of them expired before `expiredBeforeMs`.
 */
export function isWorthSweeping({ tables }: Shard, { horizon, expiredBeforeMs }: { horizon: number; expiredBeforeMs: number }): boolean {
  let entries = 0;
  let droppable = 0;
  for (const table of tables) {
    entries += table.entries;
    if (madeFor(table) > horizon) continue;
    droppable += table.tombstones;
    if (table.lastExpiryMs <= expiredBeforeMs) droppable += table.expiring;
  }
  return droppable > 0 && droppable >= entries * SWEEP_PART;
}

/** Whether a table may hold what can't be dropped at a merge before the horizon moves. */
export function awaitsHorizon({ shards, horizon }: Root): boolean {
  return shards.some(({ tables }) => tables.some((table) => table.tombstones + table.expiring > 0 && madeFor(table) > horizon));
}

/** Dead bytes that are not worth a thought. */
const DEAD_BYTES_MIN: number = 1024 * 1024;

/**
 * The file with the most dead bytes, if files hold more dead bytes than live ones. A table that is never touched again would keep the file
 * that it shares for ever, so that what is left in such a file is written anew. What lies behind a file's last live table is not known here,
 * and not counted.
 */
export function mostWastedFile(shards: readonly Shard[]): string | undefined {
  const files = new Map<string, { live: number; end: number }>();
  for (const { tables } of shards) {
    for (const { file, offset, length } of tables) {
      const { live, end } = files.get(file) ?? { live: 0, end: 0 };
      files.set(file, { live: live + length, end: Math.max(end, offset + length) });
    }
  }
  let live = 0;
  let dead = 0;
  let worst: { file: string; dead: number } | undefined;
  for (const [file, facts] of files) {
    const deadHere = facts.end - facts.live;
    live += facts.live;
    dead += deadHere;
    if (deadHere > (worst?.dead ?? 0)) worst = { file, dead: deadHere };
  }
  return dead > live + DEAD_BYTES_MIN ? worst?.file : undefined;
}

/** How many of a shard's newest tables must be merged so that none of them stands in `file` any more. */
export function tablesDownTo({ tables }: Shard, file: string | undefined): number {
  const at = file === undefined ? -1 : tables.findIndex((table) => table.file === file);
  return at < 0 ? 0 : tables.length - at;
}
