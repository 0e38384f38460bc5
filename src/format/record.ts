/**
 * A read-modify-write record as bytes: one object, published whole. `docs/format.md` has the grammar.
 *
 * The checksum is seeded with the object's name, so a record copied elsewhere is not valid there. Each delta has a stamp of its own:
 * the successor of the one that was read (rule B7).
 */
import { ByteReader, ByteWriter, MalformedError } from '../base/bytes.ts';
import { corrupt } from '../base/errors.ts';
import { murmur3 } from '../base/hash.ts';
import { KEY_BYTES_MAX, type Key } from '../base/key.ts';
import { BATCH_BYTES_MAX } from './batch.ts';
import { crc32 } from './checksum.ts';
import type { Entry } from './entry.ts';
import { type NamespaceLayout, type RecordId, recordName } from './layout.ts';

/**
 * `single`: stands for itself · `secondary`: a part of an update of several stripes; its one link names the primary, which decides ·
 * `primary`: the deciding part; its links name the secondaries.
 */
export type RecordKind = 'single' | 'primary' | 'secondary';

export interface SerialRecord {
  readonly id: RecordId;
  /** One attempt's; all records of an update of several stripes have the same. */
  readonly nonce: string;
  /** The root at which what it rests on was read: below a later horizon the record is void. */
  readonly root: number;
  readonly kind: RecordKind;
  readonly links: readonly RecordId[];
  readonly entries: readonly Entry[];
}

const MAGIC = Buffer.from('PEATREC1', 'latin1');
export const RECORD_HEADER_BYTES: number = MAGIC.length + 4;
export const NONCE_CHARACTERS = 20;
export const WRITER_CHARACTERS = 16;
const KINDS: readonly RecordKind[] = ['single', 'primary', 'secondary'];
const DELETE = 1;
const EXPIRES = 2;

/** Seeds the hash of keys; the filters of tables use another one. */
const STRIPE_SEED = 0;

/** The stripe of a key: it never changes, however shards split. */
export function stripeOf(key: Key, stripes: number): number {
  return murmur3(key, STRIPE_SEED) % stripes;
}

/** @throws RangeError if it is too large */
export function encodeRecord(layout: NamespaceLayout, record: SerialRecord): Buffer {
  const writer = new ByteWriter();
  writer.skip(RECORD_HEADER_BYTES);
  writer.u8(KINDS.indexOf(record.kind));
  writer.latin1(record.nonce);
  writer.varint(record.root);
  writer.varint(record.links.length);
  for (const { stripe, number } of record.links) {
    writer.varint(stripe);
    writer.varint(number);
  }
  writer.varint(record.entries.length);
  for (const entry of record.entries) encodeEntry(writer, entry);
  if (writer.length > BATCH_BYTES_MAX) throw new RangeError(`an update may take ${BATCH_BYTES_MAX} bytes packed, got ${writer.length}`);
  const bytes = writer.copy();
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(checksum(layout, record.id, bytes), MAGIC.length);
  return bytes;
}

function encodeEntry(writer: ByteWriter, { key, value, stamp, expiresAtMs }: Entry): void {
  const expires = value !== undefined && expiresAtMs !== 0;
  writer.u8((value === undefined ? DELETE : 0) | (expires ? EXPIRES : 0));
  writer.varint(key.length);
  writer.latin1(key);
  writer.varint(stamp.time);
  writer.latin1(stamp.writer);
  writer.varint(stamp.sub);
  if (expires) writer.varint(expiresAtMs);
  if (value === undefined) return;
  writer.varint(value.length);
  writer.bytes(value);
}

function checksum(layout: NamespaceLayout, id: RecordId, bytes: Buffer): number {
  return crc32(bytes.subarray(RECORD_HEADER_BYTES), crc32(Buffer.from(recordName(layout, id), 'latin1')));
}

/** Values are views into `bytes`. @throws PeatError `CORRUPT` */
export function decodeRecord(layout: NamespaceLayout, id: RecordId, bytes: Buffer): SerialRecord {
  const file = recordName(layout, id);
  if (bytes.length < RECORD_HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt(file, 0, 'this is not a record');
  if (bytes.readUInt32LE(MAGIC.length) !== checksum(layout, id, bytes))
    throw corrupt(file, RECORD_HEADER_BYTES, 'the checksum does not match the record');
  try {
    return parseRecord(id, bytes);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw corrupt(file, error.offset, 'the record does not parse, although its checksum matches');
  }
}

/** What stands behind the header, whatever the checksum says: for tools. @throws MalformedError */
export function parseRecord(id: RecordId, bytes: Buffer): SerialRecord {
  const reader = new ByteReader(bytes, RECORD_HEADER_BYTES);
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new MalformedError('the kind is unknown', reader.at - 1);
  const nonce = reader.latin1(NONCE_CHARACTERS);
  const root = reader.varint();
  const links: RecordId[] = [];
  for (let left = reader.varint(); left > 0; left--) links.push({ stripe: reader.varint(), number: reader.varint() });
  const entries: Entry[] = [];
  for (let left = reader.varint(); left > 0; left--) entries.push(decodeEntry(reader));
  if (!reader.done) throw new MalformedError('bytes follow the last delta', reader.at);
  return { id, nonce, root, kind, links, entries };
}

function decodeEntry(reader: ByteReader): Entry {
  const flags = reader.u8();
  if (flags > (DELETE | EXPIRES)) throw new MalformedError(`a delta has unknown flags ${flags}`, reader.at - 1);
  const keyLength = reader.varint();
  if (keyLength === 0 || keyLength > KEY_BYTES_MAX) throw new MalformedError(`a key has ${keyLength} bytes`, reader.at);
  const key = reader.latin1(keyLength) as Key;
  const stamp = { time: reader.varint(), writer: reader.latin1(WRITER_CHARACTERS), sub: reader.varint() };
  const expiresAtMs = (flags & EXPIRES) === 0 ? 0 : reader.varint();
  const value = (flags & DELETE) === 0 ? reader.bytes(reader.varint()) : undefined;
  return { key, stamp, value, expiresAtMs, absorbedAt: 0 };
}
