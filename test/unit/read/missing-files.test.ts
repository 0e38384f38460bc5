/** Files that someone has deleted by hand: what can be told is told as damage, and not as something that passes. */
import { beforeEach, describe, expect, it } from 'vitest';
import { recordName, segmentIdText } from '../../../src/format/layout.ts';
import { type Namespace, nodeSystem, open } from '../../../src/index.ts';
import type { Finding } from '../../../src/inspect/finding.ts';
import { verifyStore } from '../../../src/inspect/verify.ts';
import type { SegmentWriter } from '../../../src/log/segment-writer.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { Zoo } from '../../support/store-zoo.ts';

let zoo: Zoo;
let segment: SegmentWriter;

async function inZoo<R>(use: (namespace: Namespace) => Promise<R>): Promise<R> {
  await using store = await open(zoo.medium, { create: false, autoCompact: false });
  return await use(store.namespace('zoo', { create: false }));
}

async function onlyTable(): Promise<string> {
  return (await zoo.medium.list(zoo.layout.shard))[0]?.name as string;
}

beforeEach(async () => {
  zoo = new Zoo();
  await zoo.init();
  segment = zoo.openWriter();
  await zoo.append(segment, { a: 1 });
});

describe('a table of the newest root that is gone', () => {
  beforeEach(async () => {
    await zoo.compact();
    await zoo.append(segment, { b: 1 });
    await zoo.medium.delete([await onlyTable()]);
  });

  it('is damage to a snapshot, too: no newer one would have it', async () => {
    await inZoo(async (namespace) => {
      const snapshot = await namespace.snapshot();
      await expect(snapshot.get('a')).rejects.toMatchObject({ code: 'CORRUPT' });
      await expect(snapshot.scan().next()).rejects.toMatchObject({ code: 'CORRUPT' });
    });
  });

  it('is damage to an update, which does not go on for ever', async () => {
    await inZoo(async (namespace) => {
      await expect(namespace.update('a', () => 2)).rejects.toMatchObject({ code: 'CORRUPT' });
      expect(await namespace.update('b', (value) => (value as number) + 1)).toMatchObject({ value: 2 });
    });
  });
});

it('a table that a newer root has replaced is what a snapshot has lived too long for', async () => {
  await zoo.compact();
  await inZoo(async (namespace) => {
    const snapshot = await namespace.snapshot();
    const table = await onlyTable();
    await zoo.append(segment, { a: 2 });
    await zoo.compact();
    await zoo.append(segment, { a: 3 });
    await zoo.compact();
    await zoo.medium.delete([table]);
    await expect(snapshot.get('a')).rejects.toMatchObject({ code: 'SNAPSHOT_EXPIRED' });
  });
});

it('a segment that is gone under a handle that has read it, and that no root has taken in, is damage', async () => {
  await inZoo(async (namespace) => {
    expect(await namespace.get('a')).toBe(1);
    const file = zoo.layout.log + segmentIdText(segment.id);
    await zoo.medium.delete([file]);
    await expect(namespace.get('a')).rejects.toMatchObject({ code: 'CORRUPT', file });
  });
});

it('an object that someone named like a far later one of its segment costs no million calls', async () => {
  const inner = new MemoryMedium({ system: nodeSystem, canAppend: false });
  const medium = new FaultyMedium(inner, { system: nodeSystem });
  await using store = await open(medium, { autoCompact: false });
  const items = store.namespace('items');
  await items.put('a', 1);
  const [{ name }] = (await inner.list('ns/items/log/')) as [{ name: string }];
  await inner.putIfAbsent(name.replace(/\d{8}$/, '999999999'), (await inner.get(name)) as Buffer);
  const { get } = medium.counts;
  await using reader = await open(medium, { readOnly: true });
  await expect(reader.namespace('items').get('a')).rejects.toMatchObject({
    code: 'CORRUPT',
    file: expect.stringMatching(/999999999$/) as string,
  });
  expect(medium.counts.get - get).toBeLessThan(2000);
});

it('a root that a record rests on, and that is gone, is a warning: a power cut may have taken it', async () => {
  const { id } = await zoo.putRecord({ a: 2 }, { root: 1 });
  const found: Finding[] = [];
  const report = await verifyStore(zoo, { onFinding: (finding) => found.push(finding) });
  expect(report.clean).toBe(true);
  expect(found).toMatchObject([{ severity: 'warning', code: 'root-gone', file: recordName(zoo.layout, id) }]);
});
