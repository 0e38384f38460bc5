/** Reads of segments that fail half way: what they had read by then is not lost. */
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import type { Key } from '../../../src/base/key.ts';
import { nodeSystem } from '../../../src/base/system.ts';
import { encodeBatch } from '../../../src/format/batch.ts';
import { encodeSegmentHeader, FRAME_SEAL, frameSeed, SEGMENT_HEADER_BYTES, writeFrame } from '../../../src/format/frame.ts';
import { namespaceLayout, segmentIdText, segmentPartName } from '../../../src/format/layout.ts';
import { open } from '../../../src/index.ts';
import { SegmentReader } from '../../../src/log/segment-reader.ts';
import { openSegmentWriter } from '../../../src/log/segment-writer.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { runBlocking } from '../../../src/medium/steps.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';

const layout = namespaceLayout('test');
const id = { root: 0, writer: 'aaaaaaaaaaaaaaab', sequence: 0 };
const text = segmentIdText(id);
const part = (number: number): string => layout.log + segmentPartName(text, number);

function payload(key: string, bytes = 1): Uint8Array {
  const writer = new ByteWriter();
  encodeBatch(writer, [{ key: key as Key, value: Buffer.alloc(bytes), expiresAtMs: 0 }]);
  return writer.copy();
}

/** A segment with a group for each key, and a seal. */
async function segmentOf(keys: readonly string[], { canAppend, bytes = 1 }: { canAppend: boolean; bytes?: number }): Promise<MemoryMedium> {
  const medium = new MemoryMedium({ system: nodeSystem, canAppend });
  const writer = openSegmentWriter(medium, layout, id);
  for (const [i, key] of keys.entries()) await writer.append([{ time: i + 1, payload: payload(key, bytes) }], true);
  await writer.seal();
  return medium;
}

function read(reader: SegmentReader, medium: MemoryMedium | FaultyMedium, parts?: readonly number[]): string[] {
  const frames = runBlocking(reader.read({ parts }), { medium, system: nodeSystem }) ?? [];
  return frames.flatMap(({ entries }) => entries.map(({ key }) => key as string));
}

async function replace(medium: MemoryMedium, name: string, bytes: Buffer): Promise<void> {
  await medium.delete([name]);
  await medium.putIfAbsent(name, bytes);
}

describe('a read of a segment that fails half way', () => {
  it('is begun again where it had begun, in one file', async () => {
    const medium = new FaultyMedium(await segmentOf(['a', 'b', 'c'], { canAppend: true, bytes: 200_000 }), { system: nodeSystem });
    const reader = new SegmentReader(layout, text, { framed: false });
    medium.inject({ when: { op: 'get' }, skip: 2 });
    expect(() => read(reader, medium)).toThrow(expect.objectContaining({ code: 'STORAGE' }));
    expect(read(reader, medium)).toEqual(['a', 'b', 'c']);
    expect(reader.sealed).toBe(true);
  });

  it('is begun again where it had begun, in objects', async () => {
    const medium = new FaultyMedium(await segmentOf(['a', 'b', 'c'], { canAppend: false }), { system: nodeSystem });
    const reader = new SegmentReader(layout, text, { framed: true });
    medium.inject({ when: { op: 'get', name: part(2) } });
    expect(() => read(reader, medium, [0, 1, 2, 3])).toThrow(expect.objectContaining({ code: 'STORAGE' }));
    expect(read(reader, medium, [0, 1, 2, 3])).toEqual(['a', 'b', 'c']);
    expect(reader.sealed).toBe(true);
  });

  it('is begun again where it had begun, when an object was gone that the listing showed', async () => {
    const medium = await segmentOf(['a', 'b'], { canAppend: false });
    const reader = new SegmentReader(layout, text, { framed: true });
    const gone = (await medium.get(part(1))) as Buffer;
    await medium.delete([part(1)]);
    expect(runBlocking(reader.read({ parts: [0, 1, 2] }), { medium, system: nodeSystem })).toBeUndefined();
    await medium.putIfAbsent(part(1), gone);
    expect(read(reader, medium, [0, 1, 2])).toEqual(['a', 'b']);
  });

  it('fails again, and hides nothing, where bytes follow a seal in its object', async () => {
    const medium = await segmentOf(['a'], { canAppend: false });
    await replace(medium, part(1), Buffer.concat([(await medium.get(part(1))) as Buffer, Buffer.from('more')]));
    const reader = new SegmentReader(layout, text, { framed: true });
    for (let i = 0; i < 2; i++)
      expect(() => read(reader, medium, [0, 1])).toThrow(expect.objectContaining({ code: 'CORRUPT', file: part(1) }));
  });

  it.each([true, false])('leaves nothing out of what a handle shows afterwards (appended: %s)', async (canAppend) => {
    const inner = new MemoryMedium({ system: nodeSystem, canAppend, blocking: false });
    await using writer = await open(inner, { autoCompact: false, durability: 'os' });
    const items = writer.namespace('items');
    const keys = ['a', 'b', 'c'];
    for (const key of keys) await items.put(key, 'x'.repeat(200_000));
    const medium = new FaultyMedium(inner, { system: nodeSystem });
    await using reader = await open(medium, { readOnly: true });
    medium.inject({ when: { op: 'get', name: /\/log\// }, skip: 1 });
    const seen = reader.namespace('items');
    await expect(seen.get('a')).rejects.toMatchObject({ code: 'STORAGE' });
    expect(await Promise.all(keys.map((key) => seen.has(key)))).toEqual([true, true, true]);
  });
});

describe('an object of a segment', () => {
  it('without any frame is damaged: none was put like that', async () => {
    const medium = await segmentOf(['a', 'b'], { canAppend: false });
    await replace(medium, part(1), ((await medium.get(part(1))) as Buffer).subarray(0, SEGMENT_HEADER_BYTES));
    const reader = new SegmentReader(layout, text, { framed: true });
    expect(() => read(reader, medium, [0, 1])).toThrow(expect.objectContaining({ code: 'CORRUPT', file: part(1), offset: 16 }));
  });

  it('that lacks batches is noticed by the seal, which counts them', async () => {
    const medium = new MemoryMedium({ system: nodeSystem, canAppend: false });
    const writer = openSegmentWriter(medium, layout, id);
    const batches = ['a', 'b'].map((key, i) => ({ time: i + 1, payload: payload(key) }));
    await writer.append(batches, true);
    await writer.seal();
    const bytes = (await medium.get(part(0))) as Buffer;
    await replace(medium, part(0), bytes.subarray(0, SEGMENT_HEADER_BYTES + (bytes.length - SEGMENT_HEADER_BYTES) / 2));
    const reader = new SegmentReader(layout, text, { framed: true });
    expect(() => read(reader, medium, [0, 1])).toThrow(expect.objectContaining({ code: 'CORRUPT', file: part(1) }));
  });

  it('with a seal that is no number is damaged', async () => {
    const medium = await segmentOf(['a'], { canAppend: false });
    const seed = frameSeed(segmentPartName(text, 1));
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES + 25);
    encodeSegmentHeader(seed).copy(bytes);
    writeFrame(bytes, SEGMENT_HEADER_BYTES, { seed, groupStart: 0, kind: FRAME_SEAL, time: 0, payload: Buffer.from([0x80]) });
    await replace(medium, part(1), bytes);
    const reader = new SegmentReader(layout, text, { framed: true });
    expect(() => read(reader, medium, [0, 1])).toThrow(expect.objectContaining({ code: 'CORRUPT', file: part(1) }));
  });
});
