/**
 * Uses checksums backwards. CRC-32 is linear, which gives two things that no other code here needs: where a run of
 * bytes ends that is followed by its own checksum, and which single byte, put right, makes a checksum match.
 */

const TABLE = new Uint32Array(256);
/** Which entry of the table has this top byte: they are all different. */
const BY_TOP_BYTE = new Uint8Array(256);
const BY_VALUE = new Map<number, number>();
for (let i = 0; i < 256; i++) {
  let c = i;
  for (let bit = 0; bit < 8; bit++) c = (c & 1) === 0 ? c >>> 1 : (c >>> 1) ^ 0xedb88320;
  TABLE[i] = c;
  BY_TOP_BYTE[c >>> 24] = i;
  BY_VALUE.set(c >>> 0, i);
}

/**
 * The first `end` from `start + least` on so that the four bytes before it are the checksum of everything from `start` to them;
 * undefined if there is none up to `limit`.
 */
export function findChecksumEnd(bytes: Buffer, start: number, bounds: { least: number; limit: number }): number | undefined {
  let c = 0xffff_ffff;
  const last = bounds.limit - 4;
  for (let at = start; at <= last; at++) {
    if (at + 4 - start >= bounds.least && bytes.readUInt32LE(at) === ~c >>> 0) return at + 4;
    c = (TABLE[(c ^ (bytes[at] as number)) & 0xff] as number) ^ (c >>> 8);
  }
  return undefined;
}

/** A byte that differs from what was written, and by which bits. */
export interface ByteError {
  readonly at: number;
  readonly bits: number;
}

/** All single bytes that explain why `length` bytes have the checksum `actual` instead of `expected`. */
export function explainChecksum(length: number, actual: number, expected: number): ByteError[] {
  const errors: ByteError[] = [];
  let syndrome = (actual ^ expected) >>> 0;
  for (let at = length - 1; at >= 0; at--) {
    const bits = BY_VALUE.get(syndrome);
    if (bits !== undefined && bits !== 0) errors.push({ at, bits });
    // One step back: undoes what one byte behind the error did to it.
    const k = BY_TOP_BYTE[syndrome >>> 24] as number;
    syndrome = (((syndrome ^ (TABLE[k] as number)) << 8) | k) >>> 0;
  }
  return errors;
}
