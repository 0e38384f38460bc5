import { describe, expect, test } from 'vitest';
import { compactOnce, type PassContext } from '../../../compactor/pass.ts';
import { segmentIdText, segmentPartName } from '../../../src/format/layout.ts';
import type { SegmentWriter } from '../../../src/log/segment-writer.ts';
import { createNamespace } from '../../../src/manifest/commit-root.ts';
import type { ByteRange, Medium } from '../../../src/medium/medium.ts';
import { CompactorWorld, put, type Write } from '../../support/compactor-world.ts';

/** Shows one file with a byte flipped. */
function damaged(inner: Medium, name: string, at: (bytes: Buffer) => number): Medium {
  return Object.assign(Object.create(inner) as Medium, {
    ...inner,
    putIfAbsent: inner.putIfAbsent.bind(inner),
    list: inner.list.bind(inner),
    delete: inner.delete.bind(inner),
    syncNames: inner.syncNames.bind(inner),
    nowMs: inner.nowMs.bind(inner),
    get: async (wanted: string, range?: ByteRange) => {
      const bytes = await inner.get(wanted);
      if (wanted !== name || bytes === undefined) return await inner.get(wanted, range);
      const offset = at(bytes);
      bytes[offset] = (bytes[offset] as number) ^ 0x55;
      return range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length);
    },
  });
}

async function threeWrites(w: CompactorWorld): Promise<{ segment: SegmentWriter; writes: Write[] }> {
  const segment = await w.open();
  const writes = [];
  for (const value of ['1', '2', '3']) writes.push(await w.append(segment, [put(`k${value}`, value)]));
  await segment.seal();
  return { segment, writes };
}

describe.each([true, false])('damage, on a medium with append: %s', (canAppend) => {
  test('in a segment is reported; what stands before it is taken in, and other segments whole', async () => {
    const w = new CompactorWorld({ canAppend });
    await createNamespace(w.plain);
    const { segment, writes } = await threeWrites(w);
    await w.write([put('other', '1')]);
    const text = segmentIdText(segment.id);
    const name = w.context.layout.log + (canAppend ? text : segmentPartName(text, 1));
    const context: PassContext = { ...w.context, medium: damaged(w.inner, name, () => (canAppend ? (writes[0]?.end ?? 0) + 26 : 45)) };
    const result = await compactOnce(context);
    expect(result).toMatchObject({ outcome: 'committed', framesIn: 2 });
    expect(result.warnings).toEqual([expect.stringContaining('damaged')]);
    expect(result.root.absorbed.get(text)).toEqual({ offset: writes[0]?.end, sealed: false });
    expect((await compactOnce(context)).outcome).toBe('nothing');
    // The damage was in the eyes of one reader only: another one finds the rest.
    expect(await compactOnce(w.plain)).toMatchObject({ framesIn: 2, warnings: [] });
    for (const write of writes) expect(await w.check(write)).toBe('acknowledged');
    expect(await w.differences()).toEqual([]);
  });

  test('in a segment below a drain holds the horizon back', async () => {
    const w = new CompactorWorld({ canAppend });
    await createNamespace(w.plain);
    const { segment, writes } = await threeWrites(w);
    for (const write of writes) await w.check(write);
    const text = segmentIdText(segment.id);
    const name = w.context.layout.log + (canAppend ? text : segmentPartName(text, 1));
    const context: PassContext = { ...w.context, medium: damaged(w.inner, name, () => (canAppend ? (writes[0]?.end ?? 0) + 26 : 45)) };
    for (let i = 0; i < 20; i++) {
      await w.write([put('tick', String(i))]);
      await w.system.advance(61_000);
      await compactOnce(context);
    }
    const { drain, horizon } = await w.root();
    expect(drain).toBeGreaterThan(0);
    expect(horizon).toBe(0);
    await compactOnce(w.plain);
    expect((await w.root()).horizon).toBe(drain);
    expect(await w.differences()).toEqual([]);
  });

  test('in a table leaves its shard as it is, with the new entries on top', async () => {
    const w = new CompactorWorld({ canAppend });
    await createNamespace(w.plain);
    await w.write([put('a', '1'), put('b', '1')]);
    await w.pass();
    const [file] = await w.names('shard');
    const context: PassContext = { ...w.context, medium: damaged(w.inner, `${w.context.layout.shard}${file}`, () => 5) };
    for (let i = 0; i < 3; i++) {
      await w.write([put('a', `new${i}`.repeat(100))]);
      const result = await compactOnce(context);
      expect(result.outcome).toBe('committed');
      expect(result.warnings).toEqual([expect.stringContaining(String(file))]);
    }
    expect((await compactOnce(context)).outcome).toBe('nothing');
    expect((await w.root()).shards[0]?.tables[0]?.file).toBe(file);
    expect(await w.differences()).toEqual([]);
    await w.write([put('a', 'last')]);
    await w.pass();
    expect((await w.root()).shards[0]?.tables).toHaveLength(1);
    expect(await w.differences()).toEqual([]);
  });
});

test('a table that is gone leaves its shard as it is, with the new entries on top', async () => {
  const w = new CompactorWorld();
  await createNamespace(w.plain);
  await w.write([put('a', '1'), put('b', '1')]);
  await w.pass();
  const [file] = await w.names('shard');
  await w.inner.delete([`${w.context.layout.shard}${file}`]);
  for (let i = 0; i < 3; i++) {
    await w.write([put('a', `new${i}`.repeat(100))]);
    const result = await compactOnce(w.plain);
    expect(result).toMatchObject({ outcome: 'committed', framesIn: 1, warnings: [expect.stringContaining(`${file} is gone`)] });
  }
  expect((await w.root()).shards[0]?.tables[0]?.file).toBe(file);
});

test('a torn tail is no damage: it is waited for, and does not hold back a horizon', async () => {
  const w = new CompactorWorld();
  await createNamespace(w.plain);
  const { segment } = await w.write([put('a', '1')], { seal: false }).then((made) => ({ segment: made }));
  const name = w.context.layout.log + segmentIdText(segment.id);
  const whole = segment.bytes;
  await w.append(segment, [put('a', 'torn')]);
  const torn: PassContext = { ...w.context, medium: damaged(w.inner, name, () => whole + 30) };
  const result = await compactOnce(torn);
  expect(result).toMatchObject({ outcome: 'committed', framesIn: 1, warnings: [] });
  for (let i = 0; i < 12; i++) {
    await w.write([put('tick', String(i))]);
    await w.system.advance(61_000);
    await compactOnce(torn);
  }
  expect((await w.root()).horizon).toBeGreaterThan(segment.id.root);
  expect(await w.differences()).toEqual([]);
});
