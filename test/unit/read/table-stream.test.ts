import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import type { Key } from '../../../src/base/key.ts';
import { crc32 } from '../../../src/format/checksum.ts';
import type { Entry } from '../../../src/format/entry.ts';
import { namespaceLayout } from '../../../src/format/layout.ts';
import type { TableRef } from '../../../src/format/root.ts';
import { TableBuilder } from '../../../src/format/table/table-builder.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { TableStream } from '../../../src/read/table-stream.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { VirtualTime } from '../../support/virtual-system.ts';

const layout = namespaceLayout('runs');
const PAD = 1234;

function entries(count: number, valueBytes: number): Entry[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `k${String(i).padStart(6, '0')}` as Key,
    stamp: { time: 1000 + i, writer: 'w'.repeat(16), sub: 0 },
    value: i % 7 === 3 ? undefined : Buffer.alloc(valueBytes, i),
    expiresAtMs: 0,
    absorbedAt: i % 7 === 3 ? 5 : 0,
  }));
}

/** A table behind other bytes in its file. */
async function store(
  list: readonly Entry[],
  change: (file: Buffer) => Buffer = (file) => file,
): Promise<{ faulty: FaultyMedium; ref: TableRef }> {
  const builder = new TableBuilder();
  for (const entry of list) builder.add(entry);
  const { bytes, ...facts } = builder.finish();
  const medium = new MemoryMedium({ system: new VirtualTime().system(), canAppend: false });
  await medium.putIfAbsent(`${layout.shard}file`, change(Buffer.concat([Buffer.alloc(PAD, 1), bytes])));
  return { faulty: new FaultyMedium(medium), ref: { ...facts, file: 'file', offset: PAD } };
}

async function readAll(medium: FaultyMedium, ref: TableRef): Promise<Entry[]> {
  const stream = await TableStream.open({ medium, layout }, ref);
  const read: Entry[] = [];
  for (let entry = stream.current; entry !== undefined; entry = stream.current) {
    read.push(entry);
    await stream.advance();
  }
  expect(stream.entriesRead).toBe(read.length);
  await stream.advance();
  expect(stream.current).toBeUndefined();
  return read;
}

describe('a table that is streamed', () => {
  test.each([
    [1, 10],
    [100, 10],
    [5000, 400],
    [3, 600_000],
  ])('hands out its %i entries with values of %i bytes, in order', async (count, valueBytes) => {
    const list = entries(count, valueBytes);
    const { faulty, ref } = await store(list);
    const read = await readAll(faulty, ref);
    const show = ({ key, stamp, value, absorbedAt }: Entry): string =>
      `${key} ${stamp.time} ${value?.length} ${value === undefined ? '' : crc32(value)} ${absorbedAt}`;
    expect(read.map(show)).toEqual(list.map(show));
  });

  test('is read in one call if it is small, and in large pieces otherwise', async () => {
    const small = await store(entries(100, 100));
    await readAll(small.faulty, small.ref);
    expect(small.faulty.counts.get).toBe(1);
    const large = await store(entries(5000, 400));
    await readAll(large.faulty, large.ref);
    expect(large.faulty.counts.get).toBeLessThan(2 + large.ref.length / 200_000);
  });

  test('names the file and the absolute offset of damage', async () => {
    const { faulty, ref } = await store(entries(5000, 400), (file) => {
      file[PAD + 1_000_000] = (file[PAD + 1_000_000] as number) ^ 1;
      return file;
    });
    const error = await readAll(faulty, ref).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(MalformedError);
    expect(error).toMatchObject({ code: 'CORRUPT', file: `${layout.shard}file` });
    const offset = (error as { offset: number }).offset;
    expect(offset).toBeGreaterThan(PAD + 1_000_000 - 10_000);
    expect(offset).toBeLessThanOrEqual(PAD + 1_000_000);
  });

  test('is corrupt where its file ends too early', async () => {
    const { faulty, ref } = await store(entries(100, 100), (file) => file.subarray(0, file.length - 1));
    await expect(readAll(faulty, ref)).rejects.toMatchObject({ code: 'CORRUPT', offset: PAD + ref.length - 1 });
  });

  test('is a temporary failure where its file has vanished, at the start or in the midst', async () => {
    const { faulty, ref } = await store(entries(5000, 400));
    await expect(TableStream.open({ medium: faulty, layout }, { ...ref, file: 'other' })).rejects.toMatchObject({ code: 'TEMPORARY' });
    const stream = await TableStream.open({ medium: faulty, layout }, ref);
    await faulty.delete([`${layout.shard}file`]);
    const drain = async (): Promise<void> => {
      while (stream.current !== undefined) await stream.advance();
    };
    await expect(drain()).rejects.toMatchObject({ code: 'TEMPORARY' });
  });
});
