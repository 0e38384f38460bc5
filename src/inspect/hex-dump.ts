/**
 * A file byte by byte, with what each field is: `peat inspect --hex`. The worked examples in `docs/format.md` are made by it. Binary forms
 * only; bytes that do not parse are shown as such.
 */
import { ByteReader, MalformedError } from '../base/bytes.ts';
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../format/frame.ts';
import { NONCE_CHARACTERS, RECORD_HEADER_BYTES, WRITER_CHARACTERS } from '../format/record.ts';
import { FOOTER_BYTES } from '../format/table/footer.ts';
import { dissectSegment } from './segment-anatomy.ts';
import { parseStoreName } from './store-names.ts';
import { dissectTable, sliceTables } from './table-anatomy.ts';

interface Field {
  readonly offset: number;
  readonly length: number;
  readonly label: string;
}

/** Undefined for files that are text. */
export function hexDump(bytes: Buffer, name: string): string[] | undefined {
  const given = parseStoreName(name);
  const what = given.kind === 'quarantine' ? parseStoreName(given.of) : given;
  const map = new FieldMap(bytes);
  if (what.kind === 'segment') mapSegment(map, bytes, what.segment);
  else if (what.kind === 'segment-part') mapSegment(map, bytes, `${what.segment}/${String(what.part).padStart(8, '0')}`);
  else if (what.kind === 'record') mapRecord(map, bytes);
  else if (what.kind === 'table-file') mapTables(map, bytes);
  else return undefined;
  return map.lines();
}

const BYTES_A_LINE = 12;

class FieldMap {
  readonly #bytes: Buffer;
  readonly #fields: Field[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  add(offset: number, length: number, label: string): void {
    if (length > 0) this.#fields.push({ offset, length, label });
  }

  lines(): string[] {
    const lines: string[] = [];
    let at = 0;
    for (const { offset, length, label } of this.#fields.sort((a, b) => a.offset - b.offset)) {
      if (offset > at) lines.push(...this.#dump(at, offset - at, '?'));
      lines.push(...this.#dump(offset, length, label));
      at = offset + length;
    }
    if (at < this.#bytes.length) lines.push(...this.#dump(at, this.#bytes.length - at, '?'));
    return lines;
  }

  #dump(offset: number, length: number, label: string): string[] {
    const lines: string[] = [];
    for (let at = offset; at < offset + length; at += BYTES_A_LINE) {
      const end = Math.min(at + BYTES_A_LINE, offset + length);
      const hex = this.#bytes.toString('hex', at, end).replace(/..(?!$)/g, '$& ');
      lines.push(`${String(at).padStart(6)}  ${hex.padEnd(BYTES_A_LINE * 3 - 1)}  ${at === offset ? label : ''}`.trimEnd());
    }
    return lines;
  }
}

/** Reads field after field, and labels each with its value. */
class LabelledReader {
  readonly #map: FieldMap;
  readonly #reader: ByteReader;

  constructor(map: FieldMap, bytes: Buffer, range: { start: number; end: number }) {
    this.#map = map;
    this.#reader = new ByteReader(bytes, range.start, range.end);
  }

  /** @param label a name, which the value is put behind, or what makes the whole label */
  number(kind: 'u8' | 'u32' | 'u64' | 'varint', label: string | ((value: number) => string)): number {
    return this.#field(
      () => this.#reader[kind](),
      (value) => (typeof label === 'string' ? `${label} ${value}` : label(value)),
    );
  }

  text(bytes: number, label: (text: string) => string): void {
    this.#field(() => this.#reader.latin1(bytes), label);
  }

  skip(bytes: number, label: string): void {
    this.#field(
      () => this.#reader.bytes(bytes),
      () => label,
    );
  }

  #field<T>(read: () => T, label: (value: T) => string): T {
    const offset = this.#reader.at;
    const value = read();
    this.#map.add(offset, this.#reader.at - offset, label(value));
    return value;
  }
}

function mapSegment(map: FieldMap, bytes: Buffer, id: string): void {
  const { headerOk, frames, tail, end } = dissectSegment(bytes, id);
  if (headerOk) {
    map.add(0, 8, 'magic "PEATLOG1"');
    map.add(8, 4, 'flags 0');
    map.add(12, 4, `checksum of the 12 bytes before, seeded with the CRC-32 of the segment's id`);
    map.add(SEGMENT_HEADER_BYTES, 0, '');
  }
  for (const frame of frames) {
    const { start, groupStart, time, kind } = frame;
    map.add(start, 4, `frame: checksum of the rest of it, seeded`);
    map.add(start + 4, 4, `length ${frame.end - start - FRAME_HEADER_BYTES}`);
    map.add(start + 8, 4, `groupStart ${groupStart}`);
    map.add(start + 12, 1, `kind ${kind === 'seal' ? '2, seal' : '1, batch'}`);
    map.add(start + 13, 3, 'reserved');
    map.add(start + 16, 8, `time ${time}${kind === 'seal' ? '' : `, ${new Date(Math.floor(time / 1024)).toISOString()}`}`);
    const fields = new LabelledReader(map, bytes, { start: start + FRAME_HEADER_BYTES, end: frame.end });
    if (kind === 'seal') fields.number('varint', 'frames');
    else mapBatch(fields);
  }
  if (tail.bytes > 0) map.add(end, tail.bytes, tail.kind === 'torn' ? 'a torn tail' : 'zeros, allocated ahead');
}

function mapBatch(fields: LabelledReader): void {
  const count = fields.number('varint', 'count');
  for (let i = 0; i < count; i++) mapDeltaRest(fields, mapDeltaHead(fields));
}

/** Returns the flags. */
function mapDeltaHead(fields: LabelledReader): number {
  const flags = fields.number(
    'u8',
    (value) => `delta: flags ${value}${value === 0 ? ', put' : value === 1 ? ', delete' : ', put that expires'}`,
  );
  const keyLength = fields.number('varint', 'keyLength');
  fields.text(keyLength, (key) => `key ${JSON.stringify(key)}`);
  return flags;
}

function mapDeltaRest(fields: LabelledReader, flags: number): void {
  if ((flags & 2) !== 0) fields.number('varint', 'expiresAtMs');
  if ((flags & 1) === 0) mapValue(fields);
}

function mapValue(fields: LabelledReader): void {
  const length = fields.number('varint', 'valueLength');
  fields.skip(length, 'value, MessagePack');
}

/** As far as it parses. */
function mapRecord(map: FieldMap, bytes: Buffer): void {
  if (bytes.length < RECORD_HEADER_BYTES) return;
  map.add(0, 8, `magic ${JSON.stringify(bytes.toString('latin1', 0, 8))}`);
  map.add(8, 4, "checksum of the rest, seeded with the CRC-32 of the object's name");
  const fields = new LabelledReader(map, bytes, { start: RECORD_HEADER_BYTES, end: bytes.length });
  try {
    fields.number('u8', (kind) => `kind ${kind}, ${['single', 'primary', 'secondary'][kind] ?? 'unknown'}`);
    fields.text(NONCE_CHARACTERS, (nonce) => `nonce ${JSON.stringify(nonce)}`);
    fields.number('varint', 'root');
    for (let left = fields.number('varint', 'links'); left > 0; left--) {
      fields.number('varint', 'link: stripe');
      fields.number('varint', 'number');
    }
    for (let left = fields.number('varint', 'deltas'); left > 0; left--) mapRecordDelta(fields);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
}

function mapRecordDelta(fields: LabelledReader): void {
  const flags = mapDeltaHead(fields);
  fields.number('varint', (time) => `time ${time}, ${new Date(Math.floor(time / 1024)).toISOString()}`);
  fields.text(WRITER_CHARACTERS, (writer) => `writer ${JSON.stringify(writer)}`);
  fields.number('varint', 'sub');
  mapDeltaRest(fields, flags);
}

function mapTables(map: FieldMap, bytes: Buffer): void {
  for (const { offset, length } of sliceTables(bytes)) {
    const table = bytes.subarray(offset, offset + length);
    const anatomy = dissectTable(table);
    for (const block of anatomy.blocks) {
      if (block.block !== undefined)
        mapBlock(map, bytes, { start: offset + block.offset, end: offset + block.offset + block.length, entries: block.block.length });
    }
    const { footer } = anatomy;
    if (footer === undefined) continue;
    const filterAt = offset + footer.filterOffset;
    if (anatomy.filterBytes > 0) {
      map.add(filterAt, 1, `filter: probes ${bytes[filterAt]}`);
      map.add(filterAt + 1, anatomy.filterBytes - 5, 'bits');
      map.add(filterAt + anatomy.filterBytes - 4, 4, 'checksum of the filter');
    }
    if (anatomy.indexOk)
      mapIndex(new LabelledReader(map, bytes, { start: offset + footer.indexOffset, end: offset + length - FOOTER_BYTES }), footer.blocks);
    mapFooter(new LabelledReader(map, bytes, { start: offset + length - FOOTER_BYTES, end: offset + length }));
  }
}

function mapBlock(map: FieldMap, bytes: Buffer, block: { start: number; end: number; entries: number }): void {
  const { end, entries } = block;
  const fields = new LabelledReader(map, bytes, block);
  for (let i = 0; i < entries; i++) {
    fields.number('varint', 'entry: shared');
    const suffixLength = fields.number('varint', 'suffixLength');
    const flags = fields.number('u8', 'flags');
    fields.text(suffixLength, (suffix) => `suffix ${JSON.stringify(suffix)}`);
    fields.number('u64', (time) => `time ${time}, ${new Date(Math.floor(time / 1024)).toISOString()}`);
    fields.number('varint', 'writerIndex');
    if ((flags & 4) !== 0) fields.number('varint', 'sub');
    if ((flags & 3) !== 0) fields.number('varint', 'absorbedAt');
    if ((flags & 2) !== 0) fields.number('varint', 'expiresAtMs');
    if ((flags & 1) === 0) mapValue(fields);
  }
  const writers = bytes.readUInt32LE(end - 12);
  const restarts = bytes.readUInt32LE(end - 8);
  for (let i = 0; i < writers; i++) fields.text(16, (writer) => `writer ${i}: ${writer}`);
  for (let i = 0; i < restarts; i++) fields.number('u32', (at) => `restart ${i}: at ${at} of the block`);
  fields.number('u32', 'writers');
  fields.number('u32', 'restarts');
  fields.number('u32', () => 'checksum of the block');
}

function mapIndex(fields: LabelledReader, blocks: number): void {
  for (let i = 0; i < blocks; i++) {
    const keyLength = fields.number('varint', 'index: lastKeyLength');
    fields.text(keyLength, (key) => `lastKey ${JSON.stringify(key)}`);
    fields.number('varint', 'offset');
    fields.number('varint', 'length');
    fields.number('u32', () => 'blockChecksum');
  }
  fields.number('u32', () => 'checksum of the index');
}

function mapFooter(fields: LabelledReader): void {
  for (const name of ['footer: length', 'filterOffset', 'indexOffset', 'blocks', 'entries', 'tombstones', 'expiring']) {
    fields.number('u32', name);
  }
  fields.number('u64', 'maxTime');
  fields.number('u64', 'lastExpiryMs');
  fields.number('u32', () => 'checksum of the footer');
  fields.skip(8, 'magic "PEATTBL1"');
}
