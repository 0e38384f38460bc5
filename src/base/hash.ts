/**
 * MurmurHash3 (x86, 32 bits; Appleby, public domain) of a key's bytes. Part of the written format: filters
 * of tables and the stripes of a namespace are chosen by it, so its results never change.
 */
import type { Key } from './key.ts';

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/** An unsigned 32-bit hash of the bytes that `key`'s characters stand for. */
export function murmur3(key: Key, seed: number): number {
  const length = key.length;
  const tail = length & ~3;
  let h = seed | 0;
  for (let i = 0; i < tail; i += 4) {
    const word = key.charCodeAt(i) | (key.charCodeAt(i + 1) << 8) | (key.charCodeAt(i + 2) << 16) | (key.charCodeAt(i + 3) << 24);
    h ^= scramble(word);
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  if (tail < length) {
    let word = 0;
    for (let i = length - 1; i >= tail; i--) word = (word << 8) | key.charCodeAt(i);
    h ^= scramble(word);
  }
  h ^= length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function scramble(word: number): number {
  const k = Math.imul(word, C1);
  return Math.imul((k << 15) | (k >>> 17), C2);
}
