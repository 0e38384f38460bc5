import { beforeEach, describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import type { Key } from '../../../src/base/key.ts';
import { nodeSystem } from '../../../src/base/system.ts';
import { encodeBatch } from '../../../src/format/batch.ts';
import { namespaceLayout, type SegmentId, segmentIdText } from '../../../src/format/layout.ts';
import { SegmentReader } from '../../../src/log/segment-reader.ts';
import { openSegmentWriter, type SegmentWriter } from '../../../src/log/segment-writer.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { runBlocking } from '../../../src/medium/steps.ts';

const layout = namespaceLayout('test');
const id: SegmentId = { root: 0, writer: 'aaaaaaaaaaaaaaab', sequence: 0 };
const text = segmentIdText(id);
const name = layout.log + text;

function payload(key: string, value = 'v'): Uint8Array {
  const writer = new ByteWriter();
  encodeBatch(writer, [{ key: key as Key, value: Buffer.from(value), expiresAtMs: 0 }]);
  return writer.copy();
}

/** Reads a medium whose only file is a segment with these bytes. */
function readBytes(bytes: Buffer): { keys: string[]; reader: SegmentReader } {
  const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
  medium.blocking?.openAppend(name).write(bytes);
  const reader = new SegmentReader(layout, text, { framed: false });
  const frames = runBlocking(reader.read(), { medium, system: nodeSystem }) ?? [];
  return { keys: frames.flatMap(({ entries }) => entries.map(({ key }) => key as string)), reader };
}

describe('an appended segment', () => {
  let medium: MemoryMedium;
  let writer: SegmentWriter;
  const bytes = async (): Promise<Buffer> => (await medium.get(name)) as Buffer;

  beforeEach(() => {
    medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
    writer = openSegmentWriter(medium, layout, id);
  });

  it('gives back the batches in order, and knows its seal', async () => {
    await writer.append(
      [
        { time: 1, payload: payload('a') },
        { time: 2, payload: payload('b') },
      ],
      true,
    );
    await writer.append([{ time: 3, payload: payload('c') }], true);
    await writer.seal();
    const { keys, reader } = readBytes(await bytes());
    expect(keys).toEqual(['a', 'b', 'c']);
    expect(reader.sealed).toBe(true);
  });

  it('hands out each frame once when it is read again and again while it grows', async () => {
    const reader = new SegmentReader(layout, text, { framed: false });
    const seen: string[] = [];
    for (const key of ['a', 'b', 'c']) {
      await writer.append([{ time: 1, payload: payload(key, 'x'.repeat(300_000)) }], true);
      const frames = runBlocking(reader.read(), { medium, system: nodeSystem }) ?? [];
      seen.push(...frames.flatMap(({ entries }) => entries.map((entry) => entry.key as string)));
      expect(runBlocking(reader.read(), { medium, system: nodeSystem })).toEqual([]);
    }
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('is read on from where a root has absorbed it', async () => {
    const [end] = await writer.append([{ time: 1, payload: payload('a') }], true);
    await writer.append([{ time: 2, payload: payload('b') }], true);
    const reader = new SegmentReader(layout, text, { framed: false, offset: end as number });
    const frames = runBlocking(reader.read(), { medium, system: nodeSystem }) ?? [];
    expect(frames.map(({ entries }) => entries[0]?.key)).toEqual(['b']);
  });

  it('drops a torn tail at every length, and keeps all before it', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const good = (await bytes()).length;
    await writer.append(
      [
        { time: 2, payload: payload('b') },
        { time: 3, payload: payload('c') },
      ],
      true,
    );
    const whole = await bytes();
    for (let length = good; length < whole.length; length++) {
      const { keys } = readBytes(whole.subarray(0, length));
      expect(keys[0]).toBe('a');
      expect(keys).not.toContain('c');
    }
  });

  it('drops a torn tail that zeros follow, and counts its bytes', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const good = (await bytes()).length;
    await writer.append([{ time: 2, payload: payload('b') }], true);
    const torn = Buffer.concat([(await bytes()).subarray(0, good + 27), Buffer.alloc(4096)]);
    const { keys, reader } = readBytes(torn);
    expect(keys).toEqual(['a']);
    expect(reader.tornBytes).toBe(27);
  });

  it('takes zeros behind the last frame for blocks allocated ahead', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const { keys, reader } = readBytes(Buffer.concat([await bytes(), Buffer.alloc(100_000)]));
    expect(keys).toEqual(['a']);
    expect(reader.tornBytes).toBe(0);
  });

  it('reports every damaged byte of a group that was durable before a later one', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    await writer.append([{ time: 2, payload: payload('b') }], true);
    const second = (await bytes()).length;
    await writer.append([{ time: 3, payload: payload('c') }], true);
    const whole = await bytes();
    for (let at = 0; at < second; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 0x20;
      expect(() => readBytes(damaged), `byte ${at}`).toThrow(/damaged/);
    }
  });

  it('names file and offset of the damage', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const start = (await bytes()).length;
    await writer.append([{ time: 2, payload: payload('b') }], true);
    await writer.append([{ time: 3, payload: payload('c') }], true);
    const damaged = await bytes();
    damaged[start + 26] = 0xff;
    expect(() => readBytes(damaged)).toThrow(expect.objectContaining({ code: 'CORRUPT', file: name, offset: start }));
  });

  it('takes damage in the last, unsealed group for a torn tail, since the two look alike', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const start = (await bytes()).length;
    await writer.append([{ time: 2, payload: payload('b') }], true);
    const damaged = await bytes();
    damaged[start + 26] = 0xff;
    expect(readBytes(damaged).keys).toEqual(['a']);
  });

  it('reports damage before a seal, even in the last group', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const start = (await bytes()).length;
    await writer.append([{ time: 2, payload: payload('b') }], true);
    await writer.seal();
    const damaged = await bytes();
    damaged[start + 26] = 0xff;
    expect(() => readBytes(damaged)).toThrow(/damaged/);
  });

  it('keeps all unsynced groups in one, so that a power cut in `os` mode never looks like damage', async () => {
    for (const key of ['a', 'b', 'c']) await writer.append([{ time: 1, payload: payload(key) }], false);
    const holed = await bytes();
    holed.fill(0xaa, 60, 70);
    expect(() => readBytes(holed)).not.toThrow();
    await writer.seal();
    const sealed = await bytes();
    sealed.fill(0xaa, 60, 70);
    expect(readBytes(sealed).reader.tornBeforeSeal).toBe(true);
  });

  it('is not fooled by a value that holds a whole valid segment', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    await writer.append([{ time: 2, payload: payload('b') }], true);
    const copy = (await bytes()).toString('latin1');
    await writer.append([{ time: 3, payload: payload('c', `${copy}${copy}`) }], true);
    const torn = await bytes();
    expect(readBytes(torn.subarray(0, torn.length - 1)).keys).toEqual(['a', 'b']);
  });

  it('refuses bytes of another segment under its name', async () => {
    const other = openSegmentWriter(medium, layout, { ...id, sequence: 1 });
    await other.append([{ time: 1, payload: payload('a') }], true);
    await other.append([{ time: 2, payload: payload('b') }], true);
    const foreign = (await medium.get(layout.log + segmentIdText({ ...id, sequence: 1 }))) as Buffer;
    expect(readBytes(foreign).keys).toEqual([]);
  });

  it('can be salvaged behind the damage', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const start = (await bytes()).length;
    await writer.append([{ time: 2, payload: payload('b') }], true);
    await writer.append([{ time: 3, payload: payload('c') }], true);
    const damaged = await bytes();
    damaged[start + 26] = 0xff;
    const other = new MemoryMedium({ system: nodeSystem, canAppend: true });
    other.blocking?.openAppend(name).write(damaged);
    const lost: number[] = [];
    const reader = new SegmentReader(layout, text, { framed: false, onDamage: (_error, bytesLost) => lost.push(bytesLost) });
    const frames = runBlocking(reader.read(), { medium: other, system: nodeSystem }) ?? [];
    expect(frames.map(({ entries }) => entries[0]?.key)).toEqual(['a', 'c']);
    expect(lost).toHaveLength(1);
  });
});

describe('a segment of objects', () => {
  let medium: MemoryMedium;
  let writer: SegmentWriter;
  const parts = async (): Promise<string[]> => (await medium.list(`${name}/`)).map((object) => object.name);

  beforeEach(() => {
    medium = new MemoryMedium({ system: nodeSystem, canAppend: false });
    writer = openSegmentWriter(medium, layout, id);
  });

  const read = (reader: SegmentReader, numbers: number[]): string[] =>
    (runBlocking(reader.read({ parts: numbers }), { medium, system: nodeSystem }) ?? []).flatMap(({ entries }) =>
      entries.map((entry) => entry.key as string),
    );

  it('puts one object a group, and counts objects as its offset', async () => {
    expect(
      await writer.append(
        [
          { time: 1, payload: payload('a') },
          { time: 2, payload: payload('b') },
        ],
        true,
      ),
    ).toEqual([1, 1]);
    expect(await writer.append([{ time: 3, payload: payload('c') }], true)).toEqual([2]);
    await writer.seal();
    expect(await parts()).toEqual([`${name}/00000000`, `${name}/00000001`, `${name}/00000002`]);
    const reader = new SegmentReader(layout, text, { framed: true });
    expect(read(reader, [0, 1, 2])).toEqual(['a', 'b', 'c']);
    expect(reader.sealed).toBe(true);
  });

  it('reports every damaged byte', async () => {
    await writer.append([{ time: 1, payload: payload('a') }], true);
    const [part] = await parts();
    const whole = (await medium.get(part as string)) as Buffer;
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 1;
      await medium.delete([part as string]);
      await medium.putIfAbsent(part as string, damaged);
      expect(() => read(new SegmentReader(layout, text, { framed: true }), [0]), `byte ${at}`).toThrow(
        expect.objectContaining({ code: 'CORRUPT' }),
      );
    }
  });

  it('reads an object that the listing missed because it was put while that ran', async () => {
    for (const key of ['a', 'b', 'c']) await writer.append([{ time: 1, payload: payload(key) }], true);
    const reader = new SegmentReader(layout, text, { framed: true });
    expect(read(reader, [0, 2])).toEqual(['a', 'b', 'c']);
    expect(reader.gaps).toBe(0);
  });

  it('meets a damaged object again at each read, instead of passing over it', async () => {
    for (const key of ['a', 'b', 'c']) await writer.append([{ time: 1, payload: payload(key) }], true);
    const part = `${name}/00000001`;
    const damaged = (await medium.get(part)) as Buffer;
    damaged[20] = (damaged[20] as number) ^ 1;
    await medium.delete([part]);
    await medium.putIfAbsent(part, damaged);
    const reader = new SegmentReader(layout, text, { framed: true });
    for (let i = 0; i < 2; i++) expect(() => read(reader, [0, 1, 2])).toThrow(expect.objectContaining({ code: 'CORRUPT', file: part }));
  });

  it('skips and counts an object that is missing before later ones', async () => {
    for (const key of ['a', 'b', 'c']) await writer.append([{ time: 1, payload: payload(key) }], true);
    await medium.delete([`${name}/00000001`]);
    const reader = new SegmentReader(layout, text, { framed: true });
    expect(read(reader, [0, 2])).toEqual(['a', 'c']);
    expect(reader.gaps).toBe(1);
  });
});
