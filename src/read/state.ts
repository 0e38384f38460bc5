/**
 * A consistent state of a namespace: the tables of one root, and the tail of the log that it had not absorbed. The newest
 * stamp of a key wins, wherever it stands. States do not change; a view replaces its own.
 */
import { compareKeys, type Key } from '../base/key.ts';
import { compareStamps } from '../base/stamp.ts';
import type { Entry } from '../format/entry.ts';
import type { Root } from '../format/root.ts';
import type { Block } from '../format/table/block.ts';
import { filterHash } from '../format/table/filter.ts';
import type { TableIndex } from '../format/table/table-index.ts';
import type { StripeTails } from '../log/record-log.ts';
import type { TableHandle, TableStore } from './table-store.ts';

export interface ShardTables {
  readonly from: Key;
  /** The first key of the next shard; undefined in the last one. */
  readonly to: Key | undefined;
  /** Newest first. */
  readonly tables: readonly TableHandle[];
}

export interface State {
  readonly root: Root;
  /** Ascending; the first one's `from` is "". */
  readonly shards: readonly ShardTables[];
  readonly tail: ReadonlyMap<Key, Entry>;
  /** Where the stripes' records end: what an update of this state must follow. */
  readonly stripes: StripeTails;
}

/** The shards of a root with the handles of their tables. */
export function resolveShards(root: Root, tables: TableStore): ShardTables[] {
  return root.shards.map((shard, i) => ({
    from: shard.from,
    to: root.shards[i + 1]?.from,
    tables: shard.tables.map((ref) => tables.handle(ref)).reverse(),
  }));
}

/** The index of the shard that a key belongs to; -1 if there are no shards. */
export function shardIndex(shards: readonly ShardTables[], key: Key): number {
  let low = 0;
  let high = shards.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((shards[middle] as ShardTables).from <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** What `lookup` lacked: an index, or a block of a table. */
export interface Missing {
  readonly table: TableHandle;
  readonly block: number | undefined;
}

/** Of tables, what is in memory. */
type LoadedTables = Pick<TableStore, 'cachedIndex' | 'cachedBlock'>;

/** The entry of a key, tombstones included, or what must be loaded first. */
export type Looked = { readonly entry: Entry | undefined; readonly missing?: undefined } | { readonly missing: Missing };

/**
 * Looks a key up in what is in memory. A table is skipped where it can't matter: its newest stamp is older than
 * what was found, its keys lie elsewhere, or its filter does not have the key.
 */
export function lookup(state: State, tables: LoadedTables, key: Key): Looked {
  let best = state.tail.get(key);
  const shard = state.shards[shardIndex(state.shards, key)];
  if (shard === undefined) return { entry: best };
  let hash = -1;
  for (const table of shard.tables) {
    const { ref } = table;
    if (key < ref.first || key > ref.last || (best !== undefined && best.stamp.time > ref.maxTime)) continue;
    const index = tables.cachedIndex(table);
    if (index === undefined) return { missing: { table, block: undefined } };
    if (hash === -1) hash = filterHash(key);
    if (!index.mayContain(key, hash)) continue;
    const number = index.findBlock(key);
    if (number >= index.blocks) continue;
    const block = tables.cachedBlock(table, number);
    if (block === undefined) return { missing: { table, block: number } };
    const entry = block.find(key);
    if (entry !== undefined && (best === undefined || compareStamps(entry.stamp, best.stamp) > 0)) best = entry;
  }
  return { entry: best };
}

/**
 * Looks a key up, and loads what that takes. Mostly the cache has all of it, and nothing need be held or waited for.
 *
 * @throws TableGoneError if the state is older than the retention, PeatError `CORRUPT`, `STORAGE`; at once or by the promise
 */
export function find(
  state: State,
  tables: TableStore,
  { key, signal }: { key: Key; signal: AbortSignal | undefined },
): Entry | undefined | Promise<Entry | undefined> {
  signal?.throwIfAborted();
  const looked = lookup(state, tables, key);
  return looked.missing === undefined ? looked.entry : load(state, tables, { key, signal, missing: looked.missing });
}

async function load(
  state: State,
  tables: TableStore,
  { key, signal, missing }: { key: Key; signal: AbortSignal | undefined; missing: Missing },
): Promise<Entry | undefined> {
  const held = new HeldTables(tables);
  for (let lacking = missing; ; ) {
    await held.load(lacking);
    signal?.throwIfAborted();
    const looked = lookup(state, held, key);
    if (looked.missing === undefined) return looked.entry;
    lacking = looked.missing;
  }
}

/** What one key needs of each table stays in hand until it is found: the cache may be too small for all of it. */
class HeldTables implements LoadedTables {
  readonly #tables: TableStore;
  readonly #indexes = new Map<TableHandle, TableIndex>();
  /** The one that may have the key. */
  readonly #blocks = new Map<TableHandle, Block>();

  constructor(tables: TableStore) {
    this.#tables = tables;
  }

  cachedIndex(table: TableHandle): TableIndex | undefined {
    return this.#indexes.get(table) ?? this.#tables.cachedIndex(table);
  }

  cachedBlock(table: TableHandle, block: number): Block | undefined {
    return this.#blocks.get(table) ?? this.#tables.cachedBlock(table, block);
  }

  async load({ table, block }: Missing): Promise<void> {
    const index = this.cachedIndex(table) ?? (await this.#tables.index(table));
    this.#indexes.set(table, index);
    if (block !== undefined) this.#blocks.set(table, await this.#tables.block(table, block, index));
  }
}

/** The entries of the tail in key order. */
export function sortedTail(tail: ReadonlyMap<Key, Entry>): Entry[] {
  return [...tail.values()].sort((a, b) => compareKeys(a.key, b.key));
}
