/**
 * Reads back what `encodeValue` packed: the part of MessagePack that it writes, at twice the speed of msgpackr without its native part, and
 * without its losing a U+FEFF at the start of a text of 64 bytes or more.
 *
 * Whatever it does not know, or finds malformed, is left to msgpackr: then `decodePacked` returns `UNKNOWN`. So it need not judge. Reading
 * beyond the end finds `undefined`, which is no token, or ends beyond the end, which is looked at last.
 */

/** Told of bytes that are for msgpackr to read, or to refuse. */
export const UNKNOWN: unique symbol = Symbol('unknown');

/** Thrown to get out of a nested value; one for all, since where it comes from tells nobody anything. */
const GIVE_UP = new Error('not what is written here');

/** Shorter texts are put together faster than by a call into the runtime. */
const SHORT_TEXT_BYTES = 12;
/** Names of properties are mostly the same few. */
const NAMES_KEPT = 1024;

interface KeptName {
  readonly bytes: Uint8Array;
  readonly text: string;
}

const names: (KeptName | undefined)[] = new Array<KeptName | undefined>(NAMES_KEPT).fill(undefined);

/** What is being read; decoding never waits, and calls nobody who could decode. */
let source: Buffer = Buffer.alloc(0);
let at = 0;

export function decodePacked(bytes: Uint8Array): unknown {
  source = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  at = 0;
  try {
    const value = decodeNext();
    return at === bytes.length ? value : UNKNOWN;
  } catch (error) {
    // The stack may end, too, or a number of bytes be none.
    if (error === GIVE_UP || error instanceof RangeError) return UNKNOWN;
    throw error;
  }
}

function decodeNext(): unknown {
  const token = source[at++] as number;
  if (token < 0x80) return token;
  if (token < 0x90) return decodeObject(token & 0x0f);
  if (token < 0xa0) return decodeArray(token & 0x0f);
  if (token < 0xc0) return decodeText(token & 0x1f);
  if (token >= 0xe0) return token - 0x100;
  switch (token) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return decodeBuffer(source.readUInt8(skip(1)));
    case 0xc5:
      return decodeBuffer(source.readUInt16BE(skip(2)));
    case 0xc6:
      return decodeBuffer(source.readUInt32BE(skip(4)));
    case 0xc7:
      return decodeFarDate();
    case 0xcb:
      return source.readDoubleBE(skip(8));
    case 0xcc:
      return source.readUInt8(skip(1));
    case 0xcd:
      return source.readUInt16BE(skip(2));
    case 0xce:
      return source.readUInt32BE(skip(4));
    case 0xcf:
      return source.readBigUInt64BE(skip(8));
    case 0xd0:
      return source.readInt8(skip(1));
    case 0xd1:
      return source.readInt16BE(skip(2));
    case 0xd2:
      return source.readInt32BE(skip(4));
    case 0xd3:
      return source.readBigInt64BE(skip(8));
    case 0xd4:
      return decodeUndefined();
    case 0xd6:
      return decodeDate(4);
    case 0xd7:
      return decodeDate(8);
    case 0xd9:
      return decodeText(source.readUInt8(skip(1)));
    case 0xda:
      return decodeText(source.readUInt16BE(skip(2)));
    case 0xdb:
      return decodeText(source.readUInt32BE(skip(4)));
    case 0xdc:
      return decodeArray(source.readUInt16BE(skip(2)));
    case 0xdd:
      return decodeArray(source.readUInt32BE(skip(4)));
    case 0xde:
      return decodeObject(source.readUInt16BE(skip(2)));
    case 0xdf:
      return decodeObject(source.readUInt32BE(skip(4)));
    default:
      throw GIVE_UP;
  }
}

/** Goes behind so many bytes; returns where they are. */
function skip(bytes: number): number {
  const start = at;
  at += bytes;
  return start;
}

function decodeText(length: number): string {
  const start = skip(length);
  return length < SHORT_TEXT_BYTES ? decodeShortText(start, at) : source.toString('utf8', start, at);
}

function decodeShortText(start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) {
    const byte = source[i] as number;
    if (!(byte < 0x80)) return source.toString('utf8', start, end);
    text += ASCII[byte];
  }
  return text;
}

const ASCII: readonly string[] = Array.from({ length: 0x80 }, (_, code) => String.fromCharCode(code));

function decodeArray(length: number): unknown[] {
  const items: unknown[] = [];
  for (let i = 0; i < length; i++) items.push(decodeNext());
  return items;
}

function decodeObject(length: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (let i = 0; i < length; i++) {
    const name = decodeName();
    if (name === '__proto__') throw GIVE_UP;
    object[name] = decodeNext();
  }
  return object;
}

function decodeName(): string {
  const token = source[at++] as number;
  if (token === 0xd9) return decodeText(source.readUInt8(skip(1)));
  if (token === 0xda) return decodeText(source.readUInt16BE(skip(2)));
  if (token === 0xdb) return decodeText(source.readUInt32BE(skip(4)));
  if (!(token >= 0xa0 && token < 0xc0)) throw GIVE_UP;
  const length = token & 0x1f;
  const start = skip(length);
  let hash = length;
  for (let i = start; i < at; i++) hash = (hash * 31 + (source[i] as number)) | 0;
  const slot = hash & (NAMES_KEPT - 1);
  const kept = names[slot];
  if (kept !== undefined && isAt(kept.bytes, start, length)) return kept.text;
  if (at > source.length) throw GIVE_UP;
  const text = source.toString('utf8', start, at);
  names[slot] = { bytes: Uint8Array.prototype.slice.call(source, start, at), text };
  return text;
}

function isAt(bytes: Uint8Array, start: number, length: number): boolean {
  if (bytes.length !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[i] !== source[start + i]) return false;
  return true;
}

/** A copy: the block that it stands in need not live as long. */
function decodeBuffer(length: number): Buffer {
  const start = skip(length);
  if (at > source.length) throw GIVE_UP;
  return Buffer.from(source.subarray(start, at));
}

/** msgpackr's own extension 0. */
function decodeUndefined(): undefined {
  const start = skip(2);
  if (source[start] !== 0 || at > source.length) throw GIVE_UP;
}

/** Seconds; or nanoseconds in 30 bits and seconds in 34. */
function decodeDate(bytes: 4 | 8): Date {
  const start = skip(1 + bytes);
  if (source[start] !== 0xff || at > source.length) throw GIVE_UP;
  const first = source.readUInt32BE(start + 1);
  if (bytes === 4) return new Date(first * 1000);
  const seconds = (first & 3) * 0x1_0000_0000 + source.readUInt32BE(start + 5);
  return new Date((first >>> 2) / 1_000_000 + seconds * 1000);
}

/** Nanoseconds, and seconds before 1970 or far behind it, of which six bytes and the sign count. */
function decodeFarDate(): Date {
  const start = skip(14);
  if (source[start] !== 12 || source[start + 1] !== 0xff || at > source.length) throw GIVE_UP;
  const sign = ((source[start + 6] as number) & 0x80) === 0 ? 0 : -0x1_0000_0000_0000;
  return new Date(source.readInt32BE(start + 2) / 1_000_000 + (sign + source.readUIntBE(start + 8, 6)) * 1000);
}
