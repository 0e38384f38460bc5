/**
 * Values and their bytes: MessagePack, by msgpackr without records and without its native part.
 *
 * What is stored reads back the same, or is refused when it is written. msgpackr by itself would let some
 * values change on the way (a function becomes null, `__proto__` another name, a lone surrogate U+FFFD), so
 * a value is checked before it is packed.
 *
 * | stored | read back as |
 * |---|---|
 * | null, true, false, any number | the same (-0 reads back as 0) |
 * | strings of well-formed Unicode | the same |
 * | bigint from -2^63 to 2^64-1 | bigint |
 * | valid `Date` (whole milliseconds) | `Date` |
 * | `Uint8Array`, `Buffer` | `Buffer` (a copy) |
 * | arrays without holes, plain objects (`undefined` properties too) | the same |
 *
 * All else is a `TypeError` that names the path: undefined itself (delete the key instead), functions,
 * symbols, class instances, `Map`, `Set`, other typed arrays, a property named `__proto__`, cycles and
 * anything more than 100 levels deep.
 */
import { Packr } from 'msgpackr/pack';
import { show } from './key.ts';
import { decodePacked, UNKNOWN } from './value-decode.ts';

export const VALUE_BYTES_MAX: number = 16 * 1024 * 1024;
const DEPTH_MAX = 100;

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  mapsAsObjects: true,
  int64AsType: 'bigint',
  copyBuffers: true,
});

/**
 * Packs a value.
 *
 * @throws TypeError for a value outside the domain above, with the path to it.
 * @throws RangeError if the packed form is larger than 16 MiB.
 */
export function encodeValue(value: unknown): Buffer {
  checkValue(value, []);
  const bytes = packr.pack(value);
  if (bytes.length > VALUE_BYTES_MAX) {
    throw new RangeError(`a value may take ${VALUE_BYTES_MAX} bytes packed, got ${bytes.length}: ${show(value)}`);
  }
  return bytes;
}

/** By a reader of our own, at twice the speed; what that doesn't know is for msgpackr to read, or to refuse. */
export function decodeValue(bytes: Uint8Array): unknown {
  const value = decodePacked(bytes);
  return value === UNKNOWN ? packr.unpack(bytes) : value;
}

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/** The way from the value to the part being looked at; one for all calls, since checking never waits. */
type Trail = (string | number)[];

function refuse(what: string, trail: Trail, value: unknown): never {
  const path = trail.slice(0, 10).map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`));
  throw new TypeError(`a value can't hold ${what}${path.length === 0 ? '' : ` (at ${path.join('')})`}, got ${show(value)}`);
}

function checkValue(value: unknown, trail: Trail): void {
  switch (typeof value) {
    case 'boolean':
    case 'number':
      return;
    case 'string':
      if (!value.isWellFormed()) refuse('a string with a lone surrogate', trail, value);
      return;
    case 'bigint':
      if (value < INT64_MIN || value > UINT64_MAX) refuse('a bigint beyond 64 bits', trail, value);
      return;
    case 'undefined':
      if (trail.length === 0) refuse('undefined; delete the key instead', trail, value);
      return;
    case 'object':
      if (value !== null) checkObject(value, trail);
      return;
    case 'function':
    case 'symbol':
      refuse(`a ${typeof value}`, trail, value);
  }
}

function checkObject(value: object, trail: Trail): void {
  if (trail.length >= DEPTH_MAX) refuse(`more than ${DEPTH_MAX} levels, or a cycle`, trail, '...');
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      trail.push(i);
      if (value[i] === undefined) refuse('an array with a hole or undefined', trail, undefined);
      checkValue(value[i], trail);
      trail.pop();
    }
    return;
  }
  const prototype = Object.getPrototypeOf(value) as unknown;
  if (prototype === Object.prototype || prototype === null) {
    for (const name of Object.keys(value)) {
      trail.push(name);
      if (name === '__proto__') refuse('a property named "__proto__"', trail, value);
      if (!name.isWellFormed()) refuse('a property name with a lone surrogate', trail, name);
      checkValue((value as Record<string, unknown>)[name], trail);
      trail.pop();
    }
  } else if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) refuse('an invalid Date', trail, String(value));
  } else if (prototype !== Uint8Array.prototype && prototype !== Buffer.prototype) {
    refuse(`an instance of ${(value as { constructor?: { name?: string } }).constructor?.name ?? 'a class'}`, trail, value);
  }
}
