/** The last 44 bytes of a table: where its parts stand, and what it holds. */
import { type ByteWriter, MalformedError, readU64 } from '../../base/bytes.ts';
import { crc32 } from '../checksum.ts';

export const FOOTER_BYTES = 44;
export const TABLE_MAGIC: Buffer = Buffer.from('PEATTBL1', 'latin1');

const CHECKSUM_AT = 32;
const MAGIC_AT = 36;

export interface Footer {
  /** Where the filter begins, from the table's start; the blocks end there. */
  readonly filterOffset: number;
  /** Where the index begins, and the filter ends. */
  readonly indexOffset: number;
  readonly blocks: number;
  readonly entries: number;
  readonly tombstones: number;
  readonly expiring: number;
  readonly maxTime: number;
}

export function writeFooter(writer: ByteWriter, footer: Footer): void {
  const start = writer.length;
  writer.u32(footer.filterOffset);
  writer.u32(footer.indexOffset);
  writer.u32(footer.blocks);
  writer.u32(footer.entries);
  writer.u32(footer.tombstones);
  writer.u32(footer.expiring);
  writer.u64(footer.maxTime);
  writer.u32(crc32(writer.view(start)));
  writer.bytes(TABLE_MAGIC);
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
    filterOffset: bytes.readUInt32LE(start),
    indexOffset: bytes.readUInt32LE(start + 4),
    blocks: bytes.readUInt32LE(start + 8),
    entries: bytes.readUInt32LE(start + 12),
    tombstones: bytes.readUInt32LE(start + 16),
    expiring: bytes.readUInt32LE(start + 20),
    maxTime: readU64(bytes, start + 24),
  };
  if (footer.filterOffset > footer.indexOffset || !Number.isSafeInteger(footer.maxTime)) {
    throw new MalformedError('the footer is malformed', start);
  }
  return footer;
}
