/** The last 56 bytes of a table: how long it is, where its parts stand, and what it holds. */
import { type ByteWriter, MalformedError, readU64 } from '../../base/bytes.ts';
import { crc32 } from '../checksum.ts';

export const FOOTER_BYTES = 56;
const TABLE_MAGIC = Buffer.from('PEATTBL1', 'latin1');

const CHECKSUM_AT = 44;
const MAGIC_AT = 48;

export interface Footer {
  /** Of the whole table, the footer included. */
  readonly length: number;
  /** Where the filter begins, from the table's start; the blocks end there. */
  readonly filterOffset: number;
  /** Where the index begins, and the filter ends. */
  readonly indexOffset: number;
  readonly blocks: number;
  readonly entries: number;
  readonly tombstones: number;
  readonly expiring: number;
  readonly maxTime: number;
  readonly lastExpiryMs: number;
}

/** Appends the footer. Returns its checksum. */
export function writeFooter(writer: ByteWriter, footer: Footer): number {
  const start = writer.length;
  writer.u32(footer.length);
  writer.u32(footer.filterOffset);
  writer.u32(footer.indexOffset);
  writer.u32(footer.blocks);
  writer.u32(footer.entries);
  writer.u32(footer.tombstones);
  writer.u32(footer.expiring);
  writer.u64(footer.maxTime);
  writer.u64(footer.lastExpiryMs);
  const checksum = crc32(writer.view(start));
  writer.u32(checksum);
  writer.bytes(TABLE_MAGIC);
  return checksum;
}

/**
 * Reads the footer that `bytes` ends with.
 *
 * @throws MalformedError with an offset in `bytes`.
 */
export function readFooter(bytes: Buffer): Footer {
  const start = bytes.length - FOOTER_BYTES;
  if (start < 0) throw new MalformedError('the table is too short', 0);
  if (TABLE_MAGIC.compare(bytes, start + MAGIC_AT) !== 0) throw new MalformedError('no table ends here', start + MAGIC_AT);
  if (crc32(bytes.subarray(start, start + CHECKSUM_AT)) !== bytes.readUInt32LE(start + CHECKSUM_AT)) {
    throw new MalformedError("the footer's checksum does not match", start);
  }
  const footer = {
    length: bytes.readUInt32LE(start),
    filterOffset: bytes.readUInt32LE(start + 4),
    indexOffset: bytes.readUInt32LE(start + 8),
    blocks: bytes.readUInt32LE(start + 12),
    entries: bytes.readUInt32LE(start + 16),
    tombstones: bytes.readUInt32LE(start + 20),
    expiring: bytes.readUInt32LE(start + 24),
    maxTime: readU64(bytes, start + 28),
    lastExpiryMs: readU64(bytes, start + 36),
  };
  const inOrder = footer.filterOffset <= footer.indexOffset && footer.indexOffset + FOOTER_BYTES < footer.length;
  if (!inOrder || !Number.isSafeInteger(footer.maxTime) || !Number.isSafeInteger(footer.lastExpiryMs))
    throw new MalformedError('the footer is malformed', start);
  return footer;
}

/** The checksum of the footer that `bytes` ends with, as it stands there. */
export function footerChecksum(bytes: Buffer): number {
  return bytes.readUInt32LE(bytes.length - FOOTER_BYTES + CHECKSUM_AT);
}

/**
 * What a root knows a table by: the CRC-32 of its parts' checksums. The index has the checksums of the blocks, so it
 * stands for every byte. A CRC-32 over the whole table would tell nothing: where bytes are followed by their own
 * CRC-32, any others of that length, followed by theirs, give the same.
 */
export function tableChecksum(parts: { readonly filter: number; readonly index: number; readonly footer: number }): number {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(parts.filter, 0);
  bytes.writeUInt32LE(parts.index, 4);
  bytes.writeUInt32LE(parts.footer, 8);
  return crc32(bytes);
}
