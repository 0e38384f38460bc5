import { describe, expect, it } from 'vitest';
import { ByteWriter, MalformedError } from '../../../../src/base/bytes.ts';
import type { Key } from '../../../../src/base/key.ts';
import { Filter, FilterBuilder, filterHash } from '../../../../src/format/table/filter.ts';

function build(keys: readonly string[]): Buffer {
  const builder = new FilterBuilder();
  for (const key of keys) builder.add(key as Key);
  const writer = new ByteWriter();
  const { byteLength } = builder;
  builder.finish(writer);
  expect(writer.length).toBe(byteLength);
  return writer.copy();
}

const numbered = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('Filter', () => {
  it('knows every key that was added', () => {
    for (const count of [8, 9, 100, 5000]) {
      const keys = numbered(count, 'key/\xff');
      const filter = Filter.decode(build(keys));
      for (const key of keys) expect(filter.mayContain(filterHash(key as Key))).toBe(true);
    }
  });

  it('takes fewer than 2 of 100 other keys for its own', () => {
    const filter = Filter.decode(build(numbered(5000, 'in/')));
    const wrong = numbered(20_000, 'out/').filter((key) => filter.mayContain(filterHash(key as Key)));
    expect(wrong.length).toBeLessThan(400);
    expect(wrong.length).toBeGreaterThan(0);
  });

  it('sets the bits that the format says', () => {
    const keys = numbered(13, 'k');
    const bytes = build(keys);
    const bits = BigInt(Math.ceil((keys.length * 10) / 8) * 8);
    const expected = Buffer.alloc(1 + Number(bits / 8n));
    expected[0] = 7;
    for (const key of keys) {
      const h = BigInt(filterHash(key as Key));
      const rotated = (h >> 17n) | ((h << 15n) & 0xffff_ffffn);
      for (let i = 0n; i < 7n; i++) {
        const bit = Number((h + i * rotated) % bits);
        expected[1 + (bit >> 3)] = (expected[1 + (bit >> 3)] as number) | (1 << (bit & 7));
      }
    }
    expect(bytes.subarray(0, -4).toString('hex')).toBe(expected.toString('hex'));
  });

  it('is empty for fewer than 8 keys, and then rules nothing out', () => {
    const bytes = build(numbered(7, 'k'));
    expect(bytes).toHaveLength(0);
    expect(Filter.decode(bytes).mayContain(filterHash('other' as Key))).toBe(true);
  });

  it('is refused if it is damaged', () => {
    const bytes = build(numbered(10, 'k'));
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ 1;
      expect(() => Filter.decode(damaged)).toThrow(MalformedError);
    }
    for (let length = 1; length < bytes.length; length++) {
      expect(() => Filter.decode(bytes.subarray(0, length))).toThrow(MalformedError);
    }
  });
});
