/**
 * Keys. A user's key is a string; inside the engine a key is a `Key`: a string that has one character
 * (U+0000 to U+00FF) for each byte of the key's UTF-8 form.
 *
 * So `<` on two `Key`s compares bytes, which `<` on JavaScript strings does not (it compares UTF-16 units,
 * and puts U+1F600 before U+FF21). For ASCII, nearly all keys, a `Key` is the user's string itself: no
 * conversion, no copy, and it serves as the key of a `Map`.
 */

import { inspect } from 'node:util';

declare const byteString: unique symbol;

/** A key as a string of its UTF-8 bytes. */
export type Key = string & { readonly [byteString]: true };

export const KEY_BYTES_MAX = 1024;

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is meant, control characters included.
const ASCII_ONLY = /^[\x00-\x7f]*$/;

/**
 * Checks a user's key and converts it.
 *
 * @throws TypeError for anything that is not a well-formed string (a lone surrogate has no UTF-8 form).
 * @throws RangeError if it has no byte or more than 1,024.
 */
export function toKey(key: unknown): Key {
  if (typeof key !== 'string') throw new TypeError(`a key must be a string, got ${show(key)}`);
  const bytes = toByteString(key);
  if (bytes.length === 0) throw new RangeError('a key must have at least 1 byte, got ""');
  if (bytes.length > KEY_BYTES_MAX) {
    throw new RangeError(`a key may have ${KEY_BYTES_MAX} bytes of UTF-8, got ${bytes.length}: ${show(key)}`);
  }
  return bytes;
}

/** Converts a bound or a prefix of a scan: like a key, but it may be empty and of any length. */
export function toBound(bound: unknown, what: string): Key {
  if (typeof bound !== 'string') throw new TypeError(`${what} must be a string, got ${show(bound)}`);
  return toByteString(bound);
}

function toByteString(text: string): Key {
  if (ASCII_ONLY.test(text)) return text as Key;
  if (!text.isWellFormed()) throw new TypeError(`a key must be well-formed Unicode, got ${show(text)}`);
  return Buffer.from(text, 'utf8').toString('latin1') as Key;
}

/** The user's string again. */
export function fromKey(key: Key): string {
  return ASCII_ONLY.test(key) ? key : Buffer.from(key, 'latin1').toString('utf8');
}

/** The bytes of a key as a `Key`, as they stand in a file. */
export function keyFromBytes(bytes: Buffer, start: number, end: number): Key {
  return bytes.toString('latin1', start, end) as Key;
}

export function compareKeys(a: Key, b: Key): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The least key that is greater than every key with this prefix; undefined if there is none. */
export function prefixEnd(prefix: Key): Key | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix.charCodeAt(i);
    if (byte < 0xff) return (prefix.slice(0, i) + String.fromCharCode(byte + 1)) as Key;
  }
  return undefined;
}

const SHOWN_MAX = 120;

/** A value in an error message: short, quoted if it is a string, and found without going through all of a large one. */
export function show(value: unknown): string {
  let text: string;
  if (typeof value === 'string') text = JSON.stringify(value.length > SHOWN_MAX ? value.slice(0, SHOWN_MAX) : value);
  else if (typeof value === 'object')
    text = inspect(value, { depth: 1, maxArrayLength: 8, maxStringLength: 60, breakLength: Number.POSITIVE_INFINITY });
  else text = String(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX - 3)}...` : text;
}
