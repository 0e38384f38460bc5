import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPeatError } from '../../../src/base/errors.ts';
import { type Key, toKey } from '../../../src/base/key.ts';
import type { Entry } from '../../../src/format/entry.ts';
import { namespaceLayout, parseRecordText, type RecordId, recordName, recordText } from '../../../src/format/layout.ts';
import { decodeRecord, encodeRecord, type SerialRecord, stripeOf } from '../../../src/format/record.ts';

const layout = namespaceLayout('runs');
const seed = Number(process.env['PEAT_SEED'] ?? Math.floor(Math.random() * 1e6));
console.log(`PEAT_SEED=${seed}`);

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const base32 = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.integer({ min: 0, max: 31 }).map((digit) => digit.toString(32)), minLength: length, maxLength: length });
const recordId = fc.record({
  stripe: fc.integer({ min: 0, max: 999_999_999 }),
  number: fc.integer({ min: 0, max: 2 ** 48 }),
});
const entry: fc.Arbitrary<Entry> = fc
  .record({
    key: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).map((text) => toKey(text)),
    stamp: fc.record({ time: number, writer: base32(16), sub: number }),
    value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
    expiresAtMs: fc.oneof(fc.constant(0), number),
  })
  .map((some) => ({ ...some, expiresAtMs: some.value === undefined ? 0 : some.expiresAtMs, absorbedAt: 0 }));
const record: fc.Arbitrary<SerialRecord> = fc.record({
  id: recordId,
  nonce: base32(20),
  root: number,
  kind: fc.constantFrom('single', 'primary', 'secondary'),
  links: fc.array(recordId, { maxLength: 5 }),
  entries: fc.array(entry, { maxLength: 8 }),
});

const plain = (some: SerialRecord): unknown => ({
  ...some,
  entries: some.entries.map((one) => ({ ...one, value: one.value && Buffer.from(one.value).toString('hex') })),
});

const example: SerialRecord = {
  id: { stripe: 7, number: 12 },
  nonce: '0123456789abcdefghij',
  root: 3,
  kind: 'primary',
  links: [{ stripe: 9, number: 300 }],
  entries: [
    { key: 'a' as Key, stamp: { time: 1e15, writer: 'a'.repeat(16), sub: 2 }, value: Buffer.from([1]), expiresAtMs: 5, absorbedAt: 0 },
    { key: 'b' as Key, stamp: { time: 1e15, writer: 'a'.repeat(16), sub: 1 }, value: undefined, expiresAtMs: 0, absorbedAt: 0 },
  ],
};

/** Whether these bytes are found damaged under a name, and the file is named. */
function isFoundCorrupt(bytes: Buffer, id: RecordId = example.id): boolean {
  try {
    decodeRecord(layout, id, bytes);
    return false;
  } catch (error) {
    return isPeatError(error, 'CORRUPT') && error.file === recordName(layout, id);
  }
}

describe('a record', () => {
  it('comes back as it was, whatever it holds', () => {
    fc.assert(
      fc.property(record, (some) => {
        const bytes = encodeRecord(layout, some);
        const back = decodeRecord(layout, some.id, bytes);
        expect(plain(back)).toEqual(plain(some));
        expect(encodeRecord(layout, back).equals(bytes)).toBe(true);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('is corrupt, and its file is named, whichever bits of a byte are flipped', () => {
    const bytes = encodeRecord(layout, example);
    const passed: string[] = [];
    for (let at = 0; at < bytes.length; at++) {
      for (let bits = 1; bits < 256; bits++) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] as number) ^ bits;
        if (!isFoundCorrupt(damaged)) passed.push(`byte ${at}, bits ${bits}`);
      }
    }
    expect(passed).toEqual([]);
  });

  it('is corrupt wherever it is cut off, and with bytes behind it', () => {
    const bytes = encodeRecord(layout, example);
    for (let length = 0; length < bytes.length; length++) expect(isFoundCorrupt(bytes.subarray(0, length)), `${length} bytes`).toBe(true);
    expect(isFoundCorrupt(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe(true);
  });

  it('is not valid under the name of another record, or in another namespace', () => {
    const bytes = encodeRecord(layout, example);
    for (const id of [
      { stripe: 7, number: 13 },
      { stripe: 8, number: 12 },
    ])
      expect(isFoundCorrupt(bytes, id)).toBe(true);
    expect(() => decodeRecord(namespaceLayout('other'), example.id, bytes)).toThrow('checksum');
  });

  it('that is larger than a batch may be is refused', () => {
    const value = Buffer.alloc(16 * 1024 * 1024);
    const entries = ['a', 'b', 'c', 'd', 'e'].map((key): Entry => ({ ...(example.entries[0] as Entry), key: key as Key, value }));
    expect(() => encodeRecord(layout, { ...example, entries })).toThrow(RangeError);
  });
});

describe('the name of a record', () => {
  it('comes back from its text', () => {
    fc.assert(
      fc.property(recordId, (id) => {
        expect(parseRecordText(recordText(id))).toEqual(id);
      }),
      { seed },
    );
  });

  it.each([
    's01-00000000000000000001',
    's1-5',
    's1-000000000000000000010',
    's1-00000281474976710657',
    's-00000000000000000001',
    's1-99999999999999999999',
    'S1-00000000000000000001',
  ])('is not %s', (text) => {
    expect(parseRecordText(text)).toBeUndefined();
  });
});

describe('the stripe of a key', () => {
  it('is murmur3-32 with seed 0, modulo the number of stripes, for ever', () => {
    // MurmurHash3 x86 32: "" → 0, "test" → 0xba6bd213, "Hello, world!" → 0xc0363e43.
    expect(stripeOf('test' as Key, 64)).toBe(0xba6bd213 % 64);
    expect(stripeOf('Hello, world!' as Key, 64)).toBe(0xc0363e43 % 64);
    expect(stripeOf('test' as Key, 1)).toBe(0);
    expect(stripeOf(toKey('é'), 1 << 30)).toBe(stripeOf('\xc3\xa9' as Key, 1 << 30));
  });
});
