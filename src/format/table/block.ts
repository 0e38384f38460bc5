/**
 * Blocks: runs of about 8 KiB of a table's entries, the unit that is read, checked and cached.
 *
 * Keys are stored without the part that they share with the key before; every 16th entry is a restart, whose
 * key stands whole. `Block.decode` checks everything that can be wrong in one walk over the entries, and notes
 * where each begins. What is read later is parsed again from there, entry by entry, and can't fail any more;
 * only keys are kept once they were needed, since a search compares the same few again and again.
 *
 * A block's own checksum says that it is whole, not that it is the right one: the table's index has each block's
 * checksum once more, and who reads a block by an index passes it on.
 */
import { ByteReader, type ByteWriter, MalformedError } from '../../base/bytes.ts';
import { assert } from '../../base/errors.ts';
import { KEY_BYTES_MAX, type Key, keyFromBytes } from '../../base/key.ts';
import { crc32 } from '../checksum.ts';
import type { Entry } from '../entry.ts';

/** A block is closed when its entries have this many bytes. */
export const BLOCK_BYTES = 8192;

const RESTART_EVERY = 16;
const WRITER_BYTES = 16;
/** `writers`, `restarts` and `checksum`. */
const TRAILER_BYTES = 12;

const TOMBSTONE = 1;
const EXPIRES = 2;
const HAS_SUB = 4;

/** What a decoded entry costs beside the block's bytes: its offset, its slot and the header of its key. */
const ENTRY_OVERHEAD_BYTES = 32;

/** What an index says of a block beside its last key and its place. */
export interface BuiltBlock {
  /** With checksum. */
  readonly length: number;
  readonly checksum: number;
}

/** Appends blocks to a writer, one after the other. */
export class BlockBuilder {
  readonly #writer: ByteWriter;
  #start: number;
  #lastKey: Key = '' as Key;
  #entries = 0;
  readonly #restarts: number[] = [];
  /** The block's writers in the order of their first use. */
  readonly #writers = new Map<string, number>();
  #lastWriter = '';
  #lastWriterIndex = 0;

  constructor(writer: ByteWriter) {
    this.#writer = writer;
    this.#start = writer.length;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Bytes of the entries so far. */
  get byteLength(): number {
    return this.#writer.length - this.#start;
  }

  /** Adds an entry; keys must ascend. */
  add(entry: Entry): void {
    const { key, stamp, value, expiresAtMs, absorbedAt } = entry;
    const writer = this.#writer;
    let shared = 0;
    if (this.#entries % RESTART_EVERY === 0) this.#restarts.push(this.byteLength);
    else shared = sharedLength(this.#lastKey, key);

    let flags = 0;
    if (value === undefined) flags |= TOMBSTONE;
    if (expiresAtMs !== 0) flags |= EXPIRES;
    if (stamp.sub !== 0) flags |= HAS_SUB;
    assert(key.length > 0 && key.length <= KEY_BYTES_MAX, 'a key has 1 to 1,024 bytes');
    assert((flags & TOMBSTONE) === 0 || (flags & EXPIRES) === 0, 'a tombstone does not expire');

    writer.varint(shared);
    writer.varint(key.length - shared);
    writer.u8(flags);
    writer.latin1(shared === 0 ? key : key.slice(shared));
    writer.u64(stamp.time);
    writer.varint(this.#writerIndex(stamp.writer));
    if ((flags & HAS_SUB) !== 0) writer.varint(stamp.sub);
    if ((flags & (TOMBSTONE | EXPIRES)) !== 0) writer.varint(absorbedAt);
    else assert(absorbedAt === 0, 'a put that does not expire carries no absorbing root');
    if ((flags & EXPIRES) !== 0) writer.varint(expiresAtMs);
    if (value !== undefined) {
      writer.varint(value.length);
      writer.bytes(value);
    }
    this.#lastKey = key;
    this.#entries++;
  }

  #writerIndex(id: string): number {
    if (id === this.#lastWriter) return this.#lastWriterIndex;
    let index = this.#writers.get(id);
    if (index === undefined) {
      assert(id.length === WRITER_BYTES, "a writer's id has 16 characters");
      index = this.#writers.size;
      this.#writers.set(id, index);
    }
    this.#lastWriter = id;
    this.#lastWriterIndex = index;
    return index;
  }

  /** Closes the block, and begins the next behind it. */
  finish(): BuiltBlock {
    assert(this.#entries > 0, 'a block has an entry');
    const writer = this.#writer;
    for (const id of this.#writers.keys()) writer.latin1(id);
    for (const offset of this.#restarts) writer.u32(offset);
    writer.u32(this.#writers.size);
    writer.u32(this.#restarts.length);
    const checksum = crc32(writer.view(this.#start));
    writer.u32(checksum);
    const length = this.byteLength;

    this.#start = writer.length;
    this.#entries = 0;
    this.#restarts.length = 0;
    this.#writers.clear();
    this.#lastWriter = '';
    return { length, checksum };
  }
}

function sharedLength(a: Key, b: Key): number {
  const end = Math.min(a.length, b.length);
  let i = 0;
  while (i < end && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return i;
}

/** Where the parts behind a block's entries begin. */
interface Trailer {
  readonly writersAt: number;
  readonly writers: number;
  readonly restartsAt: number;
  readonly restarts: number;
}

/** What the walk over a block's entries finds. */
interface Walk {
  readonly entries: number;
  /** Where each entry begins; may be longer than there are entries. */
  readonly starts: readonly number[];
  /** Bytes of all keys together. */
  readonly keyBytes: number;
}

/** Keys are put together here from what they share with the one before and what they don't. */
const keyScratch = Buffer.alloc(KEY_BYTES_MAX);

/** A decoded block. Entries are known by their index, 0 to `length` - 1, so that any part is read in either direction. */
export class Block {
  /** How many entries it has, at least 1. */
  readonly length: number;
  /** About how much memory it takes once all of its keys were needed. */
  readonly byteLength: number;
  readonly #bytes: Buffer;
  /** Over the entries; each method sets its place first. */
  readonly #reader: ByteReader;
  readonly #starts: readonly number[];
  readonly #writers: readonly string[];
  readonly #keys: (Key | undefined)[];

  private constructor(bytes: Buffer, trailer: Trailer, walk: Walk) {
    this.length = walk.entries;
    this.byteLength = bytes.length + walk.keyBytes + walk.entries * ENTRY_OVERHEAD_BYTES;
    this.#bytes = bytes;
    this.#reader = new ByteReader(bytes, 0, trailer.writersAt);
    this.#starts = walk.starts;
    const writers: string[] = [];
    for (let at = trailer.writersAt; at < trailer.restartsAt; at += WRITER_BYTES) {
      writers.push(bytes.toString('latin1', at, at + WRITER_BYTES));
    }
    this.#writers = writers;
    this.#keys = new Array<Key | undefined>(walk.entries).fill(undefined);
  }

  /**
   * Checks and decodes exactly one block, which must be the one that has the `checksum` that the table's index says;
   * only who has no index leaves it out. It keeps `bytes`, and values are views into it: they must not change.
   *
   * @throws MalformedError with an offset in `bytes`.
   */
  static decode(bytes: Buffer, checksum?: number): Block {
    const trailer = readTrailer(bytes);
    if (checksum !== undefined && checksum !== bytes.readUInt32LE(bytes.length - 4)) {
      throw new MalformedError('the block is not the one that the index describes', 0);
    }
    return new Block(bytes, trailer, walkEntries(bytes, trailer));
  }

  keyAt(index: number): Key {
    const key = this.#keys[index];
    if (key !== undefined) return key;
    this.#loadKeys(index);
    return this.#keys[index] as Key;
  }

  /** A restart's key is read alone, since a search looks at few others; any other with its whole run. */
  #loadKeys(index: number): void {
    assert(index >= 0 && index < this.length, 'the entry is in the block');
    const inRun = index % RESTART_EVERY;
    const first = index - inRun;
    const end = inRun === 0 ? index + 1 : Math.min(first + RESTART_EVERY, this.length);
    const reader = this.#reader;
    const bytes = this.#bytes;
    for (let i = first; i < end; i++) {
      reader.at = this.#starts[i] as number;
      const shared = reader.varint();
      const suffixLength = reader.varint();
      const suffixAt = reader.at + 1;
      for (let j = 0; j < suffixLength; j++) keyScratch[shared + j] = bytes[suffixAt + j] as number;
      this.#keys[i] ??= keyFromBytes(keyScratch, 0, shared + suffixLength);
    }
  }

  /** A new object each time; its value is a view into the block. */
  entryAt(index: number): Entry {
    const key = this.keyAt(index);
    const reader = this.#reader;
    reader.at = this.#starts[index] as number;
    reader.varint();
    const suffixLength = reader.varint();
    const flags = reader.u8();
    reader.at += suffixLength;
    const time = reader.u64();
    const writer = this.#writers[reader.varint()] as string;
    const sub = (flags & HAS_SUB) === 0 ? 0 : reader.varint();
    const absorbedAt = (flags & (TOMBSTONE | EXPIRES)) === 0 ? 0 : reader.varint();
    const expiresAtMs = (flags & EXPIRES) === 0 ? 0 : reader.varint();
    const value = (flags & TOMBSTONE) === 0 ? reader.bytes(reader.varint()) : undefined;
    return { key, stamp: { time, writer, sub }, value, expiresAtMs, absorbedAt };
  }

  /** The index of the first entry whose key is at least `key`; `length` if there is none. */
  lowerBound(key: Key): number {
    // First the run: the last one that does not begin beyond the key.
    let low = 0;
    let high = Math.ceil(this.length / RESTART_EVERY);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keyAt(middle * RESTART_EVERY) < key) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return 0;
    high = Math.min(low * RESTART_EVERY, this.length);
    low = (low - 1) * RESTART_EVERY + 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keyAt(middle) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  find(key: Key): Entry | undefined {
    const index = this.lowerBound(key);
    return index < this.length && this.keyAt(index) === key ? this.entryAt(index) : undefined;
  }
}

function readTrailer(bytes: Buffer): Trailer {
  const trailerAt = bytes.length - TRAILER_BYTES;
  if (trailerAt < 0) throw new MalformedError('the block is too short', 0);
  if (crc32(bytes.subarray(0, bytes.length - 4)) !== bytes.readUInt32LE(bytes.length - 4)) {
    throw new MalformedError("the block's checksum does not match", 0);
  }
  const writers = bytes.readUInt32LE(trailerAt);
  const restarts = bytes.readUInt32LE(trailerAt + 4);
  const restartsAt = trailerAt - restarts * 4;
  const writersAt = restartsAt - writers * WRITER_BYTES;
  if (writersAt <= 0 || restarts === 0) throw new MalformedError("the block's parts do not fit in it", trailerAt);
  return { writersAt, writers, restartsAt, restarts };
}

/** Checks every field of every entry, so that nothing has to be checked later. */
function walkEntries(bytes: Buffer, trailer: Trailer): Walk {
  const reader = new ByteReader(bytes, 0, trailer.writersAt);
  const starts: number[] = [];
  let entries = 0;
  let keyLength = 0;
  let keyBytes = 0;
  while (!reader.done) {
    const start = reader.at;
    if (entries === trailer.restarts * RESTART_EVERY) throw new MalformedError('an entry has no restart', start);
    if (entries % RESTART_EVERY === 0) {
      const restart = bytes.readUInt32LE(trailer.restartsAt + (entries / RESTART_EVERY) * 4);
      if (restart !== start) throw new MalformedError('a restart is not where the block says', start);
      keyLength = 0;
    }
    starts.push(start);
    entries++;
    keyLength = walkEntry(reader, keyLength, trailer.writers);
    keyBytes += keyLength;
  }
  if (entries <= (trailer.restarts - 1) * RESTART_EVERY) throw new MalformedError('a restart has no entry', trailer.restartsAt);
  return { entries, starts, keyBytes };
}

/** Checks one entry, and goes behind it. Returns the length of its key. */
function walkEntry(reader: ByteReader, sharedMax: number, writers: number): number {
  const start = reader.at;
  const shared = reader.varint();
  const suffixLength = reader.varint();
  const keyLength = shared + suffixLength;
  if (shared > sharedMax || keyLength === 0 || keyLength > KEY_BYTES_MAX) throw new MalformedError("an entry's key is malformed", start);
  const flags = reader.u8();
  if (flags > (TOMBSTONE | EXPIRES | HAS_SUB) || (flags & (TOMBSTONE | EXPIRES)) === (TOMBSTONE | EXPIRES)) {
    throw new MalformedError('an entry has unknown flags', start);
  }
  reader.at += suffixLength;
  reader.u64();
  if (reader.varint() >= writers) throw new MalformedError('an entry names no writer', start);
  if ((flags & HAS_SUB) !== 0) reader.varint();
  if ((flags & (TOMBSTONE | EXPIRES)) !== 0) reader.varint();
  if ((flags & EXPIRES) !== 0) reader.varint();
  if ((flags & TOMBSTONE) === 0) {
    const valueLength = reader.varint();
    if (valueLength > reader.end - reader.at) throw new MalformedError("an entry's value is longer than its block", start);
    reader.at += valueLength;
  }
  return keyLength;
}
