/**
 * Takes a table's bytes apart without giving up at the first bad one: every block that can be read, and what is wrong with the rest.
 *
 * Blocks are found by the index, also by one whose checksum is wrong, since each block has a checksum of its own; and where
 * the index is no help, by looking for the next checksum that fits what stands before it.
 */
import { ByteReader, MalformedError } from '../base/bytes.ts';
import { KEY_BYTES_MAX, type Key } from '../base/key.ts';
import { crc32 } from '../format/checksum.ts';
import type { TableRef } from '../format/root.ts';
import { Block } from '../format/table/block.ts';
import { Filter, filterHash } from '../format/table/filter.ts';
import { FOOTER_BYTES, type Footer, readFooter } from '../format/table/footer.ts';
import { listTables } from '../format/table/table-file.ts';
import { TableIndex } from '../format/table/table-index.ts';
import { findChecksumEnd } from './crc-search.ts';

export interface TableBlock {
  /** From the table's start. */
  readonly offset: number;
  readonly length: number;
  /** Undefined if it can't be read. */
  readonly block: Block | undefined;
}

export interface TableProblem {
  /** From the table's start. */
  readonly offset: number;
  readonly code: 'footer-damaged' | 'filter-damaged' | 'index-damaged' | 'block-damaged' | 'order' | 'count' | 'bytes-damaged';
  readonly what: string;
}

export interface TableAnatomy {
  readonly length: number;
  readonly footer: Footer | undefined;
  /** Bytes of the filter with its checksum. */
  readonly filterBytes: number;
  readonly filterOk: boolean;
  readonly indexOk: boolean;
  /** In the order of their offsets. */
  readonly blocks: readonly TableBlock[];
  readonly problems: readonly TableProblem[];
}

/** The least bytes of a block: an entry, a writer, a restart and the trailer. */
const BLOCK_BYTES_MIN = 40;
/** Within this a block ends that begins at a place that was guessed. */
const SEARCH_BYTES = 32 * 1024;
const CHECKSUM_BYTES = 4;

/** @param ref what a root says of the table, where one is known */
export function dissectTable(bytes: Buffer, ref?: TableRef): TableAnatomy {
  return new TableDissection(bytes, ref).run();
}

class TableDissection {
  readonly #bytes: Buffer;
  readonly #ref: TableRef | undefined;
  readonly #problems: TableProblem[] = [];
  #footer: Footer | undefined;
  /** Where the blocks end and the filter begins. */
  #blocksEnd: number;

  constructor(bytes: Buffer, ref: TableRef | undefined) {
    this.#bytes = bytes;
    this.#ref = ref;
    this.#blocksEnd = Math.min(ref?.indexOffset ?? bytes.length, bytes.length);
  }

  run(): TableAnatomy {
    this.#readFooter();
    const filter = this.#readFilter();
    const { ranges, indexOk, lastKeys } = this.#readIndex();
    const blocks = this.#readBlocks(ranges, indexOk);
    this.#checkContents(blocks, { filter, lastKeys });
    this.#checkRef(blocks);
    const footer = this.#footer;
    return {
      length: this.#bytes.length,
      footer,
      filterBytes: footer === undefined ? 0 : footer.indexOffset - footer.filterOffset,
      filterOk: filter !== undefined,
      indexOk,
      blocks,
      problems: this.#problems.sort((a, b) => a.offset - b.offset),
    };
  }

  #problem(code: TableProblem['code'], offset: number, what: string): void {
    this.#problems.push({ code, offset, what: what.replace(/ at byte \d+$/, '') });
  }

  /** Runs a decoder whose offsets count from `base`; undefined, and a problem, if it finds the bytes malformed. */
  #try<T>(code: TableProblem['code'], base: number, decode: () => T): T | undefined {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#problem(code, base + error.offset, error.message);
      return undefined;
    }
  }

  #readFooter(): void {
    const footer = this.#try('footer-damaged', 0, () => readFooter(this.#bytes));
    if (footer === undefined) return;
    if (footer.length !== this.#bytes.length) {
      this.#problem('footer-damaged', this.#bytes.length - FOOTER_BYTES, `the footer says that the table has ${footer.length} bytes`);
      return;
    }
    this.#footer = footer;
    this.#blocksEnd = footer.filterOffset;
  }

  #readFilter(): Filter | undefined {
    const footer = this.#footer;
    if (footer === undefined) return undefined;
    const bytes = this.#bytes.subarray(footer.filterOffset, footer.indexOffset);
    return this.#try('filter-damaged', footer.filterOffset, () => Filter.decode(bytes));
  }

  #readIndex(): { ranges: BlockRange[]; indexOk: boolean; lastKeys: Key[] } {
    const footer = this.#footer;
    if (footer === undefined) return { ranges: [], indexOk: false, lastKeys: [] };
    const end = this.#bytes.length - FOOTER_BYTES - CHECKSUM_BYTES;
    const { ranges, lastKeys, complete } = looseIndex(this.#bytes.subarray(footer.indexOffset, end));
    if (crc32(this.#bytes.subarray(footer.indexOffset, end)) !== this.#bytes.readUInt32LE(end)) {
      this.#problem('index-damaged', footer.indexOffset, "the index's checksum does not match");
      return { ranges, indexOk: false, lastKeys: [] };
    }
    const covered = ranges.at(-1);
    const fits =
      complete && ranges.length === footer.blocks && covered !== undefined && covered.offset + covered.length === this.#blocksEnd;
    if (!fits) this.#problem('index-damaged', footer.indexOffset, 'the index does not cover the blocks, although its checksum is right');
    return { ranges, indexOk: fits, lastKeys: fits ? lastKeys : [] };
  }

  #readBlocks(ranges: readonly BlockRange[], trusted: boolean): TableBlock[] {
    const blocks: TableBlock[] = [];
    const known = new Map(ranges.map((range) => [range.offset, range]));
    let at = 0;
    while (at < this.#blocksEnd) {
      const range = known.get(at);
      let end = at + (range?.length ?? 0);
      // An index that can't be trusted may be wrong about a checksum, too: then the block's own decides.
      let block = range === undefined ? undefined : decodeBlock(this.#bytes, range, trusted ? range.checksum : undefined);
      if (block === undefined && !trusted) {
        end = findChecksumEnd(this.#bytes, at, { least: BLOCK_BYTES_MIN, limit: this.#blocksEnd }) ?? at;
        block = end === at ? undefined : decodeBlock(this.#bytes, { offset: at, length: end - at });
      }
      if (block === undefined) {
        end = trusted && range !== undefined ? at + range.length : this.#findNextBlock(ranges, at);
        this.#problem('block-damaged', at, 'a block is damaged');
      }
      blocks.push({ offset: at, length: end - at, block });
      at = end;
    }
    return blocks;
  }

  /** Behind bytes that are no block: where the next one begins that can be read, or else where a damaged index says. */
  #findNextBlock(ranges: readonly BlockRange[], after: number): number {
    const bytes = this.#bytes;
    const end = this.#blocksEnd;
    for (let at = after + 1; at <= end - BLOCK_BYTES_MIN; at++) {
      // A block begins with an entry whose key shares nothing with the one before, is not empty, and has few flags.
      const suffixLength = bytes[at + 1] as number;
      if (bytes[at] !== 0 || suffixLength === 0 || (suffixLength < 0x80 && (bytes[at + 2] as number) > 7)) continue;
      const blockEnd = findChecksumEnd(bytes, at, { least: BLOCK_BYTES_MIN, limit: Math.min(end, at + SEARCH_BYTES) });
      if (blockEnd !== undefined && decodeBlock(bytes, { offset: at, length: blockEnd - at }) !== undefined) return at;
    }
    return nextOffset(ranges, after, end);
  }

  /** Order within and across blocks, and what filter and index say of the keys. */
  #checkContents(blocks: readonly TableBlock[], known: { filter: Filter | undefined; lastKeys: readonly Key[] }): void {
    let last: Key | undefined;
    for (const [i, { offset, block }] of blocks.entries()) {
      if (block === undefined) continue;
      for (let j = 0; j < block.length; j++) {
        const key = block.keyAt(j);
        if (last !== undefined && key <= last) this.#problem('order', offset, 'its keys do not ascend');
        last = key;
        if (known.filter?.mayContain(filterHash(key)) === false)
          this.#problem('filter-damaged', offset, 'the filter denies a key that is there');
      }
      const indexed = known.lastKeys[i];
      if (indexed !== undefined && indexed !== last)
        this.#problem('index-damaged', offset, 'the index has another last key for this block');
    }
  }

  /** What footer and root say of the whole, against what the blocks hold. */
  #checkRef(blocks: readonly TableBlock[]): void {
    const ref = this.#ref;
    if (ref !== undefined && this.#problems.length === 0) {
      this.#try('bytes-damaged', 0, () => TableIndex.decode(this.#bytes.subarray(ref.indexOffset), ref));
    }
    if (blocks.some(({ block }) => block === undefined)) return;
    const found = countBlocks(blocks);
    const described: [string, Partial<typeof found>][] = [];
    if (this.#footer !== undefined) described.push(['footer', pickCounts(this.#footer)]);
    if (ref !== undefined) described.push(['root', { ...pickCounts(ref), first: ref.first, last: ref.last }]);
    for (const [who, says] of described) {
      for (const [field, value] of Object.entries(says)) {
        const actual = found[field as keyof typeof found];
        if (actual !== value) this.#problem('count', 0, `the ${who} says ${field} ${show(value)}, the blocks ${show(actual)}`);
      }
    }
  }
}

interface BlockRange {
  readonly offset: number;
  readonly length: number;
  readonly checksum: number;
}

/** Reads an index as far as it makes sense, whatever its checksum says. */
function looseIndex(bytes: Buffer): { ranges: BlockRange[]; lastKeys: Key[]; complete: boolean } {
  const ranges: BlockRange[] = [];
  const lastKeys: Key[] = [];
  const reader = new ByteReader(bytes);
  try {
    let next = 0;
    while (!reader.done) {
      const keyLength = reader.varint();
      if (keyLength === 0 || keyLength > KEY_BYTES_MAX) break;
      const key = reader.latin1(keyLength) as Key;
      const offset = reader.varint();
      const length = reader.varint();
      const checksum = reader.u32();
      if (offset < next || length === 0) break;
      lastKeys.push(key);
      ranges.push({ offset, length, checksum });
      next = offset + length;
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  return { ranges, lastKeys, complete: reader.done };
}

function nextOffset(ranges: readonly BlockRange[], after: number, end: number): number {
  const next = ranges.find(({ offset }) => offset > after)?.offset ?? end;
  return Math.min(next, end);
}

function decodeBlock(bytes: Buffer, { offset, length }: Omit<BlockRange, 'checksum'>, checksum?: number): Block | undefined {
  if (offset + length > bytes.length) return undefined;
  try {
    return Block.decode(bytes.subarray(offset, offset + length), checksum);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

function countBlocks(
  blocks: readonly TableBlock[],
): Pick<TableRef, 'entries' | 'tombstones' | 'expiring' | 'maxTime' | 'lastExpiryMs' | 'first' | 'last'> {
  const counts = { entries: 0, tombstones: 0, expiring: 0, maxTime: 0, lastExpiryMs: 0, first: '' as Key, last: '' as Key };
  for (const { block } of blocks) {
    if (block === undefined) continue;
    if (counts.entries === 0) counts.first = block.keyAt(0);
    counts.last = block.keyAt(block.length - 1);
    for (let i = 0; i < block.length; i++) {
      const { value, expiresAtMs, stamp } = block.entryAt(i);
      counts.entries++;
      if (value === undefined) counts.tombstones++;
      else if (expiresAtMs !== 0) {
        counts.expiring++;
        counts.lastExpiryMs = Math.max(counts.lastExpiryMs, expiresAtMs);
      }
      if (stamp.time > counts.maxTime) counts.maxTime = stamp.time;
    }
  }
  return counts;
}

function pickCounts({
  entries,
  tombstones,
  expiring,
  maxTime,
  lastExpiryMs,
}: Pick<TableRef, 'entries' | 'tombstones' | 'expiring' | 'maxTime' | 'lastExpiryMs'>): {
  entries: number;
  tombstones: number;
  expiring: number;
  maxTime: number;
  lastExpiryMs: number;
} {
  return { entries, tombstones, expiring, maxTime, lastExpiryMs };
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}

/** A stretch of a file of tables: a table, whole or not, or bytes that belong to none. */
export interface TableSlice {
  readonly offset: number;
  readonly length: number;
  /** A footer's end stands at its end. */
  readonly isTable: boolean;
}

/**
 * Cuts a file, or a part of one, into tables without a root: from its end backwards, as each footer says how long its table is. Where a footer
 * is damaged, the next one before it that can be read is looked for, and what stands between is one slice.
 */
export function sliceTables(bytes: Buffer): TableSlice[] {
  const slices: TableSlice[] = [];
  let end = bytes.length;
  while (end > 0) {
    const length = footerLength(bytes, end);
    if (length !== undefined) {
      slices.push({ offset: end - length, length, isTable: true });
      end -= length;
      continue;
    }
    let start = end - 1;
    while (start > 0 && footerLength(bytes, start) === undefined) start--;
    slices.push({ offset: start, length: end - start, isTable: false });
    end = start;
  }
  return slices.reverse();
}

/** How long the table is whose footer ends at `end`; undefined if none does. */
function footerLength(bytes: Buffer, end: number): number | undefined {
  if (end < FOOTER_BYTES || bytes[end - 1] !== LAST_BYTE) return undefined;
  try {
    const { length } = readFooter(bytes.subarray(0, end));
    return length <= end ? length : undefined;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** What every table ends with: the last character of its magic. */
const LAST_BYTE = 0x31;

/** True if the bytes are whole tables, one after the other, with nothing wrong in them. */
export function areWholeTables(bytes: Buffer): boolean {
  try {
    return listTables(bytes).every(({ offset, length }) => dissectTable(bytes.subarray(offset, offset + length)).problems.length === 0);
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw error;
  }
}
