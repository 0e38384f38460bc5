/**
 * The checksum of every format here: CRC-32 (ISO-HDLC), as in zlib and gzip. It finds any single damaged
 * byte and any burst of up to 32 bits for sure.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';

/**
 * The CRC-32 of `bytes`, unsigned. With a seed, the CRC-32 of something before these bytes, it is that of
 * both in a row.
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed);
}
