/**
 * Sorts the entries of a pass by key, and keeps of each key the newest.
 *
 * Comparing strings in JavaScript is slow. So as many characters of each key as tell something become a number: at each place, only the
 * characters that stand there in some key are counted, so that eight hex digits take 32 bits, and what is the same in all takes none. The number and
 * the entry's place make 64 bits, which the engine sorts natively. Entries whose numbers are equal are sorted among
 * themselves in the same way, from where the number ended, and small groups by comparing.
 */
import { compareStamps } from '../src/base/stamp.ts';
import type { Entry } from '../src/format/entry.ts';
import type { Pacer } from './pace.ts';

/** Groups up to this size, and beyond `ENTRIES_MAX`, are sorted by comparing. */
const SMALL = 24;
const ENTRIES_MAX: number = 2 ** 20;
/** Characters that are looked at for one number. */
const WINDOW = 24;
/** The end of a key, and 256 characters. */
const SYMBOLS = 257;
/** Of a 64-bit number, the place takes at least these bits: the rest is reckoned in doubles, which hold 53. */
const PLACE_BITS_MIN = 11;

/** The array itself may be put into another order. */
export async function newestInOrder(entries: Entry[], pacer: Pacer): Promise<readonly Entry[]> {
  if (isStrictlySorted(entries)) return entries;
  const sorted: Entry[] = [];
  await sortInto(sorted, entries, { from: 0, pacer });
  return sorted;
}

/** A bulk load often comes in order. */
function isStrictlySorted(entries: readonly Entry[]): boolean {
  for (let i = 1; i < entries.length; i++) if ((entries[i - 1] as Entry).key >= (entries[i] as Entry).key) return false;
  return true;
}

/** @param options.from up to where the keys are the same */
async function sortInto(sorted: Entry[], entries: Entry[], options: { from: number; pacer: Pacer }): Promise<void> {
  const { pacer } = options;
  const from = commonPrefix(entries, options.from);
  if (entries.length <= SMALL || entries.length > ENTRIES_MAX || from === undefined) return compareInto(sorted, entries);
  const digits = digitsFrom(entries, from);
  if (pacer.step()) await pacer.rest();
  const numbers = new Numbers(entries, digits);
  if (pacer.step()) await pacer.rest();
  numbers.sort();

  for (let start = 0; start < entries.length; ) {
    const end = numbers.endOfRun(start);
    if (end === start + 1) {
      sorted.push(entries[numbers.placeAt(start)] as Entry);
    } else {
      const group: Entry[] = [];
      for (let i = start; i < end; i++) group.push(entries[numbers.placeAt(i)] as Entry);
      if (group.length <= SMALL) compareInto(sorted, group);
      else await sortInto(sorted, group, { from: from + digits.length, pacer });
    }
    start = end;
    if (pacer.step()) await pacer.rest();
  }
}

function compareInto(sorted: Entry[], entries: Entry[]): void {
  let last: Entry | undefined;
  for (const entry of entries.sort(compareEntries)) {
    if (last === undefined || entry.key !== last.key) sorted.push(entry);
    last = entry;
  }
}

function compareEntries(a: Entry, b: Entry): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return compareStamps(b.stamp, a.stamp);
}

/** Undefined if all keys are the same. @param from up to where they are known to be */
function commonPrefix(entries: readonly Entry[], from: number): number | undefined {
  const first = entries[0]?.key ?? '';
  let length = first.length;
  let isOne = true;
  for (const { key } of entries) {
    // Most keys have what all so far had in common.
    const end = Math.min(length, key.length);
    let i = Math.min(from, end);
    while (i < end && key.charCodeAt(i) === first.charCodeAt(i)) i++;
    length = i;
    isOne &&= key.length === length;
  }
  return isOne && length === first.length ? undefined : length;
}

/** What a character at one place counts: its rank among those that stand there, shorter keys first. */
interface Digit {
  readonly ranks: Uint16Array;
  readonly base: number;
}

/** The digits of the places from `from` on, as many as fit into a number. */
interface Digits {
  readonly from: number;
  readonly length: number;
  readonly digits: readonly Digit[];
  readonly placeBits: number;
}

function digitsFrom(entries: readonly Entry[], from: number): Digits {
  const seen = new Uint8Array(WINDOW * SYMBOLS);
  for (const { key } of entries) {
    const end = Math.min(key.length - from, WINDOW);
    for (let i = 0; i < end; i++) seen[i * SYMBOLS + 1 + key.charCodeAt(from + i)] = 1;
    if (end < WINDOW) seen[end * SYMBOLS] = 1;
  }
  const placeBits = Math.max(PLACE_BITS_MIN, 32 - Math.clz32(entries.length));
  const digits: Digit[] = [];
  let range = 1;
  for (let i = 0; i < WINDOW; i++) {
    const digit = digitOf(seen.subarray(i * SYMBOLS, (i + 1) * SYMBOLS));
    // Behind the end of a key nothing stands: its digits there count as the least.
    if (digit.base === 0 || range * digit.base > 2 ** (64 - placeBits)) break;
    range *= digit.base;
    digits.push(digit);
  }
  return { from, length: digits.length, digits, placeBits };
}

function digitOf(seen: Uint8Array): Digit {
  const ranks = new Uint16Array(SYMBOLS);
  let base = 0;
  for (let symbol = 0; symbol < SYMBOLS; symbol++) if (seen[symbol] === 1) ranks[symbol] = base++;
  return { ranks, base };
}

/** Where the lower half of a 64-bit number lies: machines differ. */
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;

/** A number for each entry: its key's digits above, its place below. */
class Numbers {
  readonly #numbers: BigUint64Array;
  readonly #halves: Uint32Array;
  readonly #placeBits: number;

  constructor(entries: readonly Entry[], { from, digits, placeBits }: Digits) {
    const count = entries.length;
    this.#numbers = new BigUint64Array(count);
    this.#halves = new Uint32Array(this.#numbers.buffer);
    this.#placeBits = placeBits;
    const halves = this.#halves;
    const places = 2 ** placeBits;
    const upper = 2 ** (32 - placeBits);
    for (let place = 0; place < count; place++) {
      const { key } = entries[place] as Entry;
      let number = 0;
      for (let i = 0; i < digits.length; i++) {
        const { ranks, base } = digits[i] as Digit;
        const at = from + i;
        number = number * base + (at < key.length ? (ranks[1 + key.charCodeAt(at)] as number) : 0);
      }
      const high = Math.floor(number / upper);
      halves[2 * place + LOW] = (number - high * upper) * places + place;
      halves[2 * place + 1 - LOW] = high;
    }
  }

  sort(): void {
    this.#numbers.sort();
  }

  placeAt(index: number): number {
    return (this.#halves[2 * index + LOW] as number) & (2 ** this.#placeBits - 1);
  }

  /** Behind the numbers that differ from this one by their places only. */
  endOfRun(index: number): number {
    const halves = this.#halves;
    const high = halves[2 * index + 1 - LOW];
    const low = (halves[2 * index + LOW] as number) >>> this.#placeBits;
    let end = index + 1;
    while (
      end < this.#numbers.length &&
      halves[2 * end + 1 - LOW] === high &&
      (halves[2 * end + LOW] as number) >>> this.#placeBits === low
    )
      end++;
    return end;
  }
}
