import { describe, expect, test } from 'vitest';
import { joinShards, mostWastedFile, spread, tablesDownTo } from '../../../compactor/shards.ts';
import type { Key } from '../../../src/base/key.ts';
import type { Entry } from '../../../src/format/entry.ts';
import type { Shard, TableRef } from '../../../src/format/root.ts';
import { createNamespace } from '../../../src/manifest/commit-root.ts';
import { CompactorWorld, put } from '../../support/compactor-world.ts';

function table(length: number, file = 'f', offset = 0): TableRef {
  const keys = { first: 'a' as Key, last: 'b' as Key };
  return {
    file,
    offset,
    length,
    indexOffset: 0,
    ...keys,
    entries: 1,
    tombstones: 0,
    expiring: 0,
    maxTime: 0,
    lastExpiryMs: 0,
    checksum: 0,
  };
}

function shard(from: string, ...tables: readonly TableRef[]): Shard {
  return { from: from as Key, tables };
}

function entry(key: string): Entry {
  return { key: key as Key, stamp: { time: 1, writer: 'w'.repeat(16), sub: 0 }, value: undefined, expiresAtMs: 0, absorbedAt: 1 };
}

describe('new entries', () => {
  test('fall into the shard whose range holds their key', () => {
    const parts = spread([shard(''), shard('d'), shard('m'), shard('x')], ['a', 'c', 'd', 'f', 'z'].map(entry));
    expect(parts.map(({ fresh }) => fresh.map(({ key }) => key))).toEqual([['a', 'c'], ['d', 'f'], [], ['z']]);
  });

  test('make the first shard where there is none', () => {
    expect(spread([], [entry('a')])).toEqual([{ shard: { from: '', tables: [] }, fresh: [entry('a')] }]);
  });
});

describe('neighbours', () => {
  test('take the range of a shard that has become empty', () => {
    const joined = joinShards([shard(''), shard('b', table(900)), shard('d'), shard('f', table(800))], 1000);
    expect(joined).toEqual([shard('', table(900)), shard('f', table(800))]);
    expect(joinShards([shard('')], 1000)).toEqual([]);
  });

  test('are joined only while they are tiny, and few', () => {
    expect(joinShards([shard('', table(100)), shard('b', table(100)), shard('d', table(100))], 1000)).toEqual([
      shard('', table(100), table(100)),
      shard('d', table(100)),
    ]);
    const many = Array.from({ length: 20 }, (_, i) => shard(i === 0 ? '' : `k${i}`, table(1)));
    expect(joinShards(many, 1000).map(({ tables }) => tables.length)).toEqual([8, 8, 4]);
  });
});

describe('a file that is mostly dead', () => {
  test('is found when dead bytes outweigh live ones', () => {
    const mib = 1024 * 1024;
    expect(mostWastedFile([shard('', table(mib, 'a'), table(10, 'b', 900_000))])).toBeUndefined();
    expect(mostWastedFile([shard('', table(mib, 'a'), table(10, 'b', 3 * mib), table(10, 'c', 2 * mib))])).toBe('b');
  });

  test('is emptied by merging down to its tables', () => {
    const stack = shard('', table(9, 'a'), table(5, 'b'), table(3, 'c'));
    expect(tablesDownTo(stack, 'b')).toBe(2);
    expect(tablesDownTo(stack, 'x')).toBe(0);
    expect(tablesDownTo(stack, undefined)).toBe(0);
  });

  test('does not keep a store large in which only a part is written again and again', async () => {
    const w = new CompactorWorld();
    await createNamespace(w.plain);
    const all = Array.from({ length: 1000 }, (_, i) => `k${String(i).padStart(4, '0')}`);
    await w.write(all.map((key) => put(key, 'v'.repeat(1000))));
    await w.pass();
    const cold = ['k0000', 'k0333', 'k0666'];
    for (let i = 0; i < 60; i++) {
      const hot = Array.from({ length: 150 }, (_, j) => all[400 + ((i * 150 + j) % 200)] as string);
      await w.write([...hot, ...cold].map((key) => put(key, `${i}`.padEnd(900, 'x'))));
      await w.system.advance(61_000);
      await w.pass();
    }
    for (let i = 0; i < 20; i++) {
      await w.system.advance(61_000);
      await w.pass();
    }
    const files = await w.inner.list(w.context.layout.shard, { stats: true });
    const bytes = files.reduce((sum, { size = 0 }) => sum + size, 0);
    expect(bytes).toBeLessThan(6_000_000);
    expect(await w.differences()).toEqual([]);
  });
});
