import { describe, expect, test } from 'vitest';
import { compactOnce } from '../../../compactor/pass.ts';
import { padNumber, recordName, recordText } from '../../../src/format/layout.ts';
import { createNamespace, dropNamespace } from '../../../src/manifest/commit-root.ts';
import { CompactorWorld, del, put } from '../../support/compactor-world.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';

async function world(options: ConstructorParameters<typeof CompactorWorld>[0] = {}): Promise<CompactorWorld> {
  const made = new CompactorWorld(options);
  await createNamespace(made.plain);
  return made;
}

/** Lets roots be published and age, with a write each so that there is something to publish. */
async function publishRoots(w: CompactorWorld, count: number, gapMs = 60_000): Promise<void> {
  for (let i = 0; i < count; i++) {
    await w.system.advance(gapMs);
    await w.write([put('tick', String(i))]);
    expect((await w.pass()).outcome).toBe('committed');
  }
}

async function publishUntilDraining(w: CompactorWorld): Promise<void> {
  for (let i = 0; i < 30; i++) {
    await publishRoots(w, 1);
    const { drain, horizon } = await w.root();
    if (drain > horizon) return;
  }
  expect.unreachable('no drain was started');
}

describe.each([true, false])('a pass, on a medium with append: %s', (canAppend) => {
  test('publishes nothing in an empty namespace', async () => {
    const w = await world({ canAppend });
    const result = await w.pass();
    expect(result).toMatchObject({ outcome: 'nothing', more: false, draining: false });
    expect(await w.names('root')).toHaveLength(1);
  });

  test('takes in what was appended, once', async () => {
    const w = await world({ canAppend });
    await w.write([put('a', '1'), put('b', '2')]);
    await w.write([put('a', '3'), del('c')]);
    const result = await w.pass();
    expect(result).toMatchObject({ outcome: 'committed', framesIn: 2, entriesIn: 4, shardsTouched: 1, more: false });
    expect(result.root.maxStamp).toMatchObject({ time: Math.max(...[...w.expected.values()].map(({ stamp }) => stamp.time)) });
    expect(result.root.counts).toMatchObject({ deltasIn: 4, entriesWritten: 3, superseded: 1, dropped: 0 });
    expect(await w.differences()).toEqual([]);
    expect((await w.pass()).outcome).toBe('nothing');
  });

  test('takes in a seal that came later', async () => {
    const w = await world({ canAppend });
    const segment = await w.write([put('a', '1')], { seal: false });
    await w.pass();
    expect([...(await w.root()).absorbed.values()]).toMatchObject([{ sealed: false }]);
    await segment.seal();
    expect((await w.pass()).outcome).toBe('committed');
    expect([...(await w.root()).absorbed.values()]).toMatchObject([{ sealed: true }]);
  });

  test('takes in a long tail in several passes', async () => {
    const w = await world({ canAppend });
    for (let i = 0; i < 20; i++) await w.write([put(`k${i % 7}`, `${i}`.repeat(100))]);
    let passes = 0;
    for (;;) {
      const result = await w.pass({ bytesMax: 500 });
      passes++;
      expect(await w.differences()).toEqual([]);
      if (!result.more) break;
    }
    expect(passes).toBeGreaterThan(3);
  });

  test('goes on in a segment where the pass before stopped', async () => {
    const w = await world({ canAppend });
    const segment = await w.write([put('a', '1')], { seal: false });
    await w.pass();
    await w.check(await w.append(segment, [put('a', '2')]));
    await w.pass();
    expect(await w.differences()).toEqual([]);
  });

  test('deletes an absorbed and sealed segment only when a root that says so is a minute old, and forgets it then', async () => {
    const w = await world({ canAppend });
    await w.write([put('a', '1')]);
    await w.pass();
    expect(await w.names('log')).not.toEqual([]);
    await w.system.advance(30_000);
    expect((await w.pass()).outcome).toBe('nothing');
    await w.system.advance(31_000);
    const result = await w.pass();
    expect(result).toMatchObject({ outcome: 'committed', deleted: { segments: 1 } });
    expect(await w.names('log')).toEqual([]);
    await w.system.advance(61_000);
    await w.pass();
    // Without append an object may appear late: only a horizon lets go of the entry.
    expect((await w.root()).absorbed.size).toBe(canAppend ? 0 : 1);
  });

  test('comes to rest in an idle store, with nothing left over', async () => {
    const w = await world({ canAppend });
    await w.write([put('a', '1'), del('b')], { seal: false });
    for (let i = 0; i < 40; i++) {
      await w.system.advance(61_000);
      await w.pass();
    }
    const roots = await w.names('root');
    for (let i = 0; i < 5; i++) {
      await w.system.advance(61_000);
      expect((await w.pass()).outcome).toBe('nothing');
    }
    expect(await w.names('root')).toEqual(roots);
    expect(roots).toHaveLength(w.context.constants.rootsKept);
    expect(await w.names('log')).toEqual([]);
    expect(await w.names('shard')).toHaveLength(1);
    const root = await w.root();
    expect(root.absorbed.size).toBe(0);
    expect(root.dropped.size).toBe(0);
    expect(root.shards.flatMap(({ tables }) => tables.map(({ entries }) => entries))).toEqual([1]);
    expect(await w.differences()).toEqual([]);
  });

  test('starts a drain only at a root that is old enough in time and in numbers, and finishes it in a later pass', async () => {
    const w = await world({ canAppend });
    await w.write([put('a', '1')], { seal: false });
    await publishRoots(w, 4, 1000);
    expect((await w.root()).drain).toBe(0);
    await publishRoots(w, 3);
    expect((await w.root()).drain).toBe(0);
    await publishRoots(w, 1);
    const draining = await w.root();
    expect(draining.drain).toBeGreaterThan(0);
    expect(draining.horizon).toBe(0);
    const result = await w.pass();
    expect(result).toMatchObject({ outcome: 'committed', horizonMovedTo: draining.drain, draining: false });
    expect(await w.differences()).toEqual([]);
  });

  test('starts drains also where roots follow each other so quickly that old ones are deleted as soon as they may be', async () => {
    const w = await world({ canAppend });
    await w.write([put('a', '1')], { seal: false });
    await publishRoots(w, 60, 7000);
    expect(await w.names('root')).not.toContain(padNumber(10));
    expect((await w.root()).horizon).toBeGreaterThan(0);
    expect(await w.differences()).toEqual([]);
  });

  test('does not move the horizon while frames below the drain are left', async () => {
    const w = await world({ canAppend });
    const silent = [];
    for (let i = 0; i < 3; i++) silent.push(await w.write([put(`early${i}`, 'x')], { seal: false }));
    await publishUntilDraining(w);
    const { drain, horizon } = await w.root();
    const late = [];
    for (const segment of silent) late.push(await w.append(segment, [put(`late${late.length}`, 'x')]));
    for (let i = 1; i < 3; i++) {
      expect(await w.pass({ bytesMax: 1 })).toMatchObject({ more: true, draining: true, root: { horizon, drain } });
    }
    expect(await w.pass({ bytesMax: 1 })).toMatchObject({ more: false, horizonMovedTo: drain });
    for (const write of late) expect(await w.check(write)).toBe('acknowledged');
    expect(await w.differences()).toEqual([]);
  });

  test('judges a frame dead that came too late for a drain', async () => {
    const w = await world({ canAppend });
    const silent = await w.write([put('a', '1')], { seal: false });
    await publishRoots(w, 8);
    await w.pass();
    expect((await w.root()).horizon).toBeGreaterThan(silent.id.root);
    const fate = await w.check(await w.append(silent, [put('a', 'late')]));
    expect(['dead', 'unknown']).toContain(fate);
    await w.pass();
    expect(await w.differences()).toEqual([]);
  });

  test('drops a tombstone only after the horizon has passed the root that absorbed it', async () => {
    const w = await world({ canAppend });
    await w.write([put('a', '1'), put('b', '1')]);
    await w.pass();
    await w.write([del('a')]);
    const absorbedAt = (await w.pass()).root.number;
    for (let i = 0; i < 30; i++) {
      await w.system.advance(61_000);
      const result = await w.pass();
      const tombstones = result.root.shards.flatMap(({ tables }) => tables).reduce((sum, table) => sum + table.tombstones, 0);
      if (tombstones === 0) {
        expect(result.root.horizon).toBeGreaterThanOrEqual(absorbedAt);
        expect(result.root.dropFloor).toBeDefined();
        expect(result.root.counts.dropped).toBe(1);
        expect(await w.differences()).toEqual([]);
        return;
      }
    }
    expect.unreachable('the tombstone is still there');
  });

  test('splits a shard that outgrows the target, and keeps every entry', async () => {
    const w = await world({ canAppend });
    for (let b = 0; b < 20; b++) {
      await w.write(Array.from({ length: 100 }, (_, i) => put(`k${(b * 7919 + i * 104_729) % 100_000}`, 'v'.repeat(700) + b + i)));
    }
    const result = await w.pass();
    expect(result.root.shards.length).toBeGreaterThan(3);
    expect(result.root.shards[0]?.from).toBe('');
    expect(await w.differences()).toEqual([]);
  });

  test('shrinks the store when nearly all was deleted', async () => {
    const w = await world({ canAppend });
    const keys = Array.from({ length: 1500 }, (_, i) => `k${String(i).padStart(5, '0')}`);
    await w.write(keys.map((key) => put(key, 'v'.repeat(900))));
    await w.pass();
    expect((await w.root()).shards.length).toBeGreaterThan(1);
    await w.write(keys.slice(1).map(del));
    await w.pass();
    for (let i = 0; i < 30; i++) {
      await w.system.advance(61_000);
      await w.pass();
    }
    const { shards } = await w.root();
    expect(shards).toHaveLength(1);
    expect(shards[0]?.tables.map(({ entries }) => entries)).toEqual([1]);
    expect(await w.names('shard')).toHaveLength(1);
    expect(await w.differences()).toEqual([]);
  });

  test('drops expired puts of shards that nobody writes to any more', async () => {
    const w = new CompactorWorld({ canAppend: true });
    await createNamespace(w.plain);
    const expiresAtMs = w.system.wallNowMs() + 1000;
    await w.write(Array.from({ length: 20 }, (_, i) => put(`k${i}`, 'gone soon', expiresAtMs)));
    await w.write([put('stays', '1')]);
    for (let i = 0; i < 20; i++) {
      await w.system.advance(61_000);
      await compactOnce(w.plain);
      expect(await w.differences()).toEqual([]);
    }
    const tables = (await w.root()).shards.flatMap((shard) => shard.tables);
    expect(tables.map(({ entries, expiring }) => ({ entries, expiring }))).toEqual([{ entries: 1, expiring: 0 }]);
  });

  test('drops an expired put only after the grace, and after the horizon', async () => {
    const w = await world({ canAppend });
    const expiresAtMs = w.system.wallNowMs() + 1000;
    await w.write([put('a', 'old', expiresAtMs), put('b', 'stays')]);
    await w.pass();
    await publishRoots(w, 30);
    expect((await w.root()).horizon).toBeGreaterThan(0);
    expect((await w.root()).shards.flatMap(({ tables }) => tables).reduce((sum, { expiring }) => sum + expiring, 0)).toBe(0);
    expect(await w.differences()).toEqual([]);
  });

  test('clears away what a dropped namespace leaves, and starts empty when it is created again', async () => {
    const w = await world({ canAppend });
    const silent = await w.write([put('a', '1')], { seal: false });
    await w.pass();
    expect(await dropNamespace(w.plain)).toBe('dropped');
    expect(await dropNamespace(w.plain)).toBe('absent');
    expect(await w.check(await w.append(silent, [put('a', '2')]))).toBe('unknown');
    for (let i = 0; i < 10; i++) {
      await w.system.advance(61_000);
      await w.pass();
    }
    expect(await w.names('log')).toEqual([]);
    expect(await w.names('shard')).toEqual([]);
    expect(await createNamespace(w.plain)).toBe('created');
    w.expected.clear();
    expect(await w.differences()).toEqual([]);
    await w.write([put('b', '1')]);
    await w.pass();
    expect(await w.differences()).toEqual([]);
  });

  test('only shortens the tail where upkeep is not asked for', async () => {
    const w = await world({ canAppend });
    await w.write([put('a', '1')], { seal: false });
    await publishRoots(w, 3);
    for (let i = 0; i < 10; i++) {
      await w.system.advance(61_000);
      await w.write([put('b', String(i))]);
      await w.pass({ upkeep: false });
    }
    expect((await w.root()).drain).toBe(0);
    await w.system.advance(61_000);
    expect((await w.pass({ upkeep: false })).outcome).toBe('nothing');
  });
});

test('many small passes leave few tables, and do not write the base again and again', async () => {
  const w = await world();
  await w.write(Array.from({ length: 100 }, (_, i) => put(`k${i}`, 'v'.repeat(1000))));
  const base = (await w.pass()).root.shards[0]?.tables[0];
  for (let i = 0; i < 100; i++) {
    await w.write([put(`k${i % 7}`, 'w'.repeat(10 + (i % 3) * 100)), put(`new${i}`, '')]);
    const { root } = await w.pass();
    expect(root.shards[0]?.tables.length).toBeLessThan(14);
    expect(root.shards[0]?.tables[0]).toEqual(base);
  }
  expect(await w.differences()).toEqual([]);
});

test('a merge of the upper tables alone keeps its tombstones, since older entries lie below', async () => {
  const w = await world();
  const big = Array.from({ length: 100 }, (_, i) => put(`k${i}`, 'v'.repeat(1000)));
  await w.write(big);
  await w.pass();
  await w.write([del('k7')]);
  await w.pass();
  await publishRoots(w, 80);
  const { horizon, shards } = await w.root();
  expect(horizon).toBeGreaterThan(2);
  expect(shards[0]?.tables.length).toBeGreaterThan(1);
  expect(shards[0]?.tables[0]?.entries).toBe(100);
  expect(await w.differences()).toEqual([]);
});

test('a compactor that slept until its root was deleted again deletes nothing and reports nothing', async () => {
  const w = await world();
  await w.write([put('a', '1')]);
  let wake = (): void => {};
  const asleep = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const sleeper = new FaultyMedium(w.inner, { system: w.system });
  let isAsleep = false;
  const putIfAbsent = sleeper.putIfAbsent.bind(sleeper);
  sleeper.putIfAbsent = async (name, bytes, options) => {
    if (name.includes('/root/')) {
      isAsleep = true;
      await asleep;
    }
    return await putIfAbsent(name, bytes, options);
  };
  const zombie = compactOnce({ ...w.context, medium: sleeper });
  while (!isAsleep) await w.system.advance(1);
  await publishRoots(w, 20);
  expect(await w.names('root')).not.toContain(padNumber(1));
  wake();
  expect(await zombie).toMatchObject({ outcome: 'lost', base: undefined, more: true });
  expect(await w.names('root')).toContain(padNumber(1));
  expect(sleeper.counts.delete).toBe(0);
  await publishRoots(w, 20);
  expect(await w.names('root')).not.toContain(padNumber(1));
  expect(await w.differences()).toEqual([]);
});

test('a clock that jumps by a year starts no drain', async () => {
  const w = await world();
  await w.write([put('a', '1')], { seal: false });
  await publishRoots(w, 6, 1000);
  w.system.wallOffsetMs += 365 * 86_400_000;
  await publishRoots(w, 2, 1000);
  expect((await w.root()).drain).toBe(0);
  w.system.wallOffsetMs -= 2 * 365 * 86_400_000;
  await publishRoots(w, 2, 1000);
  expect((await w.root()).drain).toBe(0);
});

test('a compactor that was overtaken takes what others have absorbed and deleted for no damage', async () => {
  const w = await world();
  const first = { stripe: 1, number: 1 };
  const second = { stripe: 1, number: 2 };
  await w.committed(first, [put('a', '1')]);
  await w.committed(second, [put('a', '2')]);
  const bytes = await w.inner.get(recordName(w.context.layout, second));
  const overtaken = new FaultyMedium(w.inner, { system: w.system });
  // Its listing runs while the others delete: it shows the second record, and not the first.
  overtaken.list = async (prefix, options) => {
    if (prefix !== w.context.layout.log) return await w.inner.list(prefix, options);
    await publishRoots(w, 3);
    return [{ name: recordName(w.context.layout, second), size: bytes?.length ?? 0, modifiedMs: 0 }];
  };
  overtaken.get = async (name, range) => (name === recordName(w.context.layout, second) ? bytes : await w.inner.get(name, range));
  const result = await compactOnce({ ...w.context, medium: overtaken });
  expect(await w.names('log')).not.toContain(recordText(first));
  expect(result).toMatchObject({ outcome: 'lost', warnings: [] });
});

test('tables of a pass that was overtaken go by and by, although nobody writes any more', async () => {
  const w = await world();
  await w.write([put('a', '1')]);
  const overtaken = new FaultyMedium(w.inner, { system: w.system });
  const putIfAbsent = overtaken.putIfAbsent.bind(overtaken);
  overtaken.putIfAbsent = async (name, bytes, options) => {
    // The other one has committed and cleaned up before this table is there.
    if (name.startsWith(w.context.layout.shard)) await w.pass();
    return await putIfAbsent(name, bytes, options);
  };
  expect(await compactOnce({ ...w.context, medium: overtaken })).toMatchObject({ outcome: 'lost' });
  expect(await w.names('shard')).toHaveLength(2);
  let { base } = await w.pass();
  expect(base).toBeUndefined();
  for (let i = 0; i < 40; i++) {
    await w.system.advance(61_000);
    ({ base } = await w.pass({ known: base }));
  }
  expect(await w.names('shard')).toHaveLength(1);
  expect(base).toBeDefined();
  expect((await w.pass({ known: base })).outcome).toBe('nothing');
  expect(await w.differences()).toEqual([]);
});
