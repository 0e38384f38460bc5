/**
 * What the newest root said, where its file can't be read any more.
 *
 * One wrong byte is put right by the checksum (`mend.ts`). Otherwise the root is rebuilt from the newest one before it that can be
 * read, P, and from what stands in the store. Why that is right:
 * - Nothing is ever deleted on the strength of the newest root alone: it has no age (rules A12, A14). So where the damaged root N is the only one
 *   since P, all segments and tables of P are still there: P's state and the log are everything. Frames that N had absorbed are in the
 *   log and are absorbed again; N's tables become garbage. Nothing is lost.
 * - Where more roots than N can't be read, the first of them may have been old enough for segments to go. What they held stands in tables made
 *   since P. All entries of these are real writes, so their newest versions are put on top of P's tables. What a
 *   failed pass left is among them, and harmless: its entries came from the log or from older tables.
 * - Frames below the damaged root's horizon count again. Their writers were told that they are dead, and have written them again with newer
 *   stamps, which win.
 *
 * Numbers of read-modify-write records are not used again: `serialThrough` is P's. Where more roots than N can't be read, records may have gone
 * since P; a stripe goes on behind the last number that is missing below one that is there, for what is gone was absorbed, and so was all
 * before it. Of a stripe of which no file is left nothing tells how far it had come: it goes on from P, which is reported, since a process
 * that has been running since then could take a new record for one that it has read.
 *
 * A record that was void by the damaged root's horizon would count again, beside what its caller made of it the second time. That can only be where P
 * had begun a drain, and a record lies below it; that is reported, too.
 *
 * What can't be proved, and is reported: without P at all, tables that were dropped but not yet deleted count again, and a key whose tombstone was
 * already dropped may show an old value.
 */
import { createHash } from 'node:crypto';
import { isPeatError } from '../base/errors.ts';
import type { Key } from '../base/key.ts';
import { compareStamps, maxStamp, type Stamp } from '../base/stamp.ts';
import { newNonce, type System } from '../base/system.ts';
import type { Entry } from '../format/entry.ts';
import { type NamespaceLayout, parseRootName, parseTableFile, rootName } from '../format/layout.ts';
import { NO_COUNTS, type Root, serialThrough } from '../format/root.ts';
import { assertRootIs, decodeRoot } from '../format/root-codec.ts';
import { listLog } from '../log/log-listing.ts';
import { readRecord } from '../log/record-log.ts';
import { newRoot } from '../manifest/commit-root.ts';
import type { Medium } from '../medium/medium.ts';
import { runAsync } from '../medium/steps.ts';
import { mendCheckedJson } from './mend.ts';
import { dissectTable, sliceTables } from './table-anatomy.ts';

export interface RootsFound {
  /** Newest number, readable or not. */
  readonly newest: number;
  /** The newest root, as it reads or was put right; undefined if it can't be. */
  readonly root: Root | undefined;
  /** SHA-256 of the newest root's file as it stands. */
  readonly sha256: string;
  /** The newest root before it that can be read; looked for only if there is need. */
  readonly before: Root | undefined;
  /** Numbers of roots that can't be read, ascending. */
  readonly damaged: readonly number[];
  /** Where the wrong byte of the newest root is, if that was all. */
  readonly mendedAt: number | undefined;
}

interface RootsContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
}

/** Reads all roots. Undefined if there is none. @throws PeatError `UNSUPPORTED_VERSION` */
export async function findRoots({ medium, layout }: RootsContext): Promise<RootsFound | undefined> {
  const numbers = (await medium.list(layout.root)).flatMap(({ name }) => parseRootName(layout, name) ?? []);
  const newest = numbers.at(-1);
  if (newest === undefined) return undefined;
  const damaged: number[] = [];
  let found: Pick<RootsFound, 'root' | 'sha256' | 'mendedAt'> = { root: undefined, sha256: '', mendedAt: undefined };
  let before: Root | undefined;
  for (const number of numbers) {
    const file = rootName(layout, number);
    const bytes = await medium.get(file);
    // Deleted since it was listed: the newest is then neither found nor damaged.
    if (bytes === undefined) continue;
    const root = tryDecode(bytes, { layout, number });
    if (root === undefined) damaged.push(number);
    if (number < newest) {
      before = root ?? before;
      continue;
    }
    const mended = root === undefined ? mendCheckedJson(bytes) : undefined;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    found = { root: root ?? (mended && tryDecode(mended.bytes, { layout, number })), sha256, mendedAt: mended?.offset };
  }
  return { newest, before, damaged, ...found };
}

/** Whole roots of another namespace: its folder was copied, or is linked to. That is no damage, and nothing to be mended here. */
export class MisplacedError extends Error {
  readonly owner: string;
  constructor(namespace: string, owner: string) {
    super(`the folder of ${namespace} holds roots of ${owner}`);
    this.owner = owner;
  }
}

function tryDecode(bytes: Buffer, { layout, number }: { layout: NamespaceLayout; number: number }): Root | undefined {
  const file = rootName(layout, number);
  try {
    const root = decodeRoot(bytes, file);
    if (root.namespace !== layout.namespace) throw new MisplacedError(layout.namespace, root.namespace);
    assertRootIs(root, { namespace: layout.namespace, number, file });
    return root;
  } catch (error) {
    if (isPeatError(error, 'CORRUPT')) return undefined;
    throw error;
  }
}

export interface RebuiltRoot {
  /** Root n+1, without the entries of `extras`. */
  readonly root: Root;
  /** To be put on top of its tables. */
  readonly extras: readonly Entry[];
  /** In words. */
  readonly how: string;
  readonly risk: string | undefined;
}

/** The root to put after a newest one that can't be read as it stands. */
export async function rebuildRoot(context: RootsContext, found: RootsFound): Promise<RebuiltRoot> {
  const { system, layout } = context;
  const number = found.newest + 1;
  const base = found.root ?? found.before;
  const root: Root = {
    ...(base ?? { ...newRoot(layout.namespace, { system }), horizon: 0, drain: 0, forgot: number }),
    number,
    previous: found.sha256,
    nonce: newNonce(system),
    createdAtMs: system.wallNowMs(),
    counts: NO_COUNTS,
  };
  if (found.root !== undefined) {
    return {
      root,
      extras: [],
      how: `byte ${found.mendedAt} of root ${found.newest} is wrong; with that put right it is whole`,
      risk: undefined,
    };
  }
  if (base !== undefined && base.number === found.newest - 1) {
    const how = `root ${base.number} and the log have everything that root ${found.newest} had`;
    const risk = (await hasRecordsBelow(context, base))
      ? 'nothing; but an update that had stalled for very long may count, although its caller was told that it did not happen'
      : undefined;
    return { root, extras: [], how, risk };
  }
  const from = base?.number ?? -1;
  const { entries, newestStamp, files } = await newestEntries(context, from);
  const how = `${base === undefined ? 'no root' : `root ${from}`}, ${files} table files made since, and the log`;
  const risk =
    base === undefined
      ? 'deleted keys may show an old value again, and what tables that can not be read held is lost'
      : `what was absorbed after root ${from} into tables that can not be read is lost`;
  const serial = await raiseThrough(context, root);
  const restart = 'numbers of updates that were absorbed since may come again: start processes anew that have the store open';
  return {
    root: { ...root, ...serial, maxStamp: maxStamp(root.maxStamp, newestStamp) },
    extras: entries,
    how,
    risk: base !== undefined && serial.serialThrough.size === 0 ? risk : `${risk}; ${restart}`,
  };
}

/** Whether records that the next root may have declared void lie below the drain of `root`. */
async function hasRecordsBelow(context: RootsContext, root: Root): Promise<boolean> {
  if (root.drain <= root.horizon) return false;
  for (const [stripe, listed] of (await runAsync(listLog(context.layout), context)).records) {
    for (const { number } of listed) {
      if (number <= serialThrough(root, stripe)) continue;
      try {
        const record = await runAsync(readRecord(context.layout, { stripe, number }), context);
        if (record !== undefined && record.root >= root.horizon && record.root < root.drain) return true;
      } catch (error) {
        if (!isPeatError(error, 'CORRUPT')) throw error;
      }
    }
  }
  return false;
}

/** Each stripe goes on behind the last number that is gone; nobody's nonces are known there. */
async function raiseThrough(context: RootsContext, root: Root): Promise<Pick<Root, 'serialThrough' | 'serialNonces'>> {
  const through = new Map(root.serialThrough);
  const nonces = new Map(root.serialNonces);
  for (const [stripe, listed] of (await runAsync(listLog(context.layout), context)).records) {
    const known = serialThrough(root, stripe);
    const gone = listed.reduce((last, { number }, i) => {
      const before = listed[i - 1]?.number ?? known;
      return number > Math.max(before, known) + 1 ? number - 1 : last;
    }, known);
    if (gone === known) continue;
    through.set(stripe, gone);
    nonces.delete(stripe);
  }
  return { serialThrough: through, serialNonces: nonces };
}

/** The newest version of each key in all tables that were made for roots after `from`. */
async function newestEntries(
  { medium, layout }: RootsContext,
  from: number,
): Promise<{ entries: Entry[]; newestStamp: Stamp | undefined; files: number }> {
  const newest = new Map<Key, Entry>();
  let newestStamp: Stamp | undefined;
  let files = 0;
  for (const { name } of await medium.list(layout.shard)) {
    const id = parseTableFile(name.slice(layout.shard.length));
    if (id === undefined || id.root <= from) continue;
    const bytes = await medium.get(name);
    if (bytes === undefined) continue;
    files++;
    for (const entry of entriesOf(bytes)) {
      newestStamp = maxStamp(newestStamp, entry.stamp);
      const other = newest.get(entry.key);
      if (other === undefined || compareStamps(entry.stamp, other.stamp) > 0) newest.set(entry.key, entry);
    }
  }
  return { entries: [...newest.values()].sort((a, b) => (a.key < b.key ? -1 : 1)), newestStamp, files };
}

function* entriesOf(bytes: Buffer): Iterable<Entry> {
  for (const { offset, length } of sliceTables(bytes)) {
    for (const { block } of dissectTable(bytes.subarray(offset, offset + length)).blocks) {
      for (let i = 0; i < (block?.length ?? 0); i++) if (block !== undefined) yield block.entryAt(i);
    }
  }
}
