import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import type { Key } from '../../../src/base/key.ts';
import { encodeBatch } from '../../../src/format/batch.ts';
import {
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  FRAME_SEAL,
  frameSeed,
  SEGMENT_HEADER_BYTES,
  writeFrame,
} from '../../../src/format/frame.ts';
import type { Finding } from '../../../src/inspect/finding.ts';
import { repairStore } from '../../../src/inspect/repair.ts';
import { verifyStore } from '../../../src/inspect/verify.ts';
import { naiveValues } from '../../support/naive-read.ts';
import { Zoo } from '../../support/store-zoo.ts';

async function findings(zoo: Zoo): Promise<Finding[]> {
  const found: Finding[] = [];
  await verifyStore(zoo, { onFinding: (finding) => found.push(finding) });
  return found;
}

async function framed(keys: readonly string[]): Promise<{ zoo: Zoo; parts: string[] }> {
  const zoo = new Zoo();
  await zoo.init();
  const writer = zoo.openWriter({ medium: zoo.framed });
  for (const key of keys) await zoo.append(writer, { [key]: 1 });
  await writer.seal();
  await zoo.adopt();
  return { zoo, parts: (await zoo.medium.list(zoo.layout.log)).map(({ name }) => name) };
}

function batchOf(key: string): Uint8Array {
  const writer = new ByteWriter();
  encodeBatch(writer, [{ key: key as Key, value: Buffer.from([1]), expiresAtMs: 0 }]);
  return writer.copy();
}

describe('verifying a log', () => {
  it('names an object of a segment that is missing before later ones', async () => {
    const { zoo, parts } = await framed(['a', 'b', 'c']);
    expect(await findings(zoo)).toEqual([]);
    await zoo.medium.delete([parts[1] as string]);
    expect(await findings(zoo)).toMatchObject([{ severity: 'damage', code: 'object-missing', file: parts[1] }]);
  });

  it('does not call an object missing that came while the listing was made', async () => {
    const { zoo, parts } = await framed(['a', 'b', 'c']);
    const list = zoo.medium.list.bind(zoo.medium);
    zoo.medium.list = async (prefix, options) => (await list(prefix, options)).filter(({ name }) => name !== parts[1]);
    expect(await findings(zoo)).toEqual([]);
  });

  it('notes a segment that is shorter than what was absorbed of it, and does not call it damaged', async () => {
    const zoo = new Zoo();
    await zoo.init();
    const writer = zoo.openWriter();
    await zoo.append(writer, { a: 1 });
    await zoo.append(writer, { b: 1 });
    await zoo.compact();
    await zoo.tear(writer, 30);
    expect(await findings(zoo)).toMatchObject([{ severity: 'info', code: 'segment-short' }]);
  });

  it('names a seal that counts other batches than there are', async () => {
    const { zoo, parts } = await framed(['a', 'b']);
    const name = parts[2] as string;
    const seed = frameSeed(name.slice(zoo.layout.log.length));
    const seal = Buffer.alloc(SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 1);
    encodeSegmentHeader(seed).copy(seal);
    writeFrame(seal, SEGMENT_HEADER_BYTES, { seed, groupStart: 0, kind: FRAME_SEAL, time: 0, payload: Buffer.from([5]) });
    await zoo.medium.delete([name]);
    await zoo.medium.putIfAbsent(name, seal);
    expect(await findings(zoo)).toMatchObject([{ severity: 'damage', file: name, what: 'the seal counts 5 batches, but 2 are there' }]);
  });

  it('warns of what nobody reads any more, behind the seal of a segment that was taken in', async () => {
    const zoo = new Zoo();
    await zoo.init();
    const writer = zoo.openWriter();
    await zoo.append(writer, { a: 1 });
    await writer.seal();
    await zoo.compact();
    const [{ name }] = (await zoo.medium.list(zoo.layout.log)) as [{ name: string }];
    const bytes = (await zoo.medium.get(name)) as Buffer;
    await zoo.medium.delete([name]);
    await zoo.medium.putIfAbsent(name, Buffer.concat([bytes, bytes]));
    expect(await findings(zoo)).toMatchObject([{ severity: 'warning', file: name, what: 'bytes follow the seal' }]);
    expect((await repairStore(zoo)).actions).toEqual([]);
  });

  it('is clean after a repair that took in an object which lacks batches that its seal counts', async () => {
    const { zoo, parts } = await framed(['a', 'b']);
    const writer = zoo.openWriter({ medium: zoo.framed });
    await writer.append(
      ['c', 'd'].map((key, i) => ({ time: 1_000_000 * (i + 1), payload: batchOf(key) })),
      true,
    );
    await writer.seal();
    await zoo.adopt();
    const [name] = (await zoo.medium.list(zoo.layout.log)).map((object) => object.name).filter((object) => !parts.includes(object));
    const bytes = (await zoo.medium.get(name as string)) as Buffer;
    await zoo.medium.delete([name as string]);
    await zoo.medium.putIfAbsent(name as string, bytes.subarray(0, (bytes.length + SEGMENT_HEADER_BYTES) / 2));
    expect(await findings(zoo)).toMatchObject([{ severity: 'damage', what: 'the seal counts 2 batches, but 1 are there' }]);
    expect((await repairStore(zoo, { apply: true })).actions).toHaveLength(1);
    expect((await findings(zoo)).filter(({ severity }) => severity === 'damage')).toEqual([]);
    expect([...(await naiveValues(zoo)).keys()]).toEqual(['a', 'b', 'c']);
  });

  it('names zeros behind the seal of an object, which a reader takes for damage, too', async () => {
    const { zoo, parts } = await framed(['a']);
    const name = parts[1] as string;
    const bytes = (await zoo.medium.get(name)) as Buffer;
    await zoo.medium.delete([name]);
    await zoo.medium.putIfAbsent(name, Buffer.concat([bytes, Buffer.alloc(1)]));
    expect(await findings(zoo)).toMatchObject([{ severity: 'damage', file: name, what: 'bytes follow the seal' }]);
    expect((await repairStore(zoo, { apply: true })).actions).toHaveLength(1);
    expect([...(await naiveValues(zoo)).keys()]).toEqual(['a']);
  });
});
