/**
 * Tables as readers see them: indexes and blocks, loaded when they are needed, checked when they are loaded, and
 * kept in a cache of bounded size.
 *
 * The cache has two generations. What is used is put into, or moved to, the young one; when that holds half of the budget,
 * the old one is forgotten and the young one becomes old. It is nearly as good as exact recency, and a hit costs one look-up.
 */
import { MalformedError } from '../base/bytes.ts';
import { corrupt, isPeatError, PeatError } from '../base/errors.ts';
import type { NamespaceLayout } from '../format/layout.ts';
import type { TableRef } from '../format/root.ts';
import { Block } from '../format/table/block.ts';
import { TableIndex } from '../format/table/table-index.ts';
import type { Medium } from '../medium/medium.ts';

/** A table that may be in use, with a number that is its name in the cache. These stay small: the engine finds small integers sooner. */
export interface TableHandle {
  readonly ref: TableRef;
  readonly cacheId: number;
}

/** Thrown when a table's file is gone: the root that named it is no longer the newest. */
export class TableGoneError extends Error {
  readonly file: string;
  constructor(file: string) {
    super(`${file} is gone`);
    this.file = file;
  }
}

/** In the cache, a table's index stands under its `cacheId`, and its blocks, which are no more than its entries, under the numbers behind that. */
const FIRST_BLOCK = 1;

type Cached = TableIndex | Block;

export class TableStore {
  readonly #medium: Medium;
  readonly #layout: NamespaceLayout;
  readonly #generationBytes: number;
  #young = new Map<number, Cached>();
  #old = new Map<number, Cached>();
  #youngBytes = 0;
  #nextId = 0;
  #handles = new Map<string, TableHandle>();

  readonly counters = { blocksRead: 0, indexesRead: 0, bytesRead: 0 };

  constructor(medium: Medium, layout: NamespaceLayout, options: { cacheBytes: number }) {
    this.#medium = medium;
    this.#layout = layout;
    this.#generationBytes = options.cacheBytes / 2;
  }

  /** The handle of a table: the same one for the same slice of a file, whichever root names it. */
  handle(ref: TableRef): TableHandle {
    const id = `${ref.file}@${ref.offset}`;
    let handle = this.#handles.get(id);
    if (handle === undefined) {
      handle = { ref, cacheId: this.#nextId };
      this.#nextId += FIRST_BLOCK + ref.entries;
      this.#handles.set(id, handle);
    }
    return handle;
  }

  /** Forgets tables that are not in `live`; a snapshot that still holds a handle may go on using it. */
  retain(live: ReadonlySet<TableHandle>): void {
    for (const [id, handle] of this.#handles) if (!live.has(handle)) this.#handles.delete(id);
  }

  cachedIndex(table: TableHandle): TableIndex | undefined {
    return this.#cached(table.cacheId) as TableIndex | undefined;
  }

  cachedBlock(table: TableHandle, block: number): Block | undefined {
    return this.#cached(table.cacheId + FIRST_BLOCK + block) as Block | undefined;
  }

  #cached(key: number): Cached | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    this.#keep(key, old);
    return old;
  }

  #keep(key: number, value: Cached): void {
    if (this.#youngBytes + value.byteLength > this.#generationBytes && this.#young.size > 0) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(key, value);
    this.#youngBytes += value.byteLength;
  }

  /**
   * The index of a table. A promise only if the medium has no blocking calls.
   *
   * @throws TableGoneError, PeatError `CORRUPT`
   */
  index(table: TableHandle): TableIndex | Promise<TableIndex> {
    const cached = this.cachedIndex(table);
    if (cached !== undefined) return cached;
    const { ref } = table;
    return this.#load(table, { offset: ref.indexOffset, length: ref.length - ref.indexOffset }, (bytes) => {
      this.counters.indexesRead++;
      const index = TableIndex.decode(bytes, ref);
      this.#keep(table.cacheId, index);
      return index;
    });
  }

  /** A block of a table. A promise only if the medium has no blocking calls. */
  block(table: TableHandle, block: number, index: TableIndex): Block | Promise<Block> {
    const cached = this.cachedBlock(table, block);
    if (cached !== undefined) return cached;
    const range = index.blockRange(block);
    return this.#load(table, range, (bytes) => {
      this.counters.blocksRead++;
      let decoded: Block;
      try {
        decoded = Block.decode(bytes, range.checksum);
      } catch (error) {
        throw error instanceof MalformedError
          ? new MalformedError(error.message.replace(/ at byte \d+$/, ''), range.offset + error.offset)
          : error;
      }
      this.#keep(table.cacheId + FIRST_BLOCK + block, decoded);
      return decoded;
    });
  }

  #load<T>(table: TableHandle, range: { offset: number; length: number }, decode: (bytes: Buffer) => T): T | Promise<T> {
    const { ref } = table;
    const name = this.#layout.shard + ref.file;
    const parse = (bytes: Buffer | undefined): T => {
      if (bytes === undefined) throw new TableGoneError(name);
      this.counters.bytesRead += bytes.length;
      try {
        if (bytes.length < range.length) throw new MalformedError('the file ends too early', range.offset + bytes.length);
        return decode(bytes);
      } catch (error) {
        if (error instanceof MalformedError) throw corrupt(name, ref.offset + error.offset, error.message.replace(/ at byte \d+$/, ''));
        throw error;
      }
    };
    const at = { offset: ref.offset + range.offset, length: range.length };
    const blocking = this.#medium.blocking;
    if (blocking !== undefined) return parse(blocking.get(name, at));
    const loaded = this.#medium.get(name, at).then(parse);
    if (this.#medium.getAgain === undefined) return loaded;
    return loaded.catch(async (error: unknown) => {
      // It may be the copy that is damaged, and not the table.
      if (!isPeatError(error, 'CORRUPT')) throw error;
      return parse(await this.#medium.getAgain?.(name, at));
    });
  }
}

/** What a caller sees where a table vanished for good under a pinned state. */
export function snapshotExpired(error: TableGoneError): PeatError {
  return new PeatError('SNAPSHOT_EXPIRED', 'the snapshot is older than the retention time; take a new one', { file: error.file });
}
