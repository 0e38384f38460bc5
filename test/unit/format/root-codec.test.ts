import { describe, expect, it } from 'vitest';
import type { Key } from '../../../src/base/key.ts';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';
import { NO_COUNTS, type Root } from '../../../src/format/root.ts';
import { decodeRoot, rootToJson } from '../../../src/format/root-codec.ts';

const table = {
  file: 'f-1',
  offset: 0,
  length: 100,
  indexOffset: 60,
  first: 'a' as Key,
  last: 'b' as Key,
  entries: 2,
  tombstones: 1,
  expiring: 0,
  maxTime: 7,
  lastExpiryMs: 0,
  checksum: 5,
};
const root: Root = {
  namespace: 'runs',
  number: 12,
  previous: 'ab'.repeat(32),
  nonce: 'n'.repeat(20),
  readerFeatures: [],
  writerFeatures: [],
  state: 'live',
  createdAtMs: 1,
  horizon: 3,
  drain: 4,
  forgot: 2,
  maxStamp: { time: 9, writer: 'w'.repeat(16), sub: 0 },
  dropFloor: undefined,
  absorbed: new Map([['00000000000000000003-aaaaaaaaaaaaaaaa-0', { offset: 49, sealed: true }]]),
  serialThrough: new Map([[3, 20]]),
  serialNonces: new Map([[3, ['', '0123456789abcdefghij']]]),
  shards: [
    { from: '' as Key, tables: [table, { ...table, file: 'f-2', offset: 7 }] },
    {
      from: Buffer.from('é').toString('latin1') as Key,
      tables: [{ ...table, offset: 100, first: Buffer.from('é😀').toString('latin1') as Key }],
    },
  ],
  dropped: new Map([['f-0', 11]]),
  counts: { ...NO_COUNTS, framesIn: 1 },
};
const encode = (changes: object = {}): Buffer => encodeCheckedJson({ ...(rootToJson(root) as object), ...changes });

describe('roots', () => {
  it('come back as they were', () => {
    expect(decodeRoot(encode(), 'x')).toEqual(root);
  });

  it('are found damaged, whichever byte it is', () => {
    const bytes = encode();
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ 0x01;
      expect(() => decodeRoot(damaged, 'ns/runs/root/12'), `byte ${at}`).toThrow(
        expect.objectContaining({ code: 'CORRUPT', file: 'ns/runs/root/12' }),
      );
    }
  });

  it('of a newer release are refused by name of the feature, not taken for damage', () => {
    expect(() => decodeRoot(encode({ readerFeatures: ['zstd-blocks'] }), 'x')).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION', message: expect.stringContaining('zstd-blocks') }),
    );
    expect(() => decodeRoot(encode({ format: 2 }), 'x')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }));
    expect(decodeRoot(encode({ writerFeatures: ['rmw'] }), 'x').writerFeatures).toEqual(['rmw']);
  });

  it('with a checksum that is right and a shape that is not are damage, too', () => {
    expect(() => decodeRoot(encode({ shards: 7 }), 'x')).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(() => decodeRoot(encode({ files: [] }), 'x')).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  });
});
