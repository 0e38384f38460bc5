/**
 * Every decoder gets any bytes, bytes of real files with some changed, and, where a checksum guards them, contents of any kind under one that is
 * right. It answers, or says that they are malformed; and it does so without taking more memory than the bytes account for.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { MalformedError } from '../../src/base/bytes.ts';
import { decodeBatch } from '../../src/format/batch.ts';
import { decodeCheckedJson } from '../../src/format/checked-json.ts';
import { encodeCheckedJson } from '../../src/format/checked-json-encode.ts';
import { crc32 } from '../../src/format/checksum.ts';
import { findLaterGroup, findNextFrame, frameAt, frameSeed, hasSeal } from '../../src/format/frame.ts';
import { namespaceLayout, parseLockPrefix, parseRecordText, parseSegmentId, parseTableFile } from '../../src/format/layout.ts';
import { decodeRecord, parseRecord } from '../../src/format/record.ts';
import { decodeRoot } from '../../src/format/root-codec.ts';
import { decodeStoreFile } from '../../src/format/store-file.ts';
import { Block } from '../../src/format/table/block.ts';
import { Filter } from '../../src/format/table/filter.ts';
import { readFooter } from '../../src/format/table/footer.ts';
import { listTables } from '../../src/format/table/table-file.ts';
import { isPeatError } from '../../src/index.ts';
import { hexDump } from '../../src/inspect/hex-dump.ts';
import { inspectBytes } from '../../src/inspect/inspection.ts';
import { inspectionText } from '../../src/inspect/inspection-text.ts';
import { parseStoreName, storeNameOfPath } from '../../src/inspect/store-names.ts';
import { decodeSharedTickets } from '../../src/lock/inherited-lock.ts';
import { parseQueue } from '../../src/lock/queue-state.ts';
import { decodeTicket } from '../../src/lock/ticket.ts';
import { parseTraceLine } from '../../src/lock/trace-record.ts';
import { SegmentReader } from '../../src/log/segment-reader.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { testSeed } from '../support/child.ts';
import { FrozenMedium } from '../support/frozen-medium.ts';
import { HastySystem } from '../support/hasty-system.ts';
import { Zoo } from '../support/store-zoo.ts';

const RUNS = process.env['PEAT_FUZZ_FULL'] === '1' ? 100_000 : 5000;
const SEGMENT = '00000000000000000003-0123456789abcdef-0';
const LAYOUT = namespaceLayout('zoo');
const STAMP = { time: 1, writer: '0123456789abcdef', sub: 0 };

type Decoder = (bytes: Buffer) => unknown;

/** Reads all entries. */
function readBlock(bytes: Buffer): number {
  const block = Block.decode(bytes);
  for (let i = 0; i < block.length; i++) block.entryAt(i);
  return block.length;
}

const DECODERS: Readonly<Record<string, Decoder>> = {
  'a batch': (bytes) => decodeBatch(bytes, STAMP, () => {}),
  'a frame': (bytes) => frameAt(bytes, 0, { seed: frameSeed(SEGMENT), base: 0 }),
  'a later group': (bytes) => findLaterGroup(bytes, 0, { seed: frameSeed(SEGMENT), base: 0 }),
  'a next frame': (bytes) => findNextFrame(bytes, 0, { seed: frameSeed(SEGMENT), base: 0 }),
  'a seal': (bytes) => hasSeal(bytes, { seed: frameSeed(SEGMENT), base: 0 }),
  'checked JSON': (bytes) => decodeCheckedJson(bytes, 'a file'),
  'a root': (bytes) => decodeRoot(bytes, 'a root'),
  'peat.json': decodeStoreFile,
  'a ticket': (bytes) => decodeTicket(bytes, 'a ticket'),
  'a record': (bytes) => decodeRecord(LAYOUT, { stripe: 0, number: 1 }, bytes),
  'a record without its checksum': (bytes) => parseRecord({ stripe: 0, number: 1 }, bytes),
  'a block': readBlock,
  'a filter': (bytes) => Filter.decode(bytes).mayContain(12_345),
  'a footer': readFooter,
  'a table file': listTables,
  'a line of a trace': (bytes) => parseTraceLine(bytes.toString()),
  'inherited locks': (bytes) => decodeSharedTickets({ PEAT_LOCKS: bytes.toString('latin1') }),
  'an inspection': (bytes) => {
    for (const name of [
      'peat.json',
      `${LAYOUT.root}00000000000000000003`,
      LAYOUT.log + SEGMENT,
      `${LAYOUT.log}s0-00000000000000000001`,
      `${LAYOUT.shard}00000000000000000001-jacrc5m4udnikgkr329i-0`,
      undefined,
    ]) {
      inspectionText(inspectBytes(bytes, { name, values: true }));
      if (name !== undefined) hexDump(bytes, name);
    }
  },
};

const NAME_PARSERS: Readonly<Record<string, (name: string) => unknown>> = {
  'a segment': parseSegmentId,
  'a record': parseRecordText,
  'a table file': parseTableFile,
  'a lock': parseLockPrefix,
  'a file': parseStoreName,
  'a path': storeNameOfPath,
  'a queue': (name) => parseQueue('lock/user/x/', [{ name: `lock/user/x/${name}` }]),
};

let files: Buffer[] = [];

beforeAll(async () => {
  const zoo = new Zoo();
  await zoo.build();
  files = [...(await FrozenMedium.of(zoo.medium)).files.values()].filter((bytes) => bytes.length > 0);
});

/** Bytes of a real file with some bytes changed, left out, or doubled. */
function changedFile(): fc.Arbitrary<Buffer> {
  const change = fc.record({ at: fc.nat(), bytes: fc.uint8Array({ maxLength: 8 }), without: fc.nat({ max: 8 }) });
  return fc.tuple(fc.nat(), fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat()).map(([which, changes, from]) => {
    let bytes = files[which % files.length] as Buffer;
    // Parts of a file begin anywhere in it.
    if (from % 3 === 0) bytes = bytes.subarray(from % bytes.length);
    for (const { at, bytes: put, without } of changes) {
      const place = at % (bytes.length + 1);
      bytes = Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + without)]);
    }
    return bytes;
  });
}

const anyBytes = fc
  .oneof(fc.uint8Array({ maxLength: 400 }), fc.uint8Array({ maxLength: 6, minLength: 1 }))
  .map((bytes) => Buffer.from(bytes));
/** Followed by its own CRC-32, as blocks, filters and records are. */
const sealedBytes = anyBytes.map((bytes) => {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(bytes));
  return Buffer.concat([bytes, sum]);
});
/** Of roots, `peat.json` and tickets. */
const FIELDS = [
  'format',
  'namespace',
  'number',
  'previous',
  'nonce',
  'createdAtMs',
  'shards',
  'absorbed',
  'dropped',
  'serialThrough',
  'serialNonces',
  'horizon',
  'drain',
  'forgot',
  'state',
  'counts',
  'maxStamp',
  'storeId',
  'constants',
  'readerFeatures',
  'writerFeatures',
  'holder',
  'leaseMs',
  'mode',
  'purpose',
];
const sealedJson = fc
  .oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...FIELDS), fc.jsonValue()))
  .map((value) => encodeCheckedJson(value));

function mustAnswer(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (error instanceof MalformedError || isPeatError(error, 'CORRUPT') || isPeatError(error, 'UNSUPPORTED_VERSION')) return;
    throw error;
  }
}

describe('a decoder, given whatever bytes,', () => {
  const seed = testSeed();
  it.each(Object.entries(DECODERS))('of %s answers, or says that they are malformed', (_name, decode) => {
    const property = fc.property(fc.oneof(anyBytes, sealedBytes, sealedJson, changedFile()), (bytes) => mustAnswer(() => decode(bytes)));
    fc.assert(property, { seed, numRuns: RUNS });
  });

  it('of a segment reads on, stops, or says where the damage is', async () => {
    const property = fc.asyncProperty(fc.oneof(anyBytes, changedFile()), fc.boolean(), async (bytes, framed) => {
      const name = LAYOUT.log + SEGMENT;
      const medium = new FrozenMedium(new Map([[framed ? `${name}/00000000` : name, bytes]]), new Map());
      const reader = new SegmentReader(LAYOUT, SEGMENT, { framed });
      const read = runAsync(reader.read({ parts: framed ? [0] : undefined }), { medium, system: new HastySystem(0) });
      await read.catch((error: unknown) =>
        mustAnswer(() => {
          throw error;
        }),
      );
    });
    await fc.assert(property, { seed, numRuns: RUNS });
  });

  it.each(Object.entries(NAME_PARSERS))('of the name of %s answers', (_name, parse) => {
    const digits = fc.string({ unit: fc.nat({ max: 9 }).map(String), maxLength: 30 });
    const parts = fc.array(
      fc.oneof(
        digits,
        fc.constantFrom(
          'ns',
          'zoo',
          'root',
          'log',
          'shard',
          'lock',
          'user',
          '..',
          '.',
          '',
          '-',
          '\0',
          '%2f',
          '.done',
          '.beat-',
          'floor-',
          's',
        ),
      ),
      { maxLength: 6 },
    );
    const name = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      parts.map((some) => some.join('/')),
      parts.map((some) => some.join('')),
    );
    fc.assert(
      fc.property(name, (text) => {
        parse(text);
      }),
      { seed, numRuns: RUNS },
    );
  });

  it('takes no memory for what a length merely claims', () => {
    const before = process.memoryUsage();
    // Varints, and lengths of every width, of hundreds of megabytes and more.
    const claims = [
      Buffer.from('ffffffff0f', 'hex'),
      Buffer.from('ffffffffffffff0f', 'hex'),
      Buffer.from('80808080ff07', 'hex'),
      Buffer.alloc(64, 0xff),
      Buffer.alloc(64, 0x7f),
    ];
    for (const decode of Object.values(DECODERS)) {
      for (const claim of claims) {
        for (let at = 0; at < 64; at++) mustAnswer(() => decode(Buffer.concat([Buffer.alloc(at, 1), claim, Buffer.alloc(64)])));
      }
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(100e6);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(200e6);
  });
});
