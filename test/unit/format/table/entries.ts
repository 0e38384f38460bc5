/** What the tests of tables share: entries of every kind, from a seed. */
import type { Key } from '../../../../src/base/key.ts';
import type { Entry } from '../../../../src/format/entry.ts';
import { randomFrom } from '../../../support/random.mjs';

export interface Random {
  readonly seed: number;
  /** A whole number below `end`. */
  below(end: number): number;
}

/** Random numbers from `PEAT_SEED`, or from a seed of the moment, which is printed. */
export function random(): Random {
  const given = process.env['PEAT_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  console.log(`PEAT_SEED=${seed}`);
  const next = randomFrom(seed);
  const below = (end: number): number => Math.floor(next() * end);
  return { seed, below };
}

/** A key of 1 to 24 bytes, few of them different, so that prefixes are shared; 0x00 and 0xff among them. */
export function randomKey(from: Random): Key {
  const bytes = [0x00, 0x61, 0x62, 0x7f, 0x80, 0xc3, 0xff];
  let key = '';
  for (let length = 1 + from.below(24); length > 0; length--) key += String.fromCharCode(bytes[from.below(bytes.length)] as number);
  return key as Key;
}

/** Distinct keys in ascending order. */
export function randomKeys(from: Random, count: number): Key[] {
  const keys = new Set<Key>();
  while (keys.size < count) keys.add(randomKey(from));
  return [...keys].sort();
}

const WRITERS = ['0000000000000000', 'vvvvvvvvvvvvvvvv', '0123456789abcdef'];

/** A put, an expiring put or a tombstone; with or without a sub-counter. */
export function randomEntry(from: Random, key: Key): Entry {
  const stamp = {
    time: from.below(2) === 0 ? from.below(1000) : 1_700_000_000_000 * 1024 + from.below(2 ** 32),
    writer: WRITERS[from.below(WRITERS.length)] as string,
    sub: from.below(3) === 0 ? 1 + from.below(300) : 0,
  };
  const value = (): Buffer => Buffer.alloc(from.below(200), from.below(256));
  switch (from.below(4)) {
    case 0:
      return { key, stamp, value: undefined, expiresAtMs: 0, absorbedAt: from.below(100_000) };
    case 1:
      return { key, stamp, value: value(), expiresAtMs: 1_700_000_000_000 + from.below(1000), absorbedAt: from.below(100) };
    default:
      return { key, stamp, value: value(), expiresAtMs: 0, absorbedAt: 0 };
  }
}

export function put(key: string, value: Uint8Array | string = 'value', time = 1): Entry {
  const stamp = { time, writer: WRITERS[0] as string, sub: 0 };
  return { key: key as Key, stamp, value: Buffer.from(value as Uint8Array), expiresAtMs: 0, absorbedAt: 0 };
}

/** Entries as they compare quickly: a value's bytes as a string. */
export function plain(entries: readonly Entry[]): unknown[] {
  return entries.map((entry) => ({ ...entry, value: entry.value === undefined ? undefined : Buffer.from(entry.value).toString('latin1') }));
}
