/**
 * Scans: the entries of a key range, ascending or descending, merged from the tail and the stacks of the shards.
 *
 * Shards are gone through one after the other; of each table one block is in use at a time, so memory stays flat whatever
 * the size of the range.
 */
import { compareKeys, type Key } from '../base/key.ts';
import type { Entry } from '../format/entry.ts';
import { ArraySource, type EntrySource, NewestMerge } from '../format/merge.ts';
import type { Block } from '../format/table/block.ts';
import type { TableIndex } from '../format/table/table-index.ts';
import { type ShardTables, type State, shardIndex } from './state.ts';
import type { TableHandle, TableStore } from './table-store.ts';

/** A range of keys: from `from` (included) to `to` (left out). */
export interface KeyRange {
  readonly from: Key;
  readonly to: Key | undefined;
}

/** One table's entries in a range, loaded a block at a time. */
class TableSource implements EntrySource {
  current: Entry | undefined;
  readonly #tables: TableStore;
  readonly #table: TableHandle;
  readonly #range: KeyRange;
  readonly #step: 1 | -1;
  #index: TableIndex | undefined;
  #block: Block | undefined;
  #blockNumber = 0;
  #at = 0;

  constructor(tables: TableStore, table: TableHandle, options: { range: KeyRange; reverse: boolean }) {
    this.#tables = tables;
    this.#table = table;
    this.#range = options.range;
    this.#step = options.reverse ? -1 : 1;
  }

  /** Goes to the first entry of the range. */
  start(): void | Promise<void> {
    const index = this.#tables.index(this.#table);
    return index instanceof Promise ? index.then((loaded) => this.#seek(loaded)) : this.#seek(index);
  }

  #seek(index: TableIndex): void | Promise<void> {
    this.#index = index;
    const { from, to } = this.#range;
    if (this.#step === 1) return this.#enter(index.findBlock(from), (block) => block.lowerBound(from));
    const number = to === undefined ? index.blocks - 1 : Math.min(index.findBlock(to), index.blocks - 1);
    return this.#enter(number, (block) => (to === undefined ? block.length : block.lowerBound(to)) - 1);
  }

  /** Loads a block and stands at the entry that `position` tells; goes on where that lies outside of the block. */
  #enter(number: number, position: (block: Block) => number): void | Promise<void> {
    const index = this.#index as TableIndex;
    this.#blockNumber = number;
    if (number < 0 || number >= index.blocks) {
      this.#block = undefined;
      this.current = undefined;
      return;
    }
    const block = this.#tables.block(this.#table, number, index);
    if (block instanceof Promise) return block.then((loaded) => this.#stand(loaded, position(loaded)));
    return this.#stand(block, position(block));
  }

  #stand(block: Block, at: number): void | Promise<void> {
    this.#block = block;
    this.#at = at;
    if (at < 0 || at >= block.length) return this.#nextBlock();
    const entry = block.entryAt(at);
    const { from, to } = this.#range;
    this.current = this.#step === 1 ? (to === undefined || entry.key < to ? entry : undefined) : entry.key >= from ? entry : undefined;
  }

  #nextBlock(): void | Promise<void> {
    return this.#enter(this.#blockNumber + this.#step, (block) => (this.#step === 1 ? 0 : block.length - 1));
  }

  advance(): void | Promise<void> {
    if (this.#block === undefined) return;
    return this.#stand(this.#block, this.#at + this.#step);
  }
}

/** A sorted tail's part in a range. */
function tailSource(tail: readonly Entry[], range: KeyRange, reverse: boolean): EntrySource {
  const start = lowerBound(tail, range.from);
  const end = range.to === undefined ? tail.length : lowerBound(tail, range.to);
  return new ArraySource(tail.slice(start, end), { reverse });
}

function lowerBound(entries: readonly Entry[], key: Key): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys((entries[middle] as Entry).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Goes through a range of a state; tombstones and expired entries included, each key once with its newest entry. */
export class RangeReader {
  readonly #state: State;
  readonly #tables: TableStore;
  readonly #tail: readonly Entry[];
  readonly #range: KeyRange;
  readonly #reverse: boolean;
  #shard: number;
  #merge: NewestMerge | undefined;

  /** @param sorted the state's tail in key order */
  constructor(state: State, options: { tables: TableStore; sorted: readonly Entry[]; range: KeyRange; reverse: boolean }) {
    this.#state = state;
    this.#tables = options.tables;
    this.#tail = options.sorted;
    this.#range = options.range;
    this.#reverse = options.reverse;
    const { from, to } = options.range;
    const last = state.shards.length - 1;
    this.#shard = Math.max(0, options.reverse ? (to === undefined ? last : shardIndex(state.shards, to)) : shardIndex(state.shards, from));
  }

  /** The next entry; undefined at the end. A promise only where something must be loaded. */
  next(): Entry | undefined | Promise<Entry | undefined> {
    if (this.#merge === undefined) return this.#open();
    const entry = this.#merge.next();
    if (entry instanceof Promise) return entry.then((loaded) => loaded ?? this.#nextShard());
    return entry ?? this.#nextShard();
  }

  /** The part of the range that lies in a shard; undefined if there is none. */
  #clip(shard: ShardTables | undefined): KeyRange | undefined {
    const { from, to } = this.#range;
    // A namespace without shards has a tail only.
    const shardFrom = shard?.from ?? ('' as Key);
    const low = shardFrom > from ? shardFrom : from;
    const high = shard?.to === undefined ? to : to === undefined || shard.to < to ? shard.to : to;
    return high !== undefined && low >= high ? undefined : { from: low, to: high };
  }

  #open(): Entry | undefined | Promise<Entry | undefined> {
    const shard = this.#state.shards[this.#shard];
    if (shard === undefined && (this.#state.shards.length > 0 || this.#shard > 0)) return undefined;
    const { from, to } = this.#range;
    const isPast = this.#reverse
      ? shard?.to !== undefined && shard.to <= from
      : to !== undefined && shard !== undefined && shard.from >= to;
    const range = this.#clip(shard);
    if (isPast || range === undefined) return isPast ? undefined : this.#nextShard();
    const sources: EntrySource[] = [];
    const waits: Promise<void>[] = [];
    for (const table of shard?.tables ?? []) {
      const { ref } = table;
      if (ref.last < range.from || (range.to !== undefined && ref.first >= range.to)) continue;
      const source = new TableSource(this.#tables, table, { range, reverse: this.#reverse });
      const started = source.start();
      if (started !== undefined) waits.push(started);
      sources.push(source);
    }
    const begin = (): Entry | undefined | Promise<Entry | undefined> => {
      this.#merge = new NewestMerge([tailSource(this.#tail, range, this.#reverse), ...sources], { reverse: this.#reverse });
      return this.next();
    };
    return waits.length > 0 ? Promise.all(waits).then(begin) : begin();
  }

  #nextShard(): Entry | undefined | Promise<Entry | undefined> {
    this.#merge = undefined;
    this.#shard += this.#reverse ? -1 : 1;
    if (this.#shard < 0) {
      this.#shard = this.#state.shards.length + 1;
      return undefined;
    }
    return this.#open();
  }
}
