/**
 * A table's tail in memory, from its filter to its end: which block may hold a key, and whether any does.
 *
 * It is checked as a whole when it is decoded: three checksums, the footer against the bytes and against the
 * root, the blocks one after the other without gaps. The root's checksum covers these three, and the index has
 * that of every block: a decoded index is the very one that the root names, and a block that it describes is
 * the very one that was written. The last keys of the blocks become strings only when a
 * search meets them; a process that reads one key of a large table compares a dozen.
 */
import { ByteReader, MalformedError } from '../../base/bytes.ts';
import { assert } from '../../base/errors.ts';
import { KEY_BYTES_MAX, type Key, keyFromBytes } from '../../base/key.ts';
import { crc32 } from '../checksum.ts';
import type { TableRef } from '../root.ts';
import { Filter, filterHash } from './filter.ts';
import { FOOTER_BYTES, type Footer, footerChecksum, readFooter, tableChecksum } from './footer.ts';

const CHECKSUM_BYTES = 4;
/** What a block's entry costs beside the tail's bytes, the header of its last key included. */
const BLOCK_OVERHEAD_BYTES = 44;

/** Where a block stands, and what its checksum is. */
export interface BlockRange {
  /** From the table's start. */
  readonly offset: number;
  /** The checksum included. */
  readonly length: number;
  readonly checksum: number;
}

/** The index's entries, found in one walk over it. */
interface Blocks {
  /** Where each block begins, from the table's start, and behind the last one where the filter begins. */
  readonly offsets: Uint32Array;
  readonly checksums: Uint32Array;
  /** Where, in the tail, the last key of each block begins ... */
  readonly keyStarts: Uint32Array;
  /** ... and ends. */
  readonly keyEnds: Uint32Array;
}

export class TableIndex {
  /** How many blocks the table has, at least 1. */
  readonly blocks: number;
  readonly footer: Footer;
  /** What a root that names the table says of it (`TableRef.checksum`). */
  readonly checksum: number;
  /** About how much memory it takes once all of its keys were needed. */
  readonly byteLength: number;
  readonly #tail: Buffer;
  readonly #filter: Filter;
  readonly #blocks: Blocks;
  readonly #lastKeys: (Key | undefined)[];

  private constructor(tail: Buffer, footer: Footer, filter: Filter, index: { readonly blocks: Blocks; readonly checksum: number }) {
    this.blocks = footer.blocks;
    this.footer = footer;
    this.checksum = tableChecksum({ filter: filter.checksum, index: index.checksum, footer: footerChecksum(tail) });
    this.byteLength = tail.length * 2 + footer.blocks * BLOCK_OVERHEAD_BYTES;
    this.#tail = tail;
    this.#filter = filter;
    this.#blocks = index.blocks;
    this.#lastKeys = new Array<Key | undefined>(footer.blocks).fill(undefined);
  }

  /**
   * Reads what stands from `ref.indexOffset` to the table's end. It keeps `tail`, which must not change.
   *
   * @throws MalformedError with an offset from the table's start.
   */
  static decode(tail: Buffer, ref: TableRef): TableIndex {
    const tailAt = ref.indexOffset;
    if (tailAt + tail.length !== ref.length) throw new MalformedError('the table is not as long as its root says', tailAt + tail.length);
    const index = TableIndex.read(tail, tailAt);
    const { footer } = index;
    const agrees =
      index.checksum === ref.checksum &&
      footer.entries === ref.entries &&
      footer.tombstones === ref.tombstones &&
      footer.expiring === ref.expiring &&
      footer.maxTime === ref.maxTime &&
      footer.lastExpiryMs === ref.lastExpiryMs &&
      index.lastKeyOf(index.blocks - 1) === ref.last;
    if (!agrees) throw new MalformedError('the table is not the one its root describes', ref.length - FOOTER_BYTES);
    return index;
  }

  /**
   * The same for a table that no root describes; `tailAt` is where, from the table's start, the tail begins.
   *
   * @throws MalformedError with an offset from the table's start.
   */
  static read(tail: Buffer, tailAt: number): TableIndex {
    try {
      const footer = readFooter(tail);
      if (footer.filterOffset !== tailAt) throw new MalformedError('the filter is not where it should be', tail.length - FOOTER_BYTES);
      if (footer.length !== tailAt + tail.length)
        throw new MalformedError('the table is not as long as it says', tail.length - FOOTER_BYTES);
      const filterEnd = footer.indexOffset - tailAt;
      const indexEnd = tail.length - FOOTER_BYTES - CHECKSUM_BYTES;
      if (filterEnd > indexEnd) throw new MalformedError('the index is not where it should be', tail.length - FOOTER_BYTES);
      const filter = Filter.decode(tail.subarray(0, filterEnd));
      const checksum = tail.readUInt32LE(indexEnd);
      if (crc32(tail.subarray(filterEnd, indexEnd)) !== checksum)
        throw new MalformedError("the index's checksum does not match", filterEnd);
      const blocks = walkIndex(new ByteReader(tail, filterEnd, indexEnd), footer);
      return new TableIndex(tail, footer, filter, { blocks, checksum });
    } catch (error) {
      if (!(error instanceof MalformedError) || tailAt === 0) throw error;
      throw new MalformedError(error.message.replace(/ at byte \d+$/, ''), tailAt + error.offset);
    }
  }

  /** False only if the table does not have the key. Who asks several tables computes `filterHash(key)` once. */
  mayContain(key: Key, hash: number = filterHash(key)): boolean {
    return this.#filter.mayContain(hash);
  }

  /**
   * The first block whose last key is at least `key`: the only one that may hold `key`, and the one where the
   * entries from `key` on begin. `blocks` if the whole table lies below `key`.
   */
  findBlock(key: Key): number {
    let low = 0;
    let high = this.blocks;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.lastKeyOf(middle) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  blockRange(block: number): BlockRange {
    assert(block >= 0 && block < this.blocks, 'the block is in the table');
    const { offsets, checksums } = this.#blocks;
    const offset = offsets[block] as number;
    return { offset, length: (offsets[block + 1] as number) - offset, checksum: checksums[block] as number };
  }

  lastKeyOf(block: number): Key {
    const known = this.#lastKeys[block];
    if (known !== undefined) return known;
    assert(block >= 0 && block < this.blocks, 'the block is in the table');
    const key = keyFromBytes(this.#tail, this.#blocks.keyStarts[block] as number, this.#blocks.keyEnds[block] as number);
    this.#lastKeys[block] = key;
    return key;
  }
}

function walkIndex(reader: ByteReader, footer: Footer): Blocks {
  // An entry has at least 8 bytes: a number of blocks that can't be is found before room is made for it.
  if (footer.blocks === 0 || footer.blocks > footer.entries || footer.blocks > (reader.end - reader.at) / 8)
    throw new MalformedError('the number of blocks is wrong', reader.end);
  const offsets = new Uint32Array(footer.blocks + 1);
  const checksums = new Uint32Array(footer.blocks);
  const keyStarts = new Uint32Array(footer.blocks);
  const keyEnds = new Uint32Array(footer.blocks);
  let next = 0;
  for (let i = 0; i < footer.blocks; i++) {
    const start = reader.at;
    const keyLength = reader.varint();
    if (keyLength === 0 || keyLength > KEY_BYTES_MAX) throw new MalformedError('a last key is malformed', start);
    keyStarts[i] = reader.at;
    reader.at += keyLength;
    keyEnds[i] = reader.at;
    const offset = reader.varint();
    const length = reader.varint();
    if (offset !== next || length === 0) throw new MalformedError('the blocks leave a gap or overlap', start);
    offsets[i] = offset;
    checksums[i] = reader.u32();
    next += length;
    if (next > footer.filterOffset) throw new MalformedError('a block lies beyond the others', start);
  }
  offsets[footer.blocks] = next;
  if (!reader.done || next !== footer.filterOffset) throw new MalformedError('the index does not cover the blocks', reader.at);
  return { offsets, checksums, keyStarts, keyEnds };
}
