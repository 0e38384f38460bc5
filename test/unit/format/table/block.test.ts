import { describe, expect, it } from 'vitest';
import { ByteWriter, MalformedError } from '../../../../src/base/bytes.ts';
import type { Key } from '../../../../src/base/key.ts';
import { crc32 } from '../../../../src/format/checksum.ts';
import type { Entry } from '../../../../src/format/entry.ts';
import { Block, BlockBuilder } from '../../../../src/format/table/block.ts';
import { plain, put, random, randomEntry, randomKey, randomKeys } from './entries.ts';

function build(entries: readonly Entry[]): Buffer {
  const writer = new ByteWriter();
  const builder = new BlockBuilder(writer);
  for (const entry of entries) builder.add(entry);
  const { length, checksum } = builder.finish();
  const bytes = writer.copy();
  expect([length, checksum]).toEqual([bytes.length, bytes.readUInt32LE(bytes.length - 4)]);
  return bytes;
}

function all(block: Block): Entry[] {
  return Array.from({ length: block.length }, (_, i) => block.entryAt(i));
}

describe('Block', () => {
  it('gives back the entries of every kind that were added', () => {
    const from = random();
    for (const count of [1, 2, 15, 16, 17, 31, 32, 33, 150]) {
      const entries = randomKeys(from, count).map((key) => randomEntry(from, key));
      expect(plain(all(Block.decode(build(entries))))).toEqual(plain(entries));
    }
  });

  it('gives back the entries in any order of asking', () => {
    const from = random();
    const entries = randomKeys(from, 100).map((key) => randomEntry(from, key));
    const descending = Block.decode(build(entries));
    for (let i = 99; i >= 0; i--) expect(descending.entryAt(i)).toEqual(entries[i]);
    const mixed = Block.decode(build(entries));
    for (let n = 0; n < 300; n++) {
      const i = from.below(100);
      expect(mixed.keyAt(i)).toBe(entries[i]?.key);
    }
  });

  it('finds every key, and no other', () => {
    const from = random();
    const keys = randomKeys(from, 120);
    const entries = keys.map((key) => randomEntry(from, key));
    const block = Block.decode(build(entries));
    for (const entry of entries) expect(block.find(entry.key)).toEqual(entry);
    for (let n = 0; n < 500; n++) {
      const key = randomKey(from);
      if (!keys.includes(key)) expect(block.find(key)).toBeUndefined();
    }
    expect(block.find('' as Key)).toBeUndefined();
  });

  it('finds the place of any bound, on keys and between them', () => {
    const from = random();
    for (const count of [1, 15, 16, 17, 40]) {
      const keys = randomKeys(from, count);
      const bytes = build(keys.map((key) => put(key)));
      const around = keys.flatMap((key) => [key, `${key}\0`, key.slice(0, -1), `${key.slice(0, -1)}\xff\xff`]);
      for (const bound of ['', '\xff'.repeat(30), ...around] as Key[]) {
        const index = keys.findIndex((key) => key >= bound);
        // A block just decoded knows no key yet, another search finds it in a different state.
        expect(Block.decode(bytes).lowerBound(bound)).toBe(index === -1 ? keys.length : index);
      }
    }
  });

  it('stores what a key shares with the one before only once', () => {
    const prefix = 'a/long/prefix/that/all/of/the/keys/share/';
    const keys = Array.from({ length: 160 }, (_, i) => prefix + String(i).padStart(3, '0'));
    const bytes = build(keys.map((key) => put(key, '')));
    let whole = 0;
    for (let at = bytes.indexOf(prefix); at !== -1; at = bytes.indexOf(prefix, at + 1)) whole++;
    expect(whole).toBe(10);
    expect(all(Block.decode(bytes)).map((entry) => entry.key)).toEqual(keys);
  });

  it('holds one entry of 1 MiB and keys of 1,024 bytes', () => {
    const entries = [put('\xff'.repeat(1023)), put('\xff'.repeat(1024), Buffer.alloc(1024 * 1024, 0xa5))];
    expect(plain(all(Block.decode(build(entries))))).toEqual(plain(entries));
  });

  it('is written byte by byte as the format says', () => {
    const stamp = { time: 0x0001_0203_0405_0607, writer: 'w'.repeat(16), sub: 0 };
    const bytes = build([
      { key: 'ab' as Key, stamp, value: Buffer.from('v'), expiresAtMs: 0, absorbedAt: 0 },
      { key: 'ac' as Key, stamp: { ...stamp, sub: 300 }, value: undefined, expiresAtMs: 0, absorbedAt: 5 },
      { key: 'b' as Key, stamp, value: Buffer.from('w'), expiresAtMs: 128, absorbedAt: 6 },
    ]);
    const body = [
      ['00', '02', '00', '6162', '0706050403020100', '00', '01', '76'],
      ['01', '01', '05', '63', '0706050403020100', '00', 'ac02', '05'],
      ['00', '01', '02', '62', '0706050403020100', '00', '06', '8001', '01', '77'],
      ['77'.repeat(16), '00000000', '01000000', '01000000'],
    ];
    expect(bytes.subarray(0, -4).toString('hex')).toBe(body.flat().join(''));
    expect(bytes.readUInt32LE(bytes.length - 4)).toBe(crc32(bytes.subarray(0, -4)));
  });

  it('counts in its size what it keeps in memory', () => {
    const bytes = build([put('a'), put('b', Buffer.alloc(5000))]);
    expect(Block.decode(bytes).byteLength).toBeGreaterThan(bytes.length);
  });

  it('refuses entries that the format cannot hold', () => {
    const builder = new BlockBuilder(new ByteWriter());
    expect(() => builder.add({ ...put('a'), value: undefined, expiresAtMs: 1 })).toThrow('invariant');
    expect(() => new BlockBuilder(new ByteWriter()).add({ ...put('a'), absorbedAt: 1 })).toThrow('invariant');
    expect(() => new BlockBuilder(new ByteWriter()).add(put('a'.repeat(1025)))).toThrow('invariant');
    expect(() => new BlockBuilder(new ByteWriter()).add(put(''))).toThrow('invariant');
    expect(() => new BlockBuilder(new ByteWriter()).finish()).toThrow('invariant');
  });
});

describe('a damaged block', () => {
  it('is found wherever one bit is flipped', () => {
    const from = random();
    const bytes = build(randomKeys(from, 20).map((key) => randomEntry(from, key)));
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ (1 << from.below(8));
      expect(() => Block.decode(damaged), `byte ${at}`).toThrow(MalformedError);
    }
  });

  it('is found where another whole block of its length stands', () => {
    const bytes = build([put('a', 'value')]);
    const other = build([put('a', 'VALUE')]);
    const checksum = crc32(bytes.subarray(0, -4));
    expect(other.length).toBe(bytes.length);
    expect(all(Block.decode(bytes, checksum))).toHaveLength(1);
    expect(() => Block.decode(other, checksum)).toThrow(MalformedError);
  });

  it('is found wherever it is cut', () => {
    const bytes = build([put('a'), put('b')]);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => Block.decode(bytes.subarray(0, length)), `${length} bytes`).toThrow(MalformedError);
    }
  });

  it('never gives anything but MalformedError or whole entries, whatever its checksum covers', () => {
    const from = random();
    const bytes = build(randomKeys(from, 40).map((key) => randomEntry(from, key)));
    for (let n = 0; n < 2000; n++) {
      const damaged = Buffer.from(bytes);
      for (let flips = 1 + from.below(3); flips > 0; flips--) damaged[from.below(damaged.length - 4)] = from.below(256);
      damaged.writeUInt32LE(crc32(damaged.subarray(0, -4)), damaged.length - 4);
      let block: Block;
      try {
        block = Block.decode(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
        continue;
      }
      const whole = all(block).every((entry) => entry.key.length > 0 && entry.stamp.writer.length === 16);
      expect(whole && block.lowerBound(randomKey(from)) <= block.length).toBe(true);
    }
  });
});
