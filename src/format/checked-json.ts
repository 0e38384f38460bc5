/**
 * Checked JSON: canonical JSON in one line, then a line with its CRC-32 (`docs/format.md`). `peat.json`, roots and
 * tickets are written like that: people can read them, and every single damaged byte is found.
 *
 * This file reads. Writing is `checked-json-encode.ts`: it needs a library whose import takes longer than everything
 * else that a short-lived reader loads.
 */
import { corrupt } from '../base/errors.ts';
import { crc32 } from './checksum.ts';

const TRAILER_BYTES = '\ncrc32:xxxxxxxx\n'.length;

/** What follows the JSON: the line's end, and the line with the checksum of `json`. */
export function checkedJsonTrailer(json: Uint8Array): string {
  return `\ncrc32:${crc32(json).toString(16).padStart(8, '0')}\n`;
}

/**
 * The value that was written. The trailer must be, byte for byte, the one that a writer makes: a checksum in upper case
 * is damage, too.
 *
 * @param file named in the error
 * @throws PeatError `CORRUPT`
 */
export function decodeCheckedJson(bytes: Uint8Array, file: string): unknown {
  const length = bytes.length - TRAILER_BYTES;
  if (length < 1) throw corrupt(file, bytes.length, 'the file ends too early');
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const json = buffer.subarray(0, length);
  if (buffer.toString('latin1', length) !== checkedJsonTrailer(json)) throw corrupt(file, length, 'the checksum does not match the JSON');
  try {
    return JSON.parse(json.toString('utf8')) as unknown;
  } catch {
    throw corrupt(file, 0, 'this is not JSON, although its checksum matches');
  }
}
