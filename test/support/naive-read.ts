/**
 * Reads a namespace the slow and simple way: list the log → newest root → all tables, all tails → newest stamp a key. It shares
 * no code with the readers of the engine beyond the formats, and starts over exactly where rule A13 says so.
 */
import type { Key } from '../../src/base/key.ts';
import { compareStamps } from '../../src/base/stamp.ts';
import type { System } from '../../src/base/system.ts';
import type { Entry } from '../../src/format/entry.ts';
import type { NamespaceLayout } from '../../src/format/layout.ts';
import type { Root } from '../../src/format/root.ts';
import { Block } from '../../src/format/table/block.ts';
import { TableIndex } from '../../src/format/table/table-index.ts';
import { listLog } from '../../src/log/log-listing.ts';
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
  /** How often it started over. */
  readonly restarts: number;
}

export async function naiveRead(context: NaiveContext): Promise<NaiveState> {
  for (let restarts = 0; restarts < 100; restarts++) {
    const newest = new Map<Key, Entry>();
    const take = (entry: Entry): void => {
      const other = newest.get(entry.key);
      if (other === undefined || compareStamps(entry.stamp, other.stamp) > 0) newest.set(entry.key, entry);
    };
    const root = await attempt(context, take);
    if (root !== undefined) return { root, newest, restarts };
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

async function attempt(context: NaiveContext, take: (entry: Entry) => void): Promise<Root | undefined> {
  const { system, layout } = context;
  const { segments } = await runAsync(listLog(layout), context);
  const reading = await runAsync(newestRoot(layout, system), context);
  if (reading === undefined) throw new Error('there is no root');
  const { root } = reading;
  if (!(await readTables(context, root, take))) return undefined;
  let lowest = Number.POSITIVE_INFINITY;
  for (const { text, id, parts } of segments.values()) {
    const absorbed = root.absorbed.get(text);
    if (id.root < root.horizon || absorbed?.sealed === true) continue;
    lowest = Math.min(lowest, id.root);
    const reader = new SegmentReader(layout, text, { offset: absorbed?.offset ?? 0, framed: parts !== undefined });
    const frames = await runAsync(reader.read({ parts }), context);
    if (frames === undefined || reader.gaps > 0) return undefined;
    for (const { entries } of frames) for (const entry of entries) take(entry);
  }
  const after = await runAsync(newestRoot(layout, system), context);
  return after === undefined || lowest < after.root.horizon ? undefined : root;
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
