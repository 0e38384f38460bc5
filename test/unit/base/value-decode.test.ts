/** Our reading of packed values against msgpackr's: for any bytes at all, the same value, or left to it. */
import fc from 'fast-check';
import { Packr } from 'msgpackr/pack';
import { describe, expect, it } from 'vitest';
import { encodeValue } from '../../../src/base/value.ts';
import { decodePacked, UNKNOWN } from '../../../src/base/value-decode.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true, mapsAsObjects: true, int64AsType: 'bigint', copyBuffers: true });

function byMsgpackr(bytes: Uint8Array): { value: unknown } | undefined {
  try {
    return { value: packr.unpack(bytes) };
  } catch {
    return undefined;
  }
}

/** A U+FEFF that msgpackr loses would be a difference. */
const text = fc.string({ unit: 'binary' }).map((some) => some.replaceAll('\ufeff', ''));
const { value: values } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.double(),
      text,
      text.map((some) => some.repeat(40)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
      fc.date({ noInvalidDate: true }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    ),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      fc.option(tie('value'), { nil: undefined }),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
}));

describe('packed values', () => {
  it('are read as msgpackr reads them, and never left to it', () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encodeValue(value);
        const decoded = decodePacked(bytes);
        expect(decoded).not.toBe(UNKNOWN);
        expect(decoded).toEqual(byMsgpackr(bytes)?.value);
      }),
      { numRuns: 500 },
    );
  });

  it('of which a byte is changed, or the end missing, are read as msgpackr reads them, or left to it', () => {
    const changes = fc.record({ value: values, at: fc.nat(), byte: fc.nat(255), end: fc.option(fc.nat()) });
    fc.assert(
      fc.property(changes, ({ value, at, byte, end }) => {
        const packed = Buffer.from(encodeValue(value));
        packed[at % packed.length] = byte;
        const bytes = end === null ? packed : packed.subarray(0, end % packed.length);
        agrees(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('of any bytes at all are read as msgpackr reads them, or left to it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => agrees(Buffer.from(bytes))),
      { numRuns: 5000 },
    );
  });

  it('that stand in the middle of other bytes are read by themselves', () => {
    const bytes = Buffer.concat([Buffer.from([1, 2, 3]), encodeValue({ name: 'a text of some length' }), Buffer.from([4])]);
    expect(decodePacked(bytes.subarray(3, bytes.length - 1))).toEqual({ name: 'a text of some length' });
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset + 3, bytes.length - 4);
    expect(decodePacked(plain)).toEqual({ name: 'a text of some length' });
    expect(decodePacked(bytes.subarray(3, bytes.length - 2))).toBe(UNKNOWN);
  });

  it('that nest too deeply are left to msgpackr', () => {
    expect(decodePacked(Buffer.alloc(1_000_000, 0x91))).toBe(UNKNOWN);
  });

  it('that are buffers are copies', () => {
    const bytes = encodeValue(Buffer.from('copied'));
    const decoded = decodePacked(bytes) as Buffer;
    bytes.fill(0);
    expect(decoded.toString()).toBe('copied');
  });
});

function agrees(bytes: Uint8Array): void {
  const decoded = decodePacked(bytes);
  if (decoded === UNKNOWN) return;
  const expected = byMsgpackr(bytes);
  expect(expected).toBeDefined();
  if (!JSON.stringify(decoded, asText)?.includes('\ufeff')) expect(decoded).toEqual(expected?.value);
}

function asText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
