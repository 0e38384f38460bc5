/**
 * A file byte by byte, with what each field is: `peat inspect --hex`. The worked examples in `docs/format.md` are made by it. Binary forms
 * only; bytes that do not parse are shown as such.
 */
import { ByteReader } from '../base/bytes.ts';
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../format/frame.ts';
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

  /** Reads one field, and labels it with its value. */
  field<T>(reader: ByteReader, read: () => T, label: (value: T) => string): T {
    const offset = reader.at;
    const value = read();
    this.add(offset, reader.at - offset, label(value));
    return value;
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
    const reader = new ByteReader(bytes, start + FRAME_HEADER_BYTES, frame.end);
    if (kind === 'seal')
      map.field(
        reader,
        () => reader.varint(),
        (count) => `frames ${count}`,
      );
    else mapBatch(map, reader);
  }
  if (tail.bytes > 0) map.add(end, tail.bytes, tail.kind === 'torn' ? 'a torn tail' : 'zeros, allocated ahead');
}

function mapBatch(map: FieldMap, reader: ByteReader): void {
  const count = map.field(
    reader,
    () => reader.varint(),
    (value) => `count ${value}`,
  );
  for (let i = 0; i < count; i++) {
    const flags = map.field(
      reader,
      () => reader.u8(),
      (value) => `delta: flags ${value}${value === 0 ? ', put' : value === 1 ? ', delete' : ', put that expires'}`,
    );
    const keyLength = map.field(
      reader,
      () => reader.varint(),
      (value) => `keyLength ${value}`,
    );
    map.field(
      reader,
      () => reader.latin1(keyLength),
      (key) => `key ${JSON.stringify(key)}`,
    );
    if ((flags & 2) !== 0)
      map.field(
        reader,
        () => reader.varint(),
        (ms) => `expiresAtMs ${ms}`,
      );
    if ((flags & 1) === 0) mapValue(map, reader);
  }
}

function mapValue(map: FieldMap, reader: ByteReader): void {
  const length = map.field(
    reader,
    () => reader.varint(),
    (value) => `valueLength ${value}`,
  );
  map.field(
    reader,
    () => reader.bytes(length),
    () => 'value, MessagePack',
  );
}

function mapTables(map: FieldMap, bytes: Buffer): void {
  for (const { offset, length } of sliceTables(bytes)) {
    const table = bytes.subarray(offset, offset + length);
    const anatomy = dissectTable(table);
    for (const block of anatomy.blocks) {
      if (block.block !== undefined)
        mapBlock(map, new ByteReader(bytes, offset + block.offset, offset + block.offset + block.length), block.block.length);
    }
    const { footer } = anatomy;
    if (footer === undefined) continue;
    const filterAt = offset + footer.filterOffset;
    if (anatomy.filterBytes > 0) {
      map.add(filterAt, 1, `filter: probes ${bytes[filterAt]}`);
      map.add(filterAt + 1, anatomy.filterBytes - 5, 'bits');
      map.add(filterAt + anatomy.filterBytes - 4, 4, 'checksum of the filter');
    }
    if (anatomy.indexOk) mapIndex(map, new ByteReader(bytes, offset + footer.indexOffset, offset + length - FOOTER_BYTES), footer.blocks);
    mapFooter(map, new ByteReader(bytes, offset + length - FOOTER_BYTES, offset + length));
  }
}

function mapBlock(map: FieldMap, reader: ByteReader, entries: number): void {
  const { buffer, end } = reader;
  for (let i = 0; i < entries; i++) {
    map.field(
      reader,
      () => reader.varint(),
      (shared) => `entry: shared ${shared}`,
    );
    const suffixLength = map.field(
      reader,
      () => reader.varint(),
      (value) => `suffixLength ${value}`,
    );
    const flags = map.field(
      reader,
      () => reader.u8(),
      (value) => `flags ${value}`,
    );
    map.field(
      reader,
      () => reader.latin1(suffixLength),
      (suffix) => `suffix ${JSON.stringify(suffix)}`,
    );
    map.field(
      reader,
      () => reader.u64(),
      (time) => `time ${time}, ${new Date(Math.floor(time / 1024)).toISOString()}`,
    );
    map.field(
      reader,
      () => reader.varint(),
      (index) => `writerIndex ${index}`,
    );
    if ((flags & 4) !== 0)
      map.field(
        reader,
        () => reader.varint(),
        (sub) => `sub ${sub}`,
      );
    if ((flags & 3) !== 0)
      map.field(
        reader,
        () => reader.varint(),
        (root) => `absorbedAt ${root}`,
      );
    if ((flags & 2) !== 0)
      map.field(
        reader,
        () => reader.varint(),
        (ms) => `expiresAtMs ${ms}`,
      );
    if ((flags & 1) === 0) mapValue(map, reader);
  }
  const writers = buffer.readUInt32LE(end - 12);
  const restarts = buffer.readUInt32LE(end - 8);
  for (let i = 0; i < writers; i++)
    map.field(
      reader,
      () => reader.latin1(16),
      (writer) => `writer ${i}: ${writer}`,
    );
  for (let i = 0; i < restarts; i++)
    map.field(
      reader,
      () => reader.u32(),
      (at) => `restart ${i}: at ${at} of the block`,
    );
  map.field(
    reader,
    () => reader.u32(),
    (count) => `writers ${count}`,
  );
  map.field(
    reader,
    () => reader.u32(),
    (count) => `restarts ${count}`,
  );
  map.field(
    reader,
    () => reader.u32(),
    () => 'checksum of the block',
  );
}

function mapIndex(map: FieldMap, reader: ByteReader, blocks: number): void {
  for (let i = 0; i < blocks; i++) {
    const keyLength = map.field(
      reader,
      () => reader.varint(),
      (value) => `index: lastKeyLength ${value}`,
    );
    map.field(
      reader,
      () => reader.latin1(keyLength),
      (key) => `lastKey ${JSON.stringify(key)}`,
    );
    map.field(
      reader,
      () => reader.varint(),
      (value) => `offset ${value}`,
    );
    map.field(
      reader,
      () => reader.varint(),
      (value) => `length ${value}`,
    );
    map.field(
      reader,
      () => reader.u32(),
      () => 'blockChecksum',
    );
  }
  map.field(
    reader,
    () => reader.u32(),
    () => 'checksum of the index',
  );
}

function mapFooter(map: FieldMap, reader: ByteReader): void {
  for (const name of ['footer: length', 'filterOffset', 'indexOffset', 'blocks', 'entries', 'tombstones', 'expiring']) {
    map.field(
      reader,
      () => reader.u32(),
      (value) => `${name} ${value}`,
    );
  }
  map.field(
    reader,
    () => reader.u64(),
    (time) => `maxTime ${time}`,
  );
  map.field(
    reader,
    () => reader.u64(),
    (ms) => `lastExpiryMs ${ms}`,
  );
  map.field(
    reader,
    () => reader.u32(),
    () => 'checksum of the footer',
  );
  map.field(
    reader,
    () => reader.bytes(8),
    () => 'magic "PEATTBL1"',
  );
}
