/**
 * Sorts the entries of a pass by key, of one key the newest first.
 *
 * Comparing strings in JavaScript is slow. So four bytes of each key, the first that are not the same in all, become a number together
 * with the entry's place, and the numbers are sorted by the engine's native sort. Entries whose four bytes are equal
 * are sorted among themselves in the same way, and small groups by comparing.
 */
import { compareStamps } from '../src/base/stamp.ts';
import type { Entry } from '../src/format/entry.ts';
import type { Pacer } from './pace.ts';

/** A number holds 32 bits of key and 20 bits of place. */
const PLACES: number = 2 ** 20;
/** Groups up to this size, and beyond `PLACES`, are sorted by comparing. */
const SMALL = 24;

export async function sortEntries(entries: Entry[], pacer: Pacer): Promise<Entry[]> {
  return await sortGroup(entries, -1, pacer);
}

/** @param parentPrefix bytes that the group that this one is part of has in common */
async function sortGroup(entries: Entry[], parentPrefix: number, pacer: Pacer): Promise<Entry[]> {
  if (isSorted(entries)) return entries;
  if (entries.length <= SMALL || entries.length > PLACES) return entries.sort(compareEntries);
  const prefix = commonPrefix(entries);
  // The same key again and again, or one that goes on with zero bytes: numbers don't tell them apart.
  if (prefix <= parentPrefix) return entries.sort(compareEntries);
  const numbers = new Float64Array(entries.length);
  for (let i = 0; i < entries.length; i++) numbers[i] = wordAt((entries[i] as Entry).key, prefix) * PLACES + i;
  numbers.sort();
  await pacer.rest();

  const sorted: Entry[] = [];
  for (let start = 0; start < numbers.length; ) {
    const word = wordOf(numbers[start] as number);
    let end = start + 1;
    while (end < numbers.length && wordOf(numbers[end] as number) === word) end++;
    if (end === start + 1) {
      sorted.push(entries[(numbers[start] as number) % PLACES] as Entry);
    } else {
      const group = Array.from(numbers.subarray(start, end), (number) => entries[number % PLACES] as Entry);
      const ordered = group.length <= SMALL ? group.sort(compareEntries) : await sortGroup(group, prefix, pacer);
      for (const entry of ordered) sorted.push(entry);
    }
    start = end;
    if (pacer.step()) await pacer.rest();
  }
  return sorted;
}

/** A bulk load often comes in order. */
function isSorted(entries: readonly Entry[]): boolean {
  for (let i = 1; i < entries.length; i++) if (compareEntries(entries[i - 1] as Entry, entries[i] as Entry) > 0) return false;
  return true;
}

function compareEntries(a: Entry, b: Entry): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return compareStamps(b.stamp, a.stamp);
}

function commonPrefix(entries: readonly Entry[]): number {
  const first = (entries[0] as Entry).key;
  let length = first.length;
  for (const { key } of entries) {
    // Most keys have what all so far had in common.
    let i = 0;
    const end = Math.min(length, key.length);
    while (i < end && key.charCodeAt(i) === first.charCodeAt(i)) i++;
    length = i;
  }
  return length;
}

/** Four bytes of a key, in the order of keys; zeros behind its end. */
function wordAt(key: string, at: number): number {
  if (at + 4 <= key.length) {
    const high = (key.charCodeAt(at) << 8) | key.charCodeAt(at + 1);
    return high * 0x1_0000 + ((key.charCodeAt(at + 2) << 8) | key.charCodeAt(at + 3));
  }
  let word = 0;
  for (let i = at; i < at + 4; i++) word = word * 256 + (i < key.length ? key.charCodeAt(i) : 0);
  return word;
}

function wordOf(number: number): number {
  return Math.floor(number / PLACES);
}
