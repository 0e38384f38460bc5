/**
 * What `peat inspect` knows of a file, as plain JSON: recognised by its name, or else by what stands in it. Works on damaged files: what can be
 * read is there, and `problems` says where it can't.
 */
import { MalformedError } from '../base/bytes.ts';
import { isPeatError } from '../base/errors.ts';
import { fromKey } from '../base/key.ts';
import { stampTimeToMs } from '../base/stamp.ts';
import { decodeValue } from '../base/value.ts';
import { decodeCheckedJson } from '../format/checked-json.ts';
import type { Entry } from '../format/entry.ts';
import { namespaceLayout, parseSegmentId, parseTableFile, type RecordId, recordText } from '../format/layout.ts';
import { decodeRecord, parseRecord, type RecordKind, type SerialRecord } from '../format/record.ts';
import { mendCheckedJson } from './mend.ts';
import { dissectSegment, type SegmentFrame } from './segment-anatomy.ts';
import { parseStoreName, type StoreName } from './store-names.ts';
import { dissectTable, sliceTables, type TableBlock } from './table-anatomy.ts';

export interface Problem {
  readonly offset: number;
  readonly what: string;
}

/** A version of a key, as it stands in a frame or a block. */
export interface EntryFacts {
  readonly key: string;
  readonly deleted?: true;
  readonly expiresAt?: string;
  readonly absorbedAt?: number;
  /** `time`, writer and sub-counter; not in frames, where all deltas have the frame's. */
  readonly stamp?: string;
  readonly valueBytes?: number;
  /** The value itself, if it was asked for ... */
  readonly value?: unknown;
  /** ... and otherwise what it looks like, in a few characters. */
  readonly valueText?: string;
}

export interface FrameFacts {
  readonly offset: number;
  readonly bytes: number;
  readonly kind: 'batch' | 'seal';
  readonly groupStart: number;
  readonly time?: string;
  /** Of a seal: the batches that it counts. */
  readonly batches?: number;
  readonly deltas?: readonly EntryFacts[];
}

export interface BlockFacts {
  readonly offset: number;
  readonly bytes: number;
  readonly ok: boolean;
  readonly entries?: number;
  readonly first?: string;
  readonly last?: string;
  readonly contents?: readonly EntryFacts[];
}

export interface TableFacts {
  readonly offset: number;
  readonly bytes: number;
  readonly footer: { readonly ok: boolean } & Readonly<Record<string, unknown>>;
  readonly index: { readonly ok: boolean };
  readonly filter: { readonly ok: boolean; readonly bytes: number };
  readonly blocks: readonly BlockFacts[];
}

interface Common {
  readonly kind: string;
  /** Its name in the store, if the path tells. */
  readonly name: string | undefined;
  readonly bytes: number;
  readonly problems: readonly Problem[];
}

export interface JsonInspection extends Common {
  readonly form: 'json';
  readonly checksumOk: boolean;
  /** A single wrong byte, if putting that right makes the checksum match. */
  readonly wrongByteAt?: number;
  /** What it says, where that can be read, with the wrong byte put right. */
  readonly content: unknown;
}

export interface SegmentInspection extends Common {
  readonly form: 'segment';
  readonly segment: { readonly root: number; readonly writer: string; readonly sequence: number; readonly part?: number } | undefined;
  readonly headerOk: boolean;
  readonly sealed: boolean;
  readonly tail: { readonly kind: string; readonly offset: number; readonly bytes: number };
  readonly frames: readonly FrameFacts[];
}

export interface RecordInspection extends Common {
  readonly form: 'record';
  readonly record: RecordId | undefined;
  /** False, too, where the name is not known that the checksum is seeded with. */
  readonly checksumOk: boolean;
  /** Undefined if nothing behind the header parses. */
  readonly content: RecordFacts | undefined;
}

export interface RecordFacts {
  readonly kind: RecordKind;
  readonly nonce: string;
  /** The root at which what it rests on was read. */
  readonly root: number;
  /** Names of the records that it goes with. */
  readonly links: readonly string[];
  readonly deltas: readonly EntryFacts[];
}

export interface TablesInspection extends Common {
  readonly form: 'tables';
  readonly madeFor: { readonly root: number; readonly pass: string; readonly index: number } | undefined;
  readonly tables: readonly TableFacts[];
}

/** A file whose contents mean nothing to anybody: beats, floors, temporary files, strays. */
export interface PlainInspection extends Common {
  readonly form: 'plain';
  readonly text: string;
}

export type Inspection = JsonInspection | SegmentInspection | RecordInspection | TablesInspection | PlainInspection;

export interface InspectOptions {
  /** Its name in the store. */
  readonly name?: string | undefined;
  /** Show the keys of tables' blocks, and values whole. Default false. */
  readonly values?: boolean;
}

export function inspectBytes(bytes: Buffer, options: InspectOptions = {}): Inspection {
  const given: StoreName = options.name === undefined ? { kind: 'unknown' } : parseStoreName(options.name);
  const name = given.kind === 'quarantine' ? parseStoreName(given.of) : given;
  const common = { name: options.name, bytes: bytes.length };
  const values = options.values === true;
  switch (name.kind) {
    case 'store-file':
    case 'root':
    case 'ticket':
    case 'marker':
      return { ...common, ...inspectJson(bytes, options.name ?? '', name.kind) };
    case 'segment':
      return { ...common, ...inspectSegment(bytes, { segment: name.segment, part: undefined, values }) };
    case 'segment-part':
      return { ...common, ...inspectSegment(bytes, { segment: name.segment, part: name.part, values }) };
    case 'record':
      return { ...common, ...inspectRecord(bytes, { id: name.record, namespace: name.namespace, values }) };
    case 'table-file':
      return { ...common, ...inspectTables(bytes, { file: name.file, values }) };
    default:
      return { ...common, ...inspectByContents(bytes, { kind: name.kind, values }) };
  }
}

/** What all inspections have is added once. */
type Without = 'name' | 'bytes';
type Part<T> = T extends unknown ? Omit<T, Without> : never;

/** A file that was renamed, or copied somewhere: its first or last bytes tell. */
function inspectByContents(bytes: Buffer, { kind, values }: { kind: string; values: boolean }): Part<Inspection> {
  if (kind === 'unknown') {
    if (bytes.toString('latin1', 0, 8) === 'PEATLOG1') return inspectSegment(bytes, { segment: undefined, part: undefined, values });
    if (bytes.toString('latin1', 0, 8) === 'PEATREC1') return inspectRecord(bytes, { id: undefined, namespace: undefined, values });
    if (bytes.toString('latin1', bytes.length - 8) === 'PEATTBL1') return inspectTables(bytes, { file: undefined, values });
    if (bytes[0] === 0x7b && bytes.includes('\ncrc32:')) return inspectJson(bytes, '', 'checked-json');
  }
  const text = bytes.toString('latin1', 0, 200).replace(/[^\x20-\x7e]/g, '.');
  return { form: 'plain', kind, problems: [], text };
}

// ---- checked JSON

function inspectJson(bytes: Buffer, file: string, kind: string): Omit<JsonInspection, Without> {
  try {
    return { form: 'json', kind, problems: [], checksumOk: true, content: decodeCheckedJson(bytes, file) };
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT')) throw error;
    const mended = mendCheckedJson(bytes);
    const what = error.message.replace(`${file}: `, '').replace(/ at byte \d+$/, '');
    return {
      form: 'json',
      kind,
      problems: [{ offset: mended?.offset ?? error.offset ?? 0, what: mended === undefined ? what : `${what}; this one byte is wrong` }],
      checksumOk: false,
      ...(mended === undefined ? {} : { wrongByteAt: mended.offset }),
      content: parseLooselyJson(mended?.bytes ?? bytes),
    };
  }
}

function parseLooselyJson(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text.slice(0, Math.max(0, text.lastIndexOf('\ncrc32:')))) as unknown;
  } catch {
    return undefined;
  }
}

// ---- segments

function inspectSegment(
  bytes: Buffer,
  { segment, part, values }: { segment: string | undefined; part: number | undefined; values: boolean },
): Omit<SegmentInspection, Without> {
  const id = segment === undefined ? undefined : parseSegmentId(segment);
  const partText = part === undefined ? '' : `/${String(part).padStart(8, '0')}`;
  const anatomy = dissectSegment(bytes, `${segment ?? ''}${partText}`);
  const problems: Problem[] = anatomy.damage.map(({ start, end, what }) => ({ offset: start, what: `${what} (${end - start} bytes)` }));
  for (const { start } of anatomy.disorder) problems.push({ offset: start, what: 'the stamp is not above the one before' });
  if (segment === undefined) problems.push({ offset: 0, what: "without the segment's name its checksums can't be checked" });
  return {
    form: 'segment',
    kind: part === undefined ? 'segment' : 'segment-part',
    problems,
    segment: id === undefined ? undefined : { ...id, ...(part === undefined ? {} : { part }) },
    headerOk: anatomy.headerOk,
    sealed: anatomy.sealed,
    tail: { kind: anatomy.tail.kind, offset: anatomy.end, bytes: anatomy.tail.bytes },
    frames: anatomy.frames.map((frame) => frameFacts(frame, values)),
  };
}

function frameFacts(frame: SegmentFrame, values: boolean): FrameFacts {
  const { start, end, groupStart, kind } = frame;
  const whole = { offset: start, bytes: end - start, kind, groupStart };
  if (kind === 'seal') return { ...whole, ...(frame.count === undefined ? {} : { batches: frame.count }) };
  return { ...whole, time: isoTime(frame.time), deltas: frame.entries.map((entry) => entryFacts(entry, { values, stamp: false })) };
}

/** With the 1/1024 ms that ISO has no place for. */
function isoTime(time: number): string {
  const ticks = time % 1024;
  return `${isoMs(stampTimeToMs(time))}${ticks === 0 ? '' : `+${ticks}/1024ms`}`;
}

/** A damaged record may hold any number. */
function isoMs(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'no time' : date.toISOString();
}

function entryFacts({ key, stamp, value, expiresAtMs, absorbedAt }: Entry, show: { values: boolean; stamp: boolean }): EntryFacts {
  return {
    key: fromKey(key),
    ...(value === undefined ? { deleted: true as const } : { valueBytes: value.length, ...showValue(value, show.values) }),
    ...(expiresAtMs === 0 ? {} : { expiresAt: isoMs(expiresAtMs) }),
    ...(absorbedAt === 0 ? {} : { absorbedAt }),
    ...(show.stamp ? { stamp: `${isoTime(stamp.time)} ${stamp.writer}${stamp.sub === 0 ? '' : ` ${stamp.sub}`}` } : {}),
  };
}

const VALUE_CHARACTERS = 60;

/** Whole, or as a piece of text. */
function showValue(bytes: Uint8Array, whole: boolean): Pick<EntryFacts, 'value' | 'valueText'> {
  let value: unknown;
  try {
    value = decodeValue(bytes);
  } catch {
    return { valueText: `not MessagePack: ${Buffer.from(bytes).toString('hex', 0, VALUE_CHARACTERS / 2)}` };
  }
  if (whole) return { value };
  const text = valueJson(value);
  return { valueText: text.length > VALUE_CHARACTERS ? `${text.slice(0, VALUE_CHARACTERS - 3)}...` : text };
}

/** JSON for what MessagePack holds; bigints as text. */
export function valueJson(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner)) ?? String(value);
}

// ---- records

function inspectRecord(
  bytes: Buffer,
  { id, namespace, values }: { id: RecordId | undefined; namespace: string | undefined; values: boolean },
): Omit<RecordInspection, Without> {
  const problems: Problem[] = [];
  if (id === undefined || namespace === undefined)
    problems.push({ offset: 0, what: "without the record's name its checksum can't be checked" });
  else {
    try {
      decodeRecord(namespaceLayout(namespace), id, bytes);
    } catch (error) {
      if (!isPeatError(error, 'CORRUPT')) throw error;
      problems.push({ offset: error.offset ?? 0, what: error.message.replace(`${error.file}: `, '').replace(/ at byte \d+$/, '') });
    }
  }
  const content = parseLooselyRecord(bytes, id);
  return {
    form: 'record',
    kind: 'record',
    problems,
    record: id,
    checksumOk: problems.length === 0,
    content: content === undefined ? undefined : recordFacts(content, values),
  };
}

function parseLooselyRecord(bytes: Buffer, id: RecordId = { stripe: 0, number: 0 }): SerialRecord | undefined {
  try {
    return parseRecord(id, bytes);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return undefined;
  }
}

function recordFacts({ kind, nonce, root, links, entries }: SerialRecord, values: boolean): RecordFacts {
  return { kind, nonce, root, links: links.map(recordText), deltas: entries.map((entry) => entryFacts(entry, { values, stamp: true })) };
}

// ---- tables

function inspectTables(bytes: Buffer, { file, values }: { file: string | undefined; values: boolean }): Omit<TablesInspection, Without> {
  const problems: Problem[] = [];
  const tables: TableFacts[] = [];
  for (const { offset, length } of sliceTables(bytes)) {
    const anatomy = dissectTable(bytes.subarray(offset, offset + length));
    for (const problem of anatomy.problems) problems.push({ offset: offset + problem.offset, what: problem.what });
    tables.push({
      offset,
      bytes: length,
      footer: { ok: anatomy.footer !== undefined, ...anatomy.footer },
      index: { ok: anatomy.indexOk },
      filter: { ok: anatomy.filterOk, bytes: anatomy.filterBytes },
      blocks: anatomy.blocks.map((block) => blockFacts(block, offset, values)),
    });
  }
  if (bytes.length === 0) problems.push({ offset: 0, what: 'the file is empty' });
  return { form: 'tables', kind: 'table-file', problems, madeFor: file === undefined ? undefined : parseTableFile(file), tables };
}

function blockFacts({ offset, length, block }: TableBlock, tableAt: number, values: boolean): BlockFacts {
  const whole = { offset: tableAt + offset, bytes: length, ok: block !== undefined };
  if (block === undefined) return whole;
  const contents = Array.from({ length: block.length }, (_, i) => entryFacts(block.entryAt(i), { values, stamp: true }));
  const range = { entries: block.length, first: fromKey(block.keyAt(0)), last: fromKey(block.keyAt(block.length - 1)) };
  return { ...whole, ...range, ...(values ? { contents } : {}) };
}
