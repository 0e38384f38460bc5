import { describe, expect, test } from 'vitest';
import { cutInto, STACK_FACTOR, shardTargetBytes, tablesToMerge } from '../../../compactor/stack.ts';
import { SEED } from '../../support/compactor-world.ts';
import { VirtualTime } from '../../support/virtual-system.ts';

const system = new VirtualTime().system({ seed: SEED });
const below = (n: number): number => Math.floor(system.random() * n);

interface Growth {
  /** Bytes written, over bytes taken in. */
  readonly amplification: number;
  readonly tablesMax: number;
}

/** Pushes batches into one shard, and merges as the policy says. `merged` says how large the union of tables is. */
function grow(batches: Iterable<number>, options: { base?: number; merged?: (bytes: number, base: number) => number } = {}): Growth {
  const { merged = (bytes) => bytes } = options;
  const sizes = options.base === undefined ? [] : [options.base];
  let taken = 0;
  let written = 0;
  let tablesMax = 0;
  for (const batch of batches) {
    taken += batch;
    const count = tablesToMerge(sizes, batch);
    const union = sizes.splice(sizes.length - count, count).reduce((sum, size) => sum + size, batch);
    const size = merged(union, options.base ?? 0);
    sizes.push(size);
    written += size;
    tablesMax = Math.max(tablesMax, sizes.length);
  }
  return { amplification: written / taken, tablesMax };
}

describe('a stack of tables', () => {
  test('takes its first table as it is', () => {
    expect(tablesToMerge([], 1000)).toBe(0);
  });

  test('is merged whole when the overlay is as large as the base', () => {
    expect(tablesToMerge([1000], 1000)).toBe(1);
    expect(tablesToMerge([1000, 400, 300], 300)).toBe(3);
    expect(tablesToMerge([1_000_000], 1000)).toBe(0);
  });

  test('merges equal tables when a class is full', () => {
    expect(tablesToMerge([1_000_000, 1000, 1000], 1000)).toBe(0);
    expect(tablesToMerge([1_000_000, 1000, 1000, 1000], 1000)).toBe(3);
  });

  test('leaves no small table below a larger one', () => {
    expect(tablesToMerge([1_000_000, 100, 100], 10_000)).toBe(2);
  });

  test('asks for no table that is not there, and keeps sizes in falling classes', () => {
    for (let run = 0; run < 20; run++) {
      const sizes: number[] = [];
      for (let i = 0; i < 100; i++) {
        const batch = 1 + below(4 ** (1 + below(8)));
        const count = tablesToMerge(sizes, batch);
        expect(count).toBeGreaterThanOrEqual(0);
        expect(count).toBeLessThanOrEqual(sizes.length);
        sizes.push(sizes.splice(sizes.length - count, count).reduce((sum, size) => sum + size, batch));
        const classes = sizes.slice(1).map((size) => Math.floor(Math.log(size) / Math.log(STACK_FACTOR)));
        expect([...classes].sort((a, b) => b - a)).toEqual(classes);
        for (const level of classes) expect(classes.filter((other) => other === level).length).toBeLessThan(STACK_FACTOR);
      }
    }
  });

  test('stays low even where new tables turn out much larger than was thought', () => {
    const sizes = [10_000_000];
    for (let i = 0; i < 1000; i++) {
      const count = tablesToMerge(sizes, 100);
      sizes.push(sizes.splice(sizes.length - count, count).reduce((sum, size) => sum + size, 5000));
      expect(sizes.length).toBeLessThanOrEqual(25);
    }
  });

  test('writes a small multiple of what it takes in, and stays low', () => {
    const small = grow(Array.from({ length: 3000 }, () => 400 + below(800)));
    const updates = grow(
      Array.from({ length: 4000 }, () => 2000 + below(4000)),
      { base: 1_000_000, merged: (bytes, base) => Math.min(bytes, base) },
    );
    const bulk = grow(Array.from({ length: 50 }, () => 300_000));
    const tiny = grow(
      Array.from({ length: 10_000 }, () => 420),
      { base: 1_000_000 },
    );
    console.log(`PEAT_SEED=${SEED}`, { small, updates, bulk, tiny });
    for (const { amplification, tablesMax } of [small, updates, bulk, tiny]) {
      // One write a class, and twice for the merges with the base.
      expect(amplification).toBeLessThan(7.5);
      expect(tablesMax).toBeLessThanOrEqual(1 + (STACK_FACTOR - 1) * 7);
    }
    expect(updates.amplification).toBeLessThan(4.5);
    expect(bulk.amplification).toBeLessThan(6);
  });
});

describe('the size of shards', () => {
  test('grows as the root of the namespace, from a quarter of a MiB', () => {
    expect(shardTargetBytes(0)).toBe(256 * 1024);
    expect(shardTargetBytes(110_000_000)).toBe(1_061_320);
    expect(shardTargetBytes(1e12)).toBeLessThan(110_000_000);
  });

  test('is cut into equal parts no larger than the target', () => {
    expect(cutInto(0, 1000)).toEqual({ parts: 1, bytes: Number.POSITIVE_INFINITY });
    expect(cutInto(1000, 1000)).toEqual({ parts: 1, bytes: Number.POSITIVE_INFINITY });
    expect(cutInto(1001, 1000)).toEqual({ parts: 2, bytes: 500.5 });
    expect(cutInto(10_000, 1000)).toEqual({ parts: 10, bytes: 1000 });
  });
});
