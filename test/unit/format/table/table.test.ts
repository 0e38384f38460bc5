import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter, MalformedError } from '../../../../src/base/bytes.ts';
import type { Key } from '../../../../src/base/key.ts';
import { crc32 } from '../../../../src/format/checksum.ts';
import type { Entry } from '../../../../src/format/entry.ts';
import type { TableRef } from '../../../../src/format/root.ts';
import { Block } from '../../../../src/format/table/block.ts';
import { filterHash } from '../../../../src/format/table/filter.ts';
import { type BuiltTable, TableBuilder } from '../../../../src/format/table/table-builder.ts';
import { listTables } from '../../../../src/format/table/table-file.ts';
import { TableIndex } from '../../../../src/format/table/table-index.ts';
import { plain, put, random, randomEntry, randomKeys } from './entries.ts';

function build(entries: readonly Entry[]): BuiltTable {
  const builder = new TableBuilder();
  for (const entry of entries) builder.add(entry);
  return builder.finish();
}

function refOf(table: BuiltTable): TableRef {
  const { bytes: _, ...facts } = table;
  return { ...facts, file: 'file', offset: 0 };
}

function indexOf(table: BuiltTable): TableIndex {
  return TableIndex.decode(table.bytes.subarray(table.indexOffset), refOf(table));
}

function blockOf(bytes: Buffer, index: TableIndex, block: number): Block {
  const { offset, length, checksum } = index.blockRange(block);
  return Block.decode(bytes.subarray(offset, offset + length), checksum);
}

function readAll(bytes: Buffer, index: TableIndex): Entry[] {
  const entries: Entry[] = [];
  for (let b = 0; b < index.blocks; b++) {
    const block = blockOf(bytes, index, b);
    for (let i = 0; i < block.length; i++) entries.push(block.entryAt(i));
  }
  return entries;
}

function find(table: BuiltTable, index: TableIndex, key: Key): Entry | undefined {
  const block = index.findBlock(key);
  return block === index.blocks ? undefined : blockOf(table.bytes, index, block).find(key);
}

describe('a table', () => {
  it('gives back the entries that it was built of, and describes them', () => {
    const from = random();
    for (const count of [1, 7, 8, 300, 3000]) {
      const entries = randomKeys(from, count).map((key) => randomEntry(from, key));
      const table = build(entries);
      const index = indexOf(table);
      expect(plain(readAll(table.bytes, index))).toEqual(plain(entries));
      expect(refOf(table)).toEqual({
        file: 'file',
        offset: 0,
        length: table.bytes.length,
        indexOffset: index.footer.filterOffset,
        first: entries[0]?.key,
        last: entries[count - 1]?.key,
        entries: count,
        tombstones: entries.filter((entry) => entry.value === undefined).length,
        expiring: entries.filter((entry) => entry.expiresAtMs !== 0).length,
        maxTime: Math.max(...entries.map((entry) => entry.stamp.time)),
        lastExpiryMs: Math.max(0, ...entries.map((entry) => entry.expiresAtMs)),
        checksum: index.checksum,
      });
    }
  });

  it('gives back any keys and values', () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    const entries = fc
      .uniqueArray(fc.tuple(key, fc.uint8Array({ maxLength: 600 })), { minLength: 1, maxLength: 60, selector: ([k]) => k })
      .map((pairs) => pairs.sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, value]) => put(k, Buffer.from(value))));
    const seed = random().seed | 0;
    fc.assert(
      fc.property(entries, (list) => {
        const table = build(list);
        expect(plain(readAll(table.bytes, indexOf(table)))).toEqual(plain(list));
      }),
      { seed, numRuns: 100 },
    );
  });

  it('is known to its root by the checksums of its filter, index and footer', () => {
    for (const count of [7, 8]) {
      const table = build(Array.from({ length: count }, (_, i) => put(`k${i}`)));
      const { filterOffset, indexOffset } = indexOf(table).footer;
      const footerAt = table.length - 56;
      const parts = Buffer.alloc(12);
      expect(indexOffset > filterOffset).toBe(count === 8);
      if (count === 8) table.bytes.copy(parts, 0, indexOffset - 4, indexOffset);
      table.bytes.copy(parts, 4, footerAt - 4, footerAt);
      table.bytes.copy(parts, 8, footerAt + 44, footerAt + 48);
      expect(table.checksum).toBe(crc32(parts));
    }
  });

  it('finds every key by filter, index and block, and none between them', () => {
    const from = random();
    const keys = randomKeys(from, 2000);
    const entries = keys.map((key) => randomEntry(from, key));
    const table = build(entries);
    const index = indexOf(table);
    expect(index.blocks).toBeGreaterThan(5);
    for (const entry of entries) {
      expect(index.mayContain(entry.key)).toBe(true);
      expect(index.mayContain(entry.key, filterHash(entry.key))).toBe(true);
      expect(find(table, index, entry.key)).toEqual(entry);
    }
    const known = new Set<string>(keys);
    for (const key of keys) {
      const next = `${key}\0` as Key;
      if (!known.has(next)) expect(find(table, index, next)).toBeUndefined();
    }
  });

  it('names the first block whose last key is not below the one asked for', () => {
    const table = build(Array.from({ length: 100 }, (_, i) => put(`k${100 + i}`, Buffer.alloc(1000))));
    const index = indexOf(table);
    expect(index.findBlock('' as Key)).toBe(0);
    expect(index.findBlock('k100' as Key)).toBe(0);
    expect(index.findBlock('k199' as Key)).toBe(index.blocks - 1);
    expect(index.findBlock('k1990' as Key)).toBe(index.blocks);
    for (let i = 0; i < index.blocks - 1; i++) {
      expect(index.findBlock(index.lastKeyOf(i))).toBe(i);
      expect(index.findBlock(`${index.lastKeyOf(i)}\0` as Key)).toBe(i + 1);
      expect(blockOf(table.bytes, index, i + 1).keyAt(0) > index.lastKeyOf(i)).toBe(true);
    }
  });

  it('closes a block when its entries reach 8 KiB, and lets one entry be larger', () => {
    const huge = Buffer.alloc(1024 * 1024, 7);
    const entries = [put('a'), put('b', huge), put('c'), put('d', Buffer.alloc(8191)), put('e')];
    const table = build(entries);
    const index = indexOf(table);
    expect(Array.from({ length: index.blocks }, (_, i) => index.lastKeyOf(i))).toEqual(['b', 'd', 'e']);
    expect(plain(readAll(table.bytes, index))).toEqual(plain(entries));
  });

  it('is about as large as the builder said before', () => {
    const builder = new TableBuilder();
    for (let i = 0; i < 1000; i++) builder.add(put(`k${1000 + i}`, Buffer.alloc(300)));
    expect(builder.entries).toBe(1000);
    const estimate = builder.byteLength;
    const { length } = builder.finish();
    expect(Math.abs(length - estimate)).toBeLessThan(1024);
  });

  it('can be built behind others in one writer', () => {
    const alone = build([put('a'), put('b')]).bytes;
    const writer = new ByteWriter(16);
    writer.bytes(alone);
    const builder = new TableBuilder(writer);
    builder.add(put('a'));
    builder.add(put('b'));
    expect(builder.finish().bytes.equals(alone)).toBe(true);
    expect(writer.length).toBe(alone.length * 2);
  });

  it('refuses keys that do not ascend, and to be empty', () => {
    const builder = new TableBuilder();
    builder.add(put('b'));
    expect(() => builder.add(put('b'))).toThrow('ascend');
    expect(() => builder.add(put('a'))).toThrow('ascend');
    expect(() => new TableBuilder().finish()).toThrow('invariant');
  });
});

describe('a damaged table', () => {
  it('is found by its index or the block, whichever byte is flipped', () => {
    const from = random();
    const table = build(randomKeys(from, 150).map((key) => randomEntry(from, key)));
    const ref = refOf(table);
    const intact = indexOf(table);
    expect(intact.blocks).toBeGreaterThan(1);
    for (let at = 0; at < table.length; at++) {
      const bytes = Buffer.from(table.bytes);
      bytes[at] = (bytes[at] as number) ^ (1 + from.below(255));
      if (at >= table.indexOffset) {
        expect(() => TableIndex.decode(bytes.subarray(table.indexOffset), ref), `byte ${at}`).toThrow(MalformedError);
        continue;
      }
      let block = 0;
      while (intact.blockRange(block).offset + intact.blockRange(block).length <= at) block++;
      expect(() => blockOf(bytes, intact, block), `byte ${at}`).toThrow(MalformedError);
    }
  });

  it('is refused where it differs from what the root says', () => {
    const table = build(Array.from({ length: 20 }, (_, i) => put(`k${10 + i}`)));
    const tail = table.bytes.subarray(table.indexOffset);
    const ref = refOf(table);
    const others: Partial<TableRef>[] = [
      { length: ref.length + 1 },
      { indexOffset: ref.indexOffset + 1, length: ref.length + 1 },
      { entries: 19 },
      { tombstones: 1 },
      { expiring: 1 },
      { maxTime: 2 },
      { last: 'k3' as Key },
      { checksum: ref.checksum ^ 1 },
    ];
    for (const other of others) expect(() => TableIndex.decode(tail, { ...ref, ...other }), JSON.stringify(other)).toThrow(MalformedError);
  });

  it('is found where another whole table of its size, keys and counts stands', () => {
    const from = random();
    for (const count of [1, 7, 8, 100]) {
      const entries = Array.from({ length: count }, (_, i) => put(`k${100 + i}`, Buffer.alloc(300, 1)));
      const table = build(entries);
      const changed = from.below(count);
      const other = build(entries.map((entry, i) => (i === changed ? { ...entry, value: Buffer.alloc(300, 2) } : entry)));
      const { bytes, checksum, ...facts } = table;
      expect(other).toMatchObject(facts);
      expect(crc32(other.bytes)).toBe(crc32(bytes));
      expect(other.checksum).not.toBe(checksum);
      expect(() => TableIndex.decode(other.bytes.subarray(other.indexOffset), refOf(table))).toThrow(MalformedError);
      expect(() => TableIndex.decode(other.bytes.subarray(other.indexOffset), refOf(other))).not.toThrow();
      // Nor are its blocks taken for those of the right one.
      const index = indexOf(table);
      const block = index.findBlock(entries[changed]?.key as Key);
      expect(() => blockOf(other.bytes, index, block)).toThrow(MalformedError);
    }
  });

  it('is found where two of its blocks have changed places', () => {
    const table = build(Array.from({ length: 100 }, (_, i) => put(`k${100 + i}`, Buffer.alloc(1000))));
    const index = indexOf(table);
    const one = index.blockRange(1);
    const two = index.blockRange(2);
    expect(two.length).toBe(one.length);
    const bytes = Buffer.from(table.bytes);
    table.bytes.copy(bytes, one.offset, two.offset, two.offset + two.length);
    table.bytes.copy(bytes, two.offset, one.offset, one.offset + one.length);
    expect(() => blockOf(bytes, index, 0)).not.toThrow();
    for (const block of [1, 2]) expect(() => blockOf(bytes, index, block)).toThrow(MalformedError);
  });

  it('says where it is damaged, counted from its start', () => {
    const table = build(Array.from({ length: 20 }, (_, i) => put(`k${10 + i}`)));
    const bytes = Buffer.from(table.bytes);
    bytes[table.indexOffset + 3] = (bytes[table.indexOffset + 3] as number) ^ 1;
    try {
      TableIndex.decode(bytes.subarray(table.indexOffset), refOf(table));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedError);
      expect(error).toMatchObject({
        offset: table.indexOffset,
        message: `the filter's checksum does not match at byte ${table.indexOffset}`,
      });
    }
  });

  it('never gives anything but MalformedError, whatever the checksums of its tail cover', () => {
    const from = random();
    const table = build(Array.from({ length: 100 }, (_, i) => put(`k${100 + i}`, Buffer.alloc(1000))));
    const { indexOffset } = indexOf(table).footer;
    for (let n = 0; n < 2000; n++) {
      const bytes = Buffer.from(table.bytes.subarray(table.indexOffset));
      const indexAt = indexOffset - table.indexOffset;
      const footerAt = bytes.length - 56;
      const inFooter = from.below(2) === 0;
      const at = inFooter ? footerAt + from.below(44) : indexAt + from.below(footerAt - 4 - indexAt);
      bytes[at] = from.below(256);
      bytes.writeUInt32LE(crc32(bytes.subarray(indexAt, footerAt - 4)), footerAt - 4);
      bytes.writeUInt32LE(crc32(bytes.subarray(footerAt, footerAt + 44)), footerAt + 44);
      try {
        const index = TableIndex.read(bytes, table.indexOffset);
        for (let i = 0; i < index.blocks; i++) index.lastKeyOf(i);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
    }
  });
});

describe('listTables', () => {
  it('finds the tables that stand one after the other in a file', () => {
    const from = random();
    const tables = [1, 2, 500, 8].map((count) => build(randomKeys(from, count).map((key) => randomEntry(from, key))));
    const listed = listTables(Buffer.concat(tables.map((table) => table.bytes)));
    let offset = 0;
    for (const [i, table] of tables.entries()) {
      expect(listed[i]).toMatchObject({ offset, length: table.length, footer: { entries: table.entries, maxTime: table.maxTime } });
      expect(listed[i]?.index.blocks).toBe(indexOf(table).blocks);
      offset += table.length;
    }
    expect(listed).toHaveLength(4);
  });

  it('is not misled by a value that is a table', () => {
    const inner = build([put('inner')]).bytes;
    const outer = build([put('a', inner), put('b', Buffer.concat([inner, inner])), put('c', 'PEATTBL1')]);
    const listed = listTables(Buffer.concat([outer.bytes, inner]));
    expect(listed.map(({ offset, length }) => [offset, length])).toEqual([
      [0, outer.length],
      [outer.length, inner.length],
    ]);
  });

  it('says where the last table that is not whole is damaged', () => {
    const one = build([put('a')]).bytes;
    const two = build([put('b')]).bytes;
    const file = Buffer.concat([one, two]);
    const flipped = (at: number): Buffer => {
      const bytes = Buffer.from(file);
      bytes[at] = (bytes[at] as number) ^ 1;
      return bytes;
    };
    const cases: [Buffer, number][] = [
      [file.subarray(0, -1), file.length - 1 - 8],
      [Buffer.concat([file, Buffer.from([0])]), file.length + 1 - 8],
      [file.subarray(1), one.length - 1 - 56],
      [flipped(one.length - 1), one.length - 8],
      [flipped(one.length - 56), one.length - 56],
      [flipped(file.length - 56 - 5), one.length + indexOf(build([put('b')])).footer.indexOffset],
      [Buffer.alloc(0), 0],
      [Buffer.from('PEATTBL1'), 0],
    ];
    for (const [i, [bytes, offset]] of cases.entries()) {
      try {
        listTables(bytes);
        expect.unreachable();
      } catch (error) {
        expect(error, `case ${i}`).toBeInstanceOf(MalformedError);
        expect(error, `case ${i}`).toMatchObject({ offset, message: expect.stringMatching(new RegExp(`^\\D+ at byte ${offset}$`)) });
      }
    }
  });
});
