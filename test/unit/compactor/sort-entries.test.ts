import { expect, test } from 'vitest';
import { Pacer } from '../../../compactor/pace.ts';
import { newestInOrder } from '../../../compactor/sort-entries.ts';
import { compareKeys, type Key } from '../../../src/base/key.ts';
import { compareStamps } from '../../../src/base/stamp.ts';
import type { Entry } from '../../../src/format/entry.ts';
import { SEED } from '../../support/compactor-world.ts';
import { VirtualTime } from '../../support/virtual-system.ts';

const system = new VirtualTime().system({ seed: SEED });
const below = (n: number): number => Math.floor(system.random() * n);
let time = 0;

function entry(key: string): Entry {
  return { key: key as Key, stamp: { time: ++time, writer: 'w'.repeat(16), sub: 0 }, value: undefined, expiresAtMs: 0, absorbedAt: 1 };
}

/** Bytes, few of them different, so that keys share beginnings, are beginnings of others, and go on with zeros. */
function bytes(lengthMax: number, alphabet: readonly number[]): string {
  return String.fromCharCode(...Array.from({ length: 1 + below(lengthMax) }, () => alphabet[below(alphabet.length)] as number));
}

const shapes: [string, () => string][] = [
  ['numbers behind a common prefix', () => `run/${String(below(1e6)).padStart(12, '0')}`],
  ['few keys, written again and again', () => `k${below(3)}`],
  ['one key alone', () => 'same'],
  ['zeros behind a common key', () => `a${'\0'.repeat(below(6))}`],
  ['bytes from 0 to 255', () => bytes(8, [0, 1, 127, 128, 255])],
  ['long keys that differ late', () => `${bytes(1, [97, 98])}${'x'.repeat(60)}${bytes(40, [48, 49, 50])}`],
  ['groups with prefixes of their own', () => `${'abc'[below(3)]}/long/common/part/${below(500)}/${bytes(3, [0, 97, 255])}`],
];

test.each(shapes)('entries are sorted by key, and of each key the newest is kept: %s', async (_name, key) => {
  console.log(`PEAT_SEED=${SEED}`);
  for (const count of [0, 1, 2, 24, 25, 300, 5000]) {
    const entries = Array.from({ length: count }, () => entry(key()));
    for (let i = count - 1; i > 0; i--) {
      const j = below(i + 1);
      [entries[i], entries[j]] = [entries[j] as Entry, entries[i] as Entry];
    }
    const expected = [...entries]
      .sort((a, b) => compareKeys(a.key, b.key) || compareStamps(b.stamp, a.stamp))
      .filter(({ key }, i, all) => key !== all[i - 1]?.key);
    const sorted = await newestInOrder([...entries], new Pacer(system));
    expect(sorted.map((e) => e.stamp.time)).toEqual(expected.map((e) => e.stamp.time));
  }
});
