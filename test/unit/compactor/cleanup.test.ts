import { describe, expect, test } from 'vitest';
import { compactOnce } from '../../../compactor/pass.ts';
import { tableFileText } from '../../../src/format/layout.ts';
import { createNamespace } from '../../../src/manifest/commit-root.ts';
import { CompactorWorld, put, QUICK_CONSTANTS } from '../../support/compactor-world.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';

async function world(): Promise<CompactorWorld> {
  const w = new CompactorWorld();
  await createNamespace(w.plain);
  return w;
}

async function publish(w: CompactorWorld): Promise<void> {
  await w.write([put('a', 'x'.repeat(300))]);
  expect((await w.pass()).outcome).toBe('committed');
}

describe('files of tables', () => {
  test('stay for the retention after a root dropped them, for readers that still use an older root', async () => {
    const w = await world();
    await publish(w);
    const [file] = await w.names('shard');
    await w.system.advance(30_000);
    await w.write([put('a', 'x'.repeat(1000))]);
    await w.pass();
    const { number, dropped } = await w.root();
    expect(dropped.get(String(file))).toBe(number);
    // The root that dropped it becomes 50 s older with each pass; the retention is 180 s.
    for (let i = 1; i <= 3; i++) {
      await w.system.advance(50_000);
      await publish(w);
      expect(await w.names('shard')).toContain(file);
    }
    await w.system.advance(50_000);
    await publish(w);
    expect(await w.names('shard')).not.toContain(file);
    expect((await w.root()).dropped.has(String(file))).toBe(true);
    await publish(w);
    expect((await w.root()).dropped.has(String(file))).toBe(false);
  });

  test('that a failed pass left go at once, those of a pass under way stay, and so does what is not ours', async () => {
    const w = await world();
    await publish(w);
    const { number } = await w.root();
    const leave = async (root: number): Promise<string> => {
      const text = tableFileText({ root, pass: '0'.repeat(20), index: 0 });
      await w.inner.putIfAbsent(w.context.layout.shard + text, Buffer.from('tables'));
      return text;
    };
    const old = await leave(number);
    const same = await leave(number + 1);
    const later = await leave(number + 2);
    await w.inner.putIfAbsent(`${w.context.layout.shard}note.txt`, Buffer.from('mine'));
    await publish(w);
    const files = await w.names('shard');
    expect(files).not.toContain(old);
    expect(files).not.toContain(same);
    expect(files).toContain(later);
    expect(files).toContain('note.txt');
  });
});

test('roots stay as long as they are young or among the newest', async () => {
  const w = await world();
  for (let i = 0; i < 12; i++) {
    await w.system.advance(10_000);
    await publish(w);
  }
  expect(await w.names('root')).toHaveLength(13);
  for (let i = 0; i < 20; i++) {
    await w.system.advance(60_000);
    await publish(w);
  }
  // The newest four cover the retention of 180 s.
  expect(await w.names('root')).toHaveLength(4);
});

test('where more roots are too young to go than are kept anyway, an idle store comes to rest with them', async () => {
  const w = new CompactorWorld({ constants: { ...QUICK_CONSTANTS, drainAgeMs: 400_000 } });
  await createNamespace(w.plain);
  for (let i = 0; i < 20; i++) {
    await publish(w);
    await w.system.advance(20_000);
  }
  let idle = 0;
  for (let i = 0; i < 40 && idle < 5; i++) {
    await w.system.advance(61_000);
    idle = (await w.pass()).outcome === 'nothing' ? idle + 1 : 0;
  }
  expect(idle).toBe(5);
  // Seven minutes from the newest to the oldest.
  expect(await w.names('root')).toHaveLength(8);
});

test('nothing is deleted before the names of the roots are durable', async () => {
  const w = await world();
  const faulty = new FaultyMedium(w.inner, { system: w.system, record: true });
  for (let i = 0; i < 10; i++) {
    await w.system.advance(61_000);
    await w.write([put('a', String(i))]);
    await compactOnce({ ...w.context, medium: faulty });
  }
  // The first pass syncs once more: the namespace's first root, before it puts the second.
  const [, ...order] = faulty.calls.filter(({ op }) => op === 'delete' || op === 'syncNames').map(({ op }) => op);
  expect(order.length).toBeGreaterThan(4);
  for (const [i, op] of order.entries()) expect(op).toBe(i % 2 === 0 ? 'syncNames' : 'delete');
  faulty.inject({ when: { op: 'syncNames' }, times: Number.POSITIVE_INFINITY });
  const before = faulty.counts.delete;
  await w.system.advance(61_000);
  await w.write([put('a', 'last')]);
  await compactOnce({ ...w.context, medium: faulty });
  expect(faulty.counts.delete).toBe(before);
  expect(w.logged).toHaveLength(1);
});

test('a compactor that is no longer the newest deletes nothing', async () => {
  const w = await world();
  for (let i = 0; i < 5; i++) {
    await w.system.advance(61_000);
    await publish(w);
  }
  const faulty = new FaultyMedium(w.inner, { system: w.system });
  await w.write([put('a', 'last')]);
  await w.system.advance(61_000);
  const list = faulty.list.bind(faulty);
  let isOvertaken = false;
  faulty.list = async (prefix, options) => {
    if (prefix === w.context.layout.shard && !isOvertaken && faulty.counts.putIfAbsent > 1) {
      isOvertaken = true;
      await w.write([put('b', '1')]);
      await compactOnce(w.plain);
    }
    return await list(prefix, options);
  };
  expect((await compactOnce({ ...w.context, medium: faulty })).outcome).toBe('committed');
  expect(isOvertaken).toBe(true);
  expect(faulty.counts.delete).toBe(0);
  expect(await w.differences()).toEqual([]);
});
