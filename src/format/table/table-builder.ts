/**
 * Builds one sorted table in memory: blocks as the entries come, and at the end the filter, the index and the
 * footer behind them.
 *
 * The table is appended to a writer that the caller may give: several tables of one file are built in place,
 * and a writer that is cleared and used again has its memory already, which is a third of the time.
 */
import { ByteWriter } from '../../base/bytes.ts';
import { assert } from '../../base/errors.ts';
import type { Key } from '../../base/key.ts';
import { crc32 } from '../checksum.ts';
import type { Entry } from '../entry.ts';
import type { TableRef } from '../root.ts';
import { BLOCK_BYTES, BlockBuilder } from './block.ts';
import { FilterBuilder } from './filter.ts';
import { FOOTER_BYTES, tableChecksum, writeFooter } from './footer.ts';

/** A table, and all that a root says of it but where it stands. */
export interface BuiltTable extends Omit<TableRef, 'file' | 'offset'> {
  readonly bytes: Buffer;
}

/** Offsets have 32 bits. */
const TABLE_BYTES_MAX = 0xffff_ffff;

export class TableBuilder {
  readonly #writer: ByteWriter;
  /** Where the table begins in the writer. */
  readonly #start: number;
  readonly #block: BlockBuilder;
  readonly #filter = new FilterBuilder();
  readonly #index = new ByteWriter();
  #blockStart = 0;
  #blocks = 0;
  #first: Key | undefined;
  #last: Key = '' as Key;
  #entries = 0;
  #tombstones = 0;
  #expiring = 0;
  #lastExpiryMs = 0;
  #maxTime = 0;
  #finished = false;

  /** Until `finish`, nobody else writes to `writer`. */
  constructor(writer: ByteWriter = new ByteWriter(64 * 1024)) {
    this.#writer = writer;
    this.#start = writer.length;
    this.#block = new BlockBuilder(writer);
  }

  get entries(): number {
    return this.#entries;
  }

  /** About how many bytes the table would have if it were finished now. */
  get byteLength(): number {
    return this.#writer.length - this.#start + this.#filter.byteLength + this.#index.length + FOOTER_BYTES;
  }

  /** Adds an entry, of which nothing is kept but the key; each key must be greater than the one before. */
  add(entry: Entry): void {
    assert(!this.#finished, 'a finished table gets no more entries');
    assert(entry.key > this.#last, 'the keys of a table ascend');
    this.#first ??= entry.key;
    this.#last = entry.key;
    this.#entries++;
    if (entry.value === undefined) this.#tombstones++;
    else if (entry.expiresAtMs !== 0) {
      this.#expiring++;
      if (entry.expiresAtMs > this.#lastExpiryMs) this.#lastExpiryMs = entry.expiresAtMs;
    }
    if (entry.stamp.time > this.#maxTime) this.#maxTime = entry.stamp.time;
    this.#filter.add(entry.key);
    this.#block.add(entry);
    if (this.#block.byteLength >= BLOCK_BYTES) this.#closeBlock();
  }

  #closeBlock(): void {
    const { length, checksum } = this.#block.finish();
    this.#index.varint(this.#last.length);
    this.#index.latin1(this.#last);
    this.#index.varint(this.#blockStart);
    this.#index.varint(length);
    this.#index.u32(checksum);
    this.#blockStart += length;
    this.#blocks++;
  }

  /** The table; its bytes are a view into the writer, valid until that is written to again. At least one entry must have been added. */
  finish(): BuiltTable {
    assert(!this.#finished && this.#first !== undefined, 'a table is finished once, and has an entry');
    this.#finished = true;
    if (this.#block.entries > 0) this.#closeBlock();
    const writer = this.#writer;
    const filterOffset = writer.length - this.#start;
    const filter = this.#filter.finish(writer);
    const indexOffset = writer.length - this.#start;
    const index = crc32(this.#index.view());
    writer.bytes(this.#index.view());
    writer.u32(index);
    const length = writer.length - this.#start + FOOTER_BYTES;
    assert(length <= TABLE_BYTES_MAX, "a table's offsets fit in 32 bits");
    const counts = {
      entries: this.#entries,
      tombstones: this.#tombstones,
      expiring: this.#expiring,
      maxTime: this.#maxTime,
      lastExpiryMs: this.#lastExpiryMs,
    };
    const footer = writeFooter(writer, { length, filterOffset, indexOffset, blocks: this.#blocks, ...counts });
    return {
      bytes: writer.view(this.#start),
      length,
      indexOffset: filterOffset,
      first: this.#first,
      last: this.#last,
      ...counts,
      checksum: tableChecksum({ filter, index, footer }),
    };
  }
}
