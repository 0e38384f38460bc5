/**
 * The Bloom filter of a table (Bloom, "Space/time trade-offs in hash coding", 1970): it tells for most keys
 * that are not in the table that they are not, without reading a block. It never errs the other way.
 *
 * A filter is empty, which says "perhaps" to every key, or `probes:u8 bits:u8* checksum:u32`. The positions
 * are `(h + i * rotated(h)) mod bits` in whole numbers, nothing wraps at 32 bits. They are found by adding
 * and subtracting, which is exact and needs no division a probe.
 */
import { type ByteWriter, MalformedError } from '../../base/bytes.ts';
import { murmur3 } from '../../base/hash.ts';
import type { Key } from '../../base/key.ts';
import { crc32 } from '../checksum.ts';

const SEED = 0x9747b28c;
const BITS_PER_KEY = 10;
const PROBES = 7;
/** Tables with fewer entries have no filter: a search in their only block is as cheap. */
const ENTRIES_MIN = 8;
const CHECKSUM_BYTES = 4;

/** The hash that filters know a key by; the same for every table, so one look through a stack needs it once. */
export function filterHash(key: Key): number {
  return murmur3(key, SEED);
}

function rotated(hash: number): number {
  return ((hash >>> 17) | (hash << 15)) >>> 0;
}

export class FilterBuilder {
  readonly #hashes: number[] = [];

  /** How many bytes `finish` would write. */
  get byteLength(): number {
    return this.#hashes.length < ENTRIES_MIN ? 0 : 1 + this.#bitBytes() + CHECKSUM_BYTES;
  }

  #bitBytes(): number {
    return Math.ceil((this.#hashes.length * BITS_PER_KEY) / 8);
  }

  add(key: Key): void {
    this.#hashes.push(filterHash(key));
  }

  /** Appends the filter, or nothing if the keys are too few. Returns its checksum, 0 for none. */
  finish(writer: ByteWriter): number {
    if (this.#hashes.length < ENTRIES_MIN) return 0;
    const bytes = new Uint8Array(1 + this.#bitBytes());
    const bits = this.#bitBytes() * 8;
    bytes[0] = PROBES;
    for (const hash of this.#hashes) {
      const step = rotated(hash) % bits;
      let position = hash % bits;
      for (let i = 0; i < PROBES; i++) {
        const at = 1 + (position >>> 3);
        bytes[at] = (bytes[at] as number) | (1 << (position & 7));
        position += step;
        if (position >= bits) position -= bits;
      }
    }
    const checksum = crc32(bytes);
    writer.bytes(bytes);
    writer.u32(checksum);
    return checksum;
  }
}

export class Filter {
  /** As it stands in the file; 0 for no filter. */
  readonly checksum: number;
  /** The probes and the bits as they stand in the file, without the checksum; empty for no filter. */
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer, checksum: number) {
    this.checksum = checksum;
    this.#bytes = bytes;
  }

  /**
   * Reads a filter, of which it keeps a view.
   *
   * @throws MalformedError with an offset in `bytes`.
   */
  static decode(bytes: Buffer): Filter {
    if (bytes.length === 0) return new Filter(bytes, 0);
    const end = bytes.length - CHECKSUM_BYTES;
    if (end < 2) throw new MalformedError('the filter is too short', 0);
    const body = bytes.subarray(0, end);
    const checksum = bytes.readUInt32LE(end);
    if (crc32(body) !== checksum) throw new MalformedError("the filter's checksum does not match", 0);
    if (body[0] === 0) throw new MalformedError('the filter has no probes', 0);
    return new Filter(body, checksum);
  }

  /** False only if no key with this `filterHash` is in the table. */
  mayContain(hash: number): boolean {
    const bytes = this.#bytes;
    if (bytes.length === 0) return true;
    const probes = bytes[0] as number;
    const bits = (bytes.length - 1) * 8;
    const step = rotated(hash) % bits;
    let position = hash % bits;
    for (let i = 0; i < probes; i++) {
      if (((bytes[1 + (position >>> 3)] as number) & (1 << (position & 7))) === 0) return false;
      position += step;
      if (position >= bits) position -= bits;
    }
    return true;
  }
}
