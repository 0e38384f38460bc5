import { describe, expect, it } from 'vitest';
import { isPeatError } from '../../../src/base/errors.ts';
import { decodeCheckedJson } from '../../../src/format/checked-json.ts';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';

const VALUE = { format: 1, zero: 0, name: 'größe 😀', list: [1, 'a\nb', null, { y: 1, x: 2 }], flag: true };

describe('checked JSON', () => {
  it('comes back as it was written', () => {
    expect(decodeCheckedJson(encodeCheckedJson(VALUE), 'f')).toEqual(VALUE);
  });

  it('has the bytes that the format describes', () => {
    const bytes = encodeCheckedJson({ b: [1, 'x'], a: { d: null, c: 'é' }, gone: undefined });
    expect(bytes.toString('utf8')).toBe('{"a":{"c":"é","d":null},"b":[1,"x"]}\ncrc32:5848b755\n');
  });

  it('writes values with equal content alike, whatever the order of their keys', () => {
    expect(encodeCheckedJson({ a: 1, b: { c: 2, d: 3 } })).toEqual(encodeCheckedJson({ b: { d: 3, c: 2 }, a: 1 }));
  });

  it('finds every change of a single byte', () => {
    const bytes = encodeCheckedJson(VALUE);
    const missed: string[] = [];
    for (let at = 0; at < bytes.length; at++) {
      const original = bytes[at] as number;
      for (let value = 0; value < 256; value++) {
        if (value === original) continue;
        bytes[at] = value;
        if (!isCorrupt(bytes)) missed.push(`byte ${at} = ${value}`);
      }
      bytes[at] = original;
    }
    expect(missed).toEqual([]);
    expect(isCorrupt(bytes)).toBe(false);
  });

  it('finds every truncation, and bytes that follow', () => {
    const bytes = encodeCheckedJson(VALUE);
    for (let length = 0; length < bytes.length; length++) expect(isCorrupt(bytes.subarray(0, length)), `${length} bytes`).toBe(true);
    for (const more of ['\n', ' ', '\0', 'x']) expect(isCorrupt(Buffer.concat([bytes, Buffer.from(more)]))).toBe(true);
  });

  it('names the file and the place of the damage', () => {
    const bytes = encodeCheckedJson({ a: 1 });
    bytes[2] = 0x62;
    expect(() => decodeCheckedJson(bytes, 'ns/a/root/1')).toThrow(
      expect.objectContaining({ code: 'CORRUPT', file: 'ns/a/root/1', offset: 7 }),
    );
  });

  it('reads from a view into a larger buffer', () => {
    const bytes = encodeCheckedJson(VALUE);
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 9);
    expect(decodeCheckedJson(larger.subarray(9, 9 + bytes.length), 'f')).toEqual(VALUE);
  });
});

function isCorrupt(bytes: Uint8Array): boolean {
  try {
    decodeCheckedJson(bytes, 'f');
    return false;
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT')) throw error;
    return true;
  }
}
