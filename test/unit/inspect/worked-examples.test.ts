/**
 * The worked examples at the end of `docs/format.md`, made again from the code: they must stand there as they are made. UPDATE_DOCS=1
 * writes them there.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import type { Key } from '../../../src/base/key.ts';
import { encodeValue } from '../../../src/base/value.ts';
import { encodeBatch } from '../../../src/format/batch.ts';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';
import { namespaceLayout, recordText } from '../../../src/format/layout.ts';
import { encodeRecord, stripeOf } from '../../../src/format/record.ts';
import { NO_COUNTS } from '../../../src/format/root.ts';
import { rootToJson } from '../../../src/format/root-codec.ts';
import { TableBuilder } from '../../../src/format/table/table-builder.ts';
import { hexDump } from '../../../src/inspect/hex-dump.ts';
import { inspectBytes } from '../../../src/inspect/inspection.ts';
import { openSegmentWriter } from '../../../src/log/segment-writer.ts';
import { newRoot } from '../../../src/manifest/commit-root.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

const DOCUMENT = new URL('../../../docs/format.md', import.meta.url);
const WRITER = '0123456789abcdef';
const SEGMENT = `00000000000000000000-${WRITER}-0`;
const TABLE_FILE = '00000000000000000001-0123456789abcdefghij-0';
const TIME = Date.UTC(2024, 0, 1) * 1024;

const system = new VirtualSystem(undefined, { seed: 1 });
const layout = namespaceLayout('runs');
let segment: Buffer;
let table: Buffer;
let root: Buffer;
const recordId = { stripe: stripeOf('run/1' as Key, 64), number: 1 };
const RECORD = recordText(recordId);
const NONCE = 'abcdefghij0123456789';
let record: Buffer;

beforeAll(async () => {
  const medium = new MemoryMedium({ system, canAppend: true });
  const writer = openSegmentWriter(medium, layout, { root: 0, writer: WRITER, sequence: 0 });
  const payload = new ByteWriter();
  encodeBatch(payload, [
    { key: 'run/1' as Key, value: encodeValue({ ok: true }), expiresAtMs: 0 },
    { key: 'run/2' as Key, value: undefined, expiresAtMs: 0 },
  ]);
  await writer.append([{ time: TIME, payload: payload.copy() }], true);
  await writer.seal();
  segment = (await medium.get(layout.log + SEGMENT)) as Buffer;

  const stamp = { time: TIME, writer: WRITER, sub: 0 };
  const builder = new TableBuilder();
  builder.add({ key: 'run/1' as Key, stamp, value: encodeValue({ ok: true }), expiresAtMs: 0, absorbedAt: 0 });
  builder.add({ key: 'run/2' as Key, stamp, value: undefined, expiresAtMs: 0, absorbedAt: 1 });
  const { bytes, ...facts } = builder.finish();
  table = bytes;

  record = encodeRecord(layout, {
    id: recordId,
    nonce: NONCE,
    root: 1,
    kind: 'primary',
    links: [{ stripe: recordId.stripe + 1, number: 12 }],
    entries: [{ key: 'run/1' as Key, stamp: { ...stamp, sub: 1 }, value: encodeValue({ ok: false }), expiresAtMs: 0, absorbedAt: 0 }],
  });

  root = encodeCheckedJson(
    rootToJson({
      ...newRoot('runs', { system, number: 1, previous: '0'.repeat(64) }),
      horizon: 0,
      drain: 0,
      forgot: 0,
      maxStamp: stamp,
      serialThrough: new Map([[7, 2]]),
      serialNonces: new Map([[7, ['', '0123456789abcdefghij']]]),
      absorbed: new Map([[SEGMENT, { offset: segment.length, sealed: true }]]),
      shards: [{ from: '' as Key, tables: [{ ...facts, file: TABLE_FILE, offset: 0 }] }],
      counts: { ...NO_COUNTS, framesIn: 1, deltasIn: 2, logBytesIn: 45, entriesWritten: 2, tableBytesOut: bytes.length },
    }),
  );
});

function examples(): string {
  const parts = [
    ['A segment', layout.log + SEGMENT, hexDump(segment, layout.log + SEGMENT)],
    ['A table', layout.shard + TABLE_FILE, hexDump(table, layout.shard + TABLE_FILE)],
    ['A read-modify-write record', layout.log + RECORD, hexDump(record, layout.log + RECORD)],
    [
      'The root that names the table and has absorbed the segment, and two records of stripe 7 of which the first had no effect',
      `${layout.root}00000000000000000001`,
      root.toString('utf8').trimEnd().split('\n'),
    ],
  ] as const;
  return parts.map(([title, name, lines]) => `**${title}**, \`${name}\`:\n\n\`\`\`text\n${(lines ?? []).join('\n')}\n\`\`\`\n`).join('\n');
}

describe('the worked examples in docs/format.md', () => {
  it('are what the code makes', () => {
    const text = readFileSync(DOCUMENT, 'utf8');
    const start = text.indexOf('<!-- examples -->\n') + '<!-- examples -->\n'.length;
    const end = text.indexOf('<!-- end of examples -->');
    expect(end).toBeGreaterThanOrEqual(start);
    const made = `\n${examples()}\n`;
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(DOCUMENT, text.slice(0, start) + made + text.slice(end));
    else expect(text.slice(start, end)).toBe(made);
  });

  it('are whole', () => {
    expect(inspectBytes(segment, { name: layout.log + SEGMENT }).problems).toEqual([]);
    expect(inspectBytes(table, { name: layout.shard + TABLE_FILE }).problems).toEqual([]);
    expect(inspectBytes(record, { name: layout.log + RECORD }).problems).toEqual([]);
    expect(inspectBytes(root, { name: `${layout.root}00000000000000000001` }).problems).toEqual([]);
  });
});
