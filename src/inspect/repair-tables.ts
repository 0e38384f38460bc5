/**
 * The shards of a root after a repair: damaged tables replaced by what could be saved of them, missing ones let go, and entries put
 * on top. New tables are collected, and written only when the repair is meant.
 */
import type { Key } from '../base/key.ts';
import type { Entry } from '../format/entry.ts';
import type { Shard, TableRef } from '../format/root.ts';
import { type BuiltTable, TableBuilder } from '../format/table/table-builder.ts';

/** Names and collects tables for root `number`; each is a file of its own. */
export interface TableSink {
  add(table: BuiltTable): TableRef;
}

/** What becomes of a table that is not as it should be: its replacement, or undefined where nothing is left. */
export type Replacements = ReadonlyMap<TableRef, TableRef | undefined>;

export function replaceTables(shards: readonly Shard[], replacements: Replacements): Shard[] {
  const replaced = shards.map(({ from, tables }) => ({
    from,
    tables: tables.flatMap((table) => (replacements.has(table) ? (replacements.get(table) ?? []) : [table])),
  }));
  // An empty shard's range goes to the one before.
  const kept = replaced.filter(({ tables }) => tables.length > 0);
  return kept.map((shard, i) => (i === 0 ? { ...shard, from: '' as Key } : shard));
}

/** The same shards with the entries, sorted and of distinct keys, in new tables on top of their stacks. */
export function pushEntries(shards: readonly Shard[], entries: readonly Entry[], sink: TableSink): Shard[] {
  if (entries.length === 0) return [...shards];
  const all: readonly Shard[] = shards.length === 0 ? [{ from: '' as Key, tables: [] }] : shards;
  let at = 0;
  return all.map((shard, i) => {
    const to = all[i + 1]?.from;
    const builder = new TableBuilder();
    for (; at < entries.length && (to === undefined || (entries[at] as Entry).key < to); at++) builder.add(entries[at] as Entry);
    return builder.entries === 0 ? shard : { from: shard.from, tables: [...shard.tables, sink.add(builder.finish())] };
  });
}
