/** Roots to and from bytes: checked JSON, as `docs/format.md` lays it out. */
import { corrupt, PeatError } from '../base/errors.ts';
import { fromKey, type Key, toBound } from '../base/key.ts';
import type { Stamp } from '../base/stamp.ts';
import { decodeCheckedJson } from './checked-json.ts';
import { checkFeatures, FORMAT_VERSION } from './features.ts';
import type { Absorbed, PassCounts, Root, Shard, TableRef } from './root.ts';

type TableRow = [number, number, number, number, string, string, number, number, number, number, number, number];
type StampRow = [number, string, number] | null;

/** The JSON form of a root. */
interface RootFile {
  format: number;
  namespace: string;
  number: number;
  previous: string | null;
  nonce: string;
  readerFeatures: string[];
  writerFeatures: string[];
  state: 'live' | 'dropped';
  createdAtMs: number;
  horizon: number;
  drain: number;
  forgot: number;
  maxStamp: StampRow;
  dropFloor: StampRow;
  absorbed: Record<string, [number, 0 | 1]>;
  serialThrough: Record<string, number>;
  serialNonces: Record<string, readonly string[]>;
  files: string[];
  shards: { from: string; tables: TableRow[] }[];
  dropped: Record<string, number>;
  counts: PassCounts;
}

export function rootToJson(root: Root): unknown {
  const files: string[] = [];
  const numbers = new Map<string, number>();
  const fileNumber = (file: string): number => {
    const known = numbers.get(file);
    if (known !== undefined) return known;
    numbers.set(file, files.length);
    return files.push(file) - 1;
  };
  const json: RootFile = {
    format: FORMAT_VERSION,
    namespace: root.namespace,
    number: root.number,
    previous: root.previous,
    nonce: root.nonce,
    readerFeatures: [...root.readerFeatures],
    writerFeatures: [...root.writerFeatures],
    state: root.state,
    createdAtMs: root.createdAtMs,
    horizon: root.horizon,
    drain: root.drain,
    forgot: root.forgot,
    maxStamp: stampRow(root.maxStamp),
    dropFloor: stampRow(root.dropFloor),
    absorbed: Object.fromEntries([...root.absorbed].map(([id, { offset, sealed }]) => [id, [offset, sealed ? 1 : 0]])),
    serialThrough: Object.fromEntries(root.serialThrough),
    serialNonces: Object.fromEntries(root.serialNonces),
    files,
    shards: root.shards.map(({ from, tables }) => ({
      from: fromKey(from),
      tables: tables.map((table): TableRow => tableRow(table, fileNumber(table.file))),
    })),
    dropped: Object.fromEntries(root.dropped),
    counts: root.counts,
  };
  return json;
}

function tableRow(table: TableRef, file: number): TableRow {
  return [
    file,
    table.offset,
    table.length,
    table.indexOffset,
    fromKey(table.first),
    fromKey(table.last),
    table.entries,
    table.tombstones,
    table.expiring,
    table.maxTime,
    table.lastExpiryMs,
    table.checksum,
  ];
}

function stampRow(stamp: Stamp | undefined): StampRow {
  return stamp === undefined ? null : [stamp.time, stamp.writer, stamp.sub];
}

function toStamp(row: StampRow): Stamp | undefined {
  return row === null ? undefined : { time: row[0], writer: row[1], sub: row[2] };
}

/**
 * @throws PeatError `CORRUPT` if the bytes are damaged or are another root's, `UNSUPPORTED_VERSION` if this release
 * lacks a feature that readers need.
 */
export function decodeRoot(bytes: Buffer, file: string): Root {
  const json = decodeCheckedJson(bytes, file) as RootFile;
  checkFeatures(json, file);
  try {
    return toRoot(json);
  } catch (error) {
    if (error instanceof PeatError) throw error;
    throw new PeatError('CORRUPT', `${file}: it is no root, although its checksum is right`, { file, offset: 0, cause: error });
  }
}

function toRoot(json: RootFile): Root {
  const shards = json.shards.map(
    ({ from, tables }): Shard => ({ from: toBound(from, 'from'), tables: tables.map((row) => toTable(row, json.files)) }),
  );
  return {
    namespace: json.namespace,
    number: json.number,
    previous: json.previous,
    nonce: json.nonce,
    readerFeatures: json.readerFeatures,
    writerFeatures: json.writerFeatures,
    state: json.state,
    createdAtMs: json.createdAtMs,
    horizon: json.horizon,
    drain: json.drain,
    forgot: json.forgot,
    maxStamp: toStamp(json.maxStamp),
    dropFloor: toStamp(json.dropFloor),
    absorbed: new Map(
      Object.entries(json.absorbed).map(([id, [offset, sealed]]): [string, Absorbed] => [id, { offset, sealed: sealed === 1 }]),
    ),
    serialThrough: byStripe(json.serialThrough),
    serialNonces: byStripe(json.serialNonces),
    shards,
    dropped: new Map(Object.entries(json.dropped)),
    counts: json.counts,
  };
}

function byStripe<T>(json: Readonly<Record<string, T>>): Map<number, T> {
  return new Map(Object.entries(json).map(([stripe, value]) => [Number(stripe), value]));
}

function toTable(row: TableRow, files: readonly string[]): TableRef {
  const file = files[row[0]];
  if (file === undefined) throw new RangeError(`no file ${row[0]}`);
  return {
    file,
    offset: row[1],
    length: row[2],
    indexOffset: row[3],
    first: toBound(row[4], 'first') as Key,
    last: toBound(row[5], 'last') as Key,
    entries: row[6],
    tombstones: row[7],
    expiring: row[8],
    maxTime: row[9],
    lastExpiryMs: row[10],
    checksum: row[11],
  };
}

/** Checks that a root is the one that its name says. */
export function assertRootIs(root: Root, expected: { namespace: string; number: number; file: string }): void {
  if (root.namespace !== expected.namespace || root.number !== expected.number) {
    throw corrupt(expected.file, 0, `it says that it is root ${root.number} of ${root.namespace}`);
  }
}
