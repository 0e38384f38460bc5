/** Writes checked JSON; see `checked-json.ts`. */
import stringify from 'fast-json-stable-stringify';
import { assert } from '../base/errors.ts';
import { checkedJsonTrailer } from './checked-json.ts';

/** The bytes of `value`, with sorted keys, and their checksum. Properties that are undefined are left out. */
export function encodeCheckedJson(value: unknown): Buffer {
  // The library's types promise a string, but undefined and functions have none.
  const text = stringify(value) as string | undefined;
  assert(text !== undefined, 'checked JSON holds a value');
  const json = Buffer.from(text, 'utf8');
  return Buffer.concat([json, Buffer.from(checkedJsonTrailer(json), 'latin1')]);
}
