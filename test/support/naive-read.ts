/**
 * Reads a namespace the slow and simple way: list the log → newest root → all tables, all tails, all records → newest stamp a key. It shares
 * no code with the readers of the engine beyond the formats, and starts over exactly where rules A13 and B say so. Where A13 says
 * wait, it only tells.
 */
import type { Key } from '../../src/base/key.ts';
import { compareStamps } from '../../src/base/stamp.ts';
import type { System } from '../../src/base/system.ts';
import type { Entry } from '../../src/format/entry.ts';
import { type NamespaceLayout, type RecordId, recordName, recordText } from '../../src/format/layout.ts';
import { decodeRecord, type SerialRecord } from '../../src/format/record.ts';
import { type Root, serialThrough } from '../../src/format/root.ts';
import { Block } from '../../src/format/table/block.ts';
import { TableIndex } from '../../src/format/table/table-index.ts';
import { type LogListing, listLog } from '../../src/log/log-listing.ts';
import { SegmentReader } from '../../src/log/segment-reader.ts';
import { newestRoot } from '../../src/manifest/newest-root.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { runAsync } from '../../src/medium/steps.ts';

export interface NaiveContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
}

export interface NaiveState {
  readonly root: Root;
  /** Newest version of each key, tombstones included. */
  readonly newest: Map<Key, Entry>;
  /** Records above `serialThrough`, by their text. */
  readonly records: ReadonlyMap<string, SerialRecord>;
  /** The last of them in a stripe, if nobody has decided it. */
  readonly undecided: ReadonlyMap<number, SerialRecord>;
  /** What was read may turn out dead when a drain has been finished. */
  readonly isDraining: boolean;
  /** How often it started over. */
  readonly restarts: number;
}

type Attempt = Pick<NaiveState, 'root' | 'records' | 'undecided' | 'isDraining'>;

export async function naiveRead(context: NaiveContext): Promise<NaiveState> {
  for (let restarts = 0; restarts < 100; restarts++) {
    const newest = new Map<Key, Entry>();
    const take = (entry: Entry): void => {
      const other = newest.get(entry.key);
      if (other === undefined || compareStamps(entry.stamp, other.stamp) > 0) newest.set(entry.key, entry);
    };
    const read = await attempt(context, take);
    if (read !== undefined) return { ...read, newest, restarts };
  }
  throw new Error('a reader started over 100 times');
}

/** What users see. */
export async function naiveValues(context: NaiveContext): Promise<Map<string, string>> {
  const { newest } = await naiveRead(context);
  const values = new Map<string, string>();
  for (const key of [...newest.keys()].sort()) {
    const value = newest.get(key)?.value;
    if (value !== undefined) values.set(key, Buffer.from(value).toString());
  }
  return values;
}

async function attempt(context: NaiveContext, take: (entry: Entry) => void): Promise<Attempt | undefined> {
  const { layout } = context;
  const log = await runAsync(listLog(layout), context);
  const reading = await runAsync(newestRoot(layout, context), context);
  if (reading === undefined) throw new Error('there is no root');
  const { root } = reading;
  if (!(await readTables(context, root, take))) return undefined;
  let lowest = Number.POSITIVE_INFINITY;
  for (const { text, id, parts } of log.segments.values()) {
    const absorbed = root.absorbed.get(text);
    if (id.root < root.horizon || absorbed?.sealed === true) continue;
    lowest = Math.min(lowest, id.root);
    const reader = new SegmentReader(layout, text, { offset: absorbed?.offset ?? 0, framed: parts !== undefined });
    const frames = await runAsync(reader.read({ parts }), context);
    if (frames === undefined || reader.gaps > 0) return undefined;
    for (const { entries } of frames) for (const entry of entries) take(entry);
  }
  const records = await readRecords(context, log, root);
  const undecided = records === undefined ? undefined : foldRecords(records, root, take);
  if (records === undefined || undecided === undefined) return undefined;
  const counting = [...records.values()].filter((record) => record.root >= root.horizon);
  lowest = Math.min(lowest, ...counting.map((record) => record.root));
  const after = await runAsync(newestRoot(layout, context), context);
  if (after === undefined || lowest < after.root.horizon) return undefined;
  for (const { id } of records.values()) if (id.number <= serialThrough(after.root, id.stripe)) return undefined;
  return { root, records, undecided, isDraining: root.drain > root.horizon && lowest < root.drain };
}

/** Rule B1: all above `serialThrough`, without a gap; undefined if one is gone. */
async function readRecords({ medium, layout }: NaiveContext, log: LogListing, root: Root): Promise<Map<string, SerialRecord> | undefined> {
  const records = new Map<string, SerialRecord>();
  for (const [stripe, listed] of log.records) {
    const numbers = listed.map(({ number }) => number).filter((number) => number > serialThrough(root, stripe));
    for (const [i, number] of numbers.entries()) {
      const id = { stripe, number };
      if (number !== serialThrough(root, stripe) + 1 + i) return undefined;
      const bytes = await medium.get(recordName(layout, id));
      if (bytes === undefined) return undefined;
      records.set(recordText(id), decodeRecord(layout, id, bytes));
    }
  }
  return records;
}

/** Takes what counts; says what is not decided. Undefined if an update of several stripes was listed in part. */
function foldRecords(
  records: ReadonlyMap<string, SerialRecord>,
  root: Root,
  take: (entry: Entry) => void,
): Map<number, SerialRecord> | undefined {
  const undecided = new Map<number, SerialRecord>();
  const isAbsorbed = ({ stripe, number }: RecordId): boolean => number <= serialThrough(root, stripe);
  for (const record of records.values()) {
    const { id, kind, links, nonce } = record;
    if (record.root < root.horizon) continue;
    if (kind === 'primary' && links.some((link) => !isAbsorbed(link) && !records.has(recordText(link)))) return undefined;
    if (kind === 'secondary') {
      const [primary] = links as [RecordId];
      const decision = records.get(recordText(primary));
      if (decision === undefined && !isAbsorbed(primary)) {
        if (records.has(recordText({ ...id, number: id.number + 1 }))) return undefined;
        undecided.set(id.stripe, record);
      }
      if (decision?.nonce !== nonce) continue;
    }
    for (const entry of record.entries) take(entry);
  }
  return undecided;
}

async function readTables({ medium, layout }: NaiveContext, root: Root, take: (entry: Entry) => void): Promise<boolean> {
  for (const [i, { from, tables }] of root.shards.entries()) {
    for (const ref of tables) {
      const bytes = await medium.get(layout.shard + ref.file, { offset: ref.offset, length: ref.length });
      if (bytes === undefined) return false;
      const index = TableIndex.decode(bytes.subarray(ref.indexOffset), ref);
      for (let b = 0; b < index.blocks; b++) {
        const { offset, length, checksum } = index.blockRange(b);
        const block = Block.decode(bytes.subarray(offset, offset + length), checksum);
        for (let j = 0; j < block.length; j++) {
          const entry = block.entryAt(j);
          const end = root.shards[i + 1]?.from;
          if (entry.key < from || (end !== undefined && entry.key >= end)) throw new Error(`${entry.key} lies outside of its shard`);
          take(entry);
        }
      }
    }
  }
  return true;
}
