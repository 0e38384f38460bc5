/**
 * A piece of an object as a file of the cache:
 *
 *     "peatpc01"  8 bytes
 *     identity    32 bytes   what it is a piece of, and which one
 *     length      u32, little-endian, of the payload
 *     checksum    u32, CRC-32 of all of the above and the payload
 *     payload
 *
 * Whatever is not exactly that is no piece. No other version ever reads it: another form gets another magic.
 */
import { crc32 } from '../../format/checksum.ts';

const MAGIC = Buffer.from('peatpc01', 'latin1');
export const IDENTITY_BYTES = 32;
const LENGTH_AT = MAGIC.length + IDENTITY_BYTES;
const CHECKSUM_AT = LENGTH_AT + 4;
export const PIECE_HEADER_BYTES: number = CHECKSUM_AT + 4;

/** The file. Its payload is a copy. */
export function encodePiece(identity: Buffer, payload: Uint8Array): Buffer {
  const file = Buffer.allocUnsafeSlow(PIECE_HEADER_BYTES + payload.length);
  MAGIC.copy(file);
  identity.copy(file, MAGIC.length);
  file.writeUInt32LE(payload.length, LENGTH_AT);
  file.set(payload, PIECE_HEADER_BYTES);
  file.writeUInt32LE(checksumOf(file), CHECKSUM_AT);
  return file;
}

/** The payload, a view; undefined if the file is damaged, cut off, or another piece. */
export function decodePiece(identity: Buffer, file: Buffer): Buffer | undefined {
  if (file.length < PIECE_HEADER_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (!file.subarray(MAGIC.length, LENGTH_AT).equals(identity)) return undefined;
  if (file.readUInt32LE(LENGTH_AT) !== file.length - PIECE_HEADER_BYTES) return undefined;
  return file.readUInt32LE(CHECKSUM_AT) === checksumOf(file) ? file.subarray(PIECE_HEADER_BYTES) : undefined;
}

function checksumOf(file: Buffer): number {
  return crc32(file.subarray(PIECE_HEADER_BYTES), crc32(file.subarray(0, CHECKSUM_AT)));
}
