/**
 * Puts checked JSON right where a single byte of it is wrong. The checksum tells which byte; that the result parses and is, byte
 * for byte, what its own contents encode to rules out a coincidence.
 */
import { checkedJsonTrailer } from '../format/checked-json.ts';
import { encodeCheckedJson } from '../format/checked-json-encode.ts';
import { crc32 } from '../format/checksum.ts';
import { explainChecksum } from './crc-search.ts';

const TRAILER = /^\ncrc32:([0-9a-f]{8})\n$/;

export interface Mended {
  readonly bytes: Buffer;
  /** Where the wrong byte is. */
  readonly offset: number;
}

/** Undefined if more than one byte is wrong. */
export function mendCheckedJson(bytes: Buffer): Mended | undefined {
  const length = bytes.length - checkedJsonTrailer(Buffer.alloc(0)).length;
  if (length < 1) return undefined;
  const json = bytes.subarray(0, length);
  const trailer = bytes.toString('latin1', length);
  const expected = checkedJsonTrailer(json);
  const whole = Buffer.concat([json, Buffer.from(expected, 'latin1')]);
  const wrong: number[] = [];
  for (let at = length; at < bytes.length; at++) if (bytes[at] !== whole[at]) wrong.push(at);
  if (wrong.length === 1) return accept(whole, wrong[0] as number);
  const checksum = TRAILER.exec(trailer)?.[1];
  if (checksum === undefined) return undefined;
  for (const { at, bits } of explainChecksum(length, crc32(json), Number.parseInt(checksum, 16))) {
    const mended = Buffer.from(bytes);
    mended[at] = (mended[at] as number) ^ bits;
    const accepted = accept(mended, at);
    if (accepted !== undefined) return accepted;
  }
  return undefined;
}

function accept(bytes: Buffer, offset: number): Mended | undefined {
  try {
    const text = bytes.toString('utf8');
    const value = JSON.parse(text.slice(0, text.indexOf('\n'))) as unknown;
    return encodeCheckedJson(value).equals(bytes) ? { bytes, offset } : undefined;
  } catch {
    return undefined;
  }
}
