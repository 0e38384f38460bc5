import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, fromKey, prefixEnd, toBound, toKey } from '../../../src/base/key.ts';

const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

describe('keys', () => {
  it('compare as their UTF-8 bytes do', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareKeys(toKey(a), toKey(b)))).toBe(expected);
      }),
    );
  });

  it('come back as the string that they were made of', () => {
    fc.assert(
      fc.property(key, (text) => {
        expect(fromKey(toKey(text))).toBe(text);
      }),
    );
  });

  it('of ASCII are the string itself', () => {
    expect(toKey('run/42')).toBe('run/42');
  });

  it('are measured in bytes, not in characters', () => {
    expect(() => toKey('é'.repeat(513))).toThrow(/1026/);
    expect(toKey('é'.repeat(512))).toHaveLength(1024);
  });

  it.each([[undefined], [null], [42], [{}], [Symbol('s')]])('are refused where they are no string: %s', (value) => {
    expect(() => toKey(value)).toThrow(TypeError);
  });

  it('have a least key behind all with a prefix', () => {
    expect(prefixEnd(toBound('a', 'prefix'))).toBe('b');
    expect(prefixEnd(toBound('', 'prefix'))).toBeUndefined();
    fc.assert(
      fc.property(key, key, (prefix, rest) => {
        const end = prefixEnd(toBound(prefix, 'prefix'));
        const longer = toBound(prefix + rest, 'key');
        if (end !== undefined) expect(compareKeys(longer, end)).toBe(-1);
      }),
    );
  });
});
