import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeValue, encodeValue } from '../../../src/base/value.ts';

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value));

describe('values', () => {
  it('of the stated domain read back the same', () => {
    const values = fc.letrec((tie) => ({
      leaf: fc.oneof(
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        fc.double().map((n) => (Object.is(n, -0) ? 0 : n)),
        fc.string({ unit: 'binary' }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
        fc.date({ noInvalidDate: true }),
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      ),
      value: fc.oneof(
        { depthSize: 'small' },
        tie('leaf'),
        fc.array(tie('value'), { maxLength: 5 }),
        fc.dictionary(
          fc.string({ unit: 'binary' }).filter((name) => name !== '__proto__'),
          tie('value'),
          { maxKeys: 5, noNullPrototype: true },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(values, (value) => {
        expect(roundTrip(value)).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });

  it('keep what a text begins with, however long it is', () => {
    for (const length of [0, 10, 63, 64, 100, 70_000]) {
      const text = `\ufeff${'x'.repeat(length)}`;
      expect(roundTrip(text)).toBe(text);
      expect(roundTrip({ [text]: [text], at: new Date(5), other: 'y'.repeat(300) })).toEqual({
        [text]: [text],
        at: new Date(5),
        other: 'y'.repeat(300),
      });
    }
  });

  it('keep properties that are undefined', () => {
    expect(Object.keys(roundTrip({ a: undefined, b: 1 }) as object)).toEqual(['a', 'b']);
  });

  it('keep a bigint a bigint, however small', () => {
    expect(roundTrip(5n)).toBe(5n);
  });

  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /undefined/],
    ['a function', () => 1, /function/],
    ['a nested function', { a: [{ b: () => 1 }] }, /\.a\[0\]\.b/],
    ['a symbol', Symbol('s'), /symbol/],
    ['a map', new Map(), /Map/],
    ['a class instance', new (class Point {})(), /Point/],
    ['a regular expression', /x/, /RegExp/],
    ['an invalid date', new Date(Number.NaN), /invalid Date/],
    ['a large bigint', 2n ** 64n, /64 bits/],
    ['a lone surrogate', 'a\ud800', /surrogate/],
    ['a property name with a lone surrogate', { '\udfff': 1 }, /surrogate/],
    ['__proto__', JSON.parse('{"__proto__": 1}'), /__proto__/],
    ['a hole', new Array(3), /hole/],
    ['another typed array', new Float64Array(1), /Float64Array/],
  ])('that would change on the way are refused: %s', (_what, value, message) => {
    expect(() => encodeValue(value)).toThrow(TypeError);
    expect(() => encodeValue(value)).toThrow(message);
  });

  it('that refer to themselves are refused', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(() => encodeValue(cycle)).toThrow(/cycle/);
  });

  it('may be 100 levels deep, and no more', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect(roundTrip(nested(100))).toEqual(nested(100));
    expect(() => encodeValue(nested(101))).toThrow(TypeError);
  });

  it('read back as copies, which do not hold the file in memory', () => {
    const packed = encodeValue(Buffer.from('abc'));
    const value = decodeValue(packed) as Buffer;
    packed.fill(0);
    expect(value.toString()).toBe('abc');
  });
});
