/** Reads that overlap a writer's writes: a read is not atomic, so it may show older bytes before newer ones. */
import { expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import type { Key } from '../../../src/base/key.ts';
import { nodeSystem } from '../../../src/base/system.ts';
import { encodeBatch } from '../../../src/format/batch.ts';
import { namespaceLayout, segmentIdText } from '../../../src/format/layout.ts';
import { SegmentReader } from '../../../src/log/segment-reader.ts';
import { openSegmentWriter } from '../../../src/log/segment-writer.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';

const layout = namespaceLayout('test');
const id = { root: 0, writer: 'aaaaaaaaaaaaaaab', sequence: 0 };

function payload(key: string): Uint8Array {
  const writer = new ByteWriter();
  encodeBatch(writer, [{ key: key as Key, value: Buffer.alloc(50, key), expiresAtMs: 0 }]);
  return writer.copy();
}

/** Runs a reader whose calls are answered by these bytes, one after the other. */
function readFrom(answers: readonly Buffer[]): string[] {
  const reader = new SegmentReader(layout, segmentIdText(id), { framed: false });
  const steps = reader.read();
  let next = steps.next();
  for (const answer of answers) {
    if (next.done === true) break;
    const call = next.value;
    if (call.op !== 'get') throw new Error(`unexpected ${call.op}`);
    const offset = call.range?.offset ?? 0;
    next = steps.next(answer.subarray(offset, offset + (call.range?.length ?? answer.length)));
  }
  if (next.done !== true) throw new Error('it wants to read more');
  return (next.value ?? []).flatMap(({ entries }) => entries.map(({ key }) => key as string));
}

/** A segment of three groups, and where the second one begins and ends. */
async function threeGroups(): Promise<{ whole: Buffer; start: number; end: number }> {
  const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
  const writer = openSegmentWriter(medium, layout, id);
  const ends: number[] = [];
  for (const [time, key] of ['a', 'b', 'c'].entries())
    ends.push(...(await writer.append([{ time: time + 1, payload: payload(key) }], true)));
  return { whole: (await medium.get(layout.log + segmentIdText(id))) as Buffer, start: ends[0] as number, end: ends[1] as number };
}

it('a group that was being written while a read ran, and a later one behind it, are no damage', async () => {
  const { whole, start, end } = await threeGroups();
  const halfWritten = Buffer.from(whole.subarray(0, end)).fill(0, start + 40);
  const mixed = Buffer.from(whole).fill(0, start + 40, end);
  expect(readFrom([halfWritten, mixed, whole, whole])).toEqual(['a', 'b', 'c']);
});

it('bad bytes before a later group that stay bad are damage', async () => {
  const { whole, start, end } = await threeGroups();
  const damaged = Buffer.from(whole).fill(0, start + 40, end);
  expect(() => readFrom([damaged, damaged, damaged])).toThrow(expect.objectContaining({ code: 'CORRUPT', offset: start }));
});

it('zeros before a later group are damage, too, and not the end', async () => {
  const { whole, start, end } = await threeGroups();
  const damaged = Buffer.from(whole).fill(0, start, end);
  expect(() => readFrom([damaged, damaged, damaged])).toThrow(expect.objectContaining({ code: 'CORRUPT', offset: start }));
});

it('zeros that were being written over while a read ran are neither', async () => {
  const { whole, start, end } = await threeGroups();
  const mixed = Buffer.from(whole).fill(0, start, end);
  expect(readFrom([mixed, whole, whole])).toEqual(['a', 'b', 'c']);
});
