/**
 * Finds what changed in a namespace since a position.
 *
 * A position is a root, how far each segment was read, and the last read-modify-write record of each stripe (`record-changes.ts`). As long as the segments are there, changes are read from the log.
 * A segment may be deleted only on the word of a root that is a minute old (rule A12); who comes later than that finds what it
 * missed in the tables made since: their entries, the tombstones included, hold the last change of each key. Tombstones absorbed
 * after root N are dropped only when a horizon has passed N (rule A11): from then on a position at N can't be resumed, and that
 * is said, not passed over. The same goes for records.
 *
 * Frames of a segment that a drain has not finished may yet turn out dead; they are left for later. So is a record that does not count yet.
 */
import { PeatError } from '../base/errors.ts';
import type { Key } from '../base/key.ts';
import { compareStamps } from '../base/stamp.ts';
import type { System } from '../base/system.ts';
import type { Entry } from '../format/entry.ts';
import { type NamespaceLayout, parseTableFile } from '../format/layout.ts';
import type { Root } from '../format/root.ts';
import { type ListedSegment, type LogListing, parseLogListing } from '../log/log-listing.ts';
import { SegmentReader } from '../log/segment-reader.ts';
import { type Clocks, isTrusted, listDated, type Moment } from '../manifest/clocks.ts';
import { newestRoot, type RootReading } from '../manifest/newest-root.ts';
import { ageOf, datedRoots, rootAges } from '../manifest/root-ages.ts';
import type { Medium } from '../medium/medium.ts';
import { listSteps, runAsync, type Steps } from '../medium/steps.ts';
import type { NamespaceReader } from './namespace-reader.ts';
import { type RecordChanges, recordChanges, type StripePositions } from './record-changes.ts';

const ATTEMPTS_MAX = 100;

export interface Position {
  readonly root: number;
  /** How far each segment of the log was read. */
  readonly offsets: Readonly<Record<string, number>>;
  /** Undefined: all that the newest root has absorbed was told. */
  readonly stripes: StripePositions | undefined;
}

export interface Changes {
  /** In the order of their stamps; the last one of a key is its state. */
  readonly entries: readonly Entry[];
  readonly position: Position;
}

interface Look {
  readonly reading: RootReading | undefined;
  readonly entries: Entry[];
  readonly offsets: Record<string, number>;
  readonly records: Pick<RecordChanges, 'unproved' | 'position' | 'isIncomplete'>;
}

const NO_RECORDS: Look['records'] = { unproved: [], position: {}, isIncomplete: false };

export interface WatcherContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  /** Serves the state of keys that changed. */
  readonly reader: NamespaceReader;
  /** No segment is deleted before a root that absorbed it is this old. */
  readonly segmentGraceMs: number;
}

export class Watcher {
  readonly #segmentGraceMs: number;
  readonly #medium: Medium;
  readonly #system: System;
  readonly #clocks: Clocks;
  readonly #layout: NamespaceLayout;
  readonly #reader: NamespaceReader;
  readonly #segments = new Map<string, SegmentReader>();
  #reading: RootReading | undefined;
  #position: Position;

  constructor(context: WatcherContext, position: Position) {
    this.#segmentGraceMs = context.segmentGraceMs;
    this.#medium = context.medium;
    this.#system = context.system;
    this.#clocks = context;
    this.#layout = context.layout;
    this.#reader = context.reader;
    this.#position = position;
  }

  /** The position of a namespace as it is now: what comes after it are the changes from now on. */
  static async now(context: WatcherContext): Promise<Position> {
    const watcher = new Watcher(context, { root: -1, offsets: {}, stripes: undefined });
    return positionOf(await runAsync(watcher.#look(), context));
  }

  /**
   * The changes since the last call.
   *
   * @throws PeatError `RESYNC_REQUIRED` if the position is older than what can be told.
   */
  async next(signal?: AbortSignal): Promise<Changes> {
    const context = { medium: this.#medium, system: this.#system, signal };
    const look = await runAsync(this.#look(), context);
    const root = look.reading?.root;
    // A namespace that was not there yet is as empty as its root 0.
    const since = Math.max(0, this.#position.root);
    const position = positionOf(look);
    // A root that is older than the position's: this is not the store that the position was taken from, or it was restored.
    if (root === undefined ? this.#position.root >= 0 : root.number < this.#position.root) throw this.#resyncRequired(since);
    let mayHaveMissed = false;
    if (root !== undefined && root.number > since) {
      // A drop, too, is a horizon above all that was.
      if (root.horizon > since) throw this.#resyncRequired(since);
      mayHaveMissed = await runAsync(this.#mayHaveMissed(since), context);
      if (mayHaveMissed || look.records.isIncomplete) await this.#addTableEntries(root, { since, entries: look.entries, signal });
    }
    if (!mayHaveMissed) for (const entry of look.records.unproved) look.entries.push(entry);
    const entries = await this.#withStates(look.entries, signal);
    this.#position = position;
    return { entries, position };
  }

  #resyncRequired(since: number): PeatError {
    return new PeatError(
      'RESYNC_REQUIRED',
      `what changed in ${this.#layout.namespace} since root ${since} is no longer known; read all of it`,
      {
        namespace: this.#layout.namespace,
      },
    );
  }

  /** Rule A13's order: the log, the newest root, the contents; over again where a segment vanished in between. */
  *#look(): Steps<Look> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const before = this.#reading?.root.number;
      const { objects, listedAt } = yield* listDated(this.#clocks, this.#layout.log);
      const listing = parseLogListing(this.#layout, objects);
      const reading = yield* newestRoot(this.#layout, this.#clocks, this.#reading);
      if (reading === undefined) return { reading: undefined, entries: [], offsets: {}, records: NO_RECORDS };
      this.#reading = reading;
      if (reading.root.state === 'dropped') return { reading, entries: [], offsets: {}, records: NO_RECORDS };
      for (const text of this.#segments.keys()) if (!listing.segments.has(text)) this.#segments.delete(text);
      const segments = yield* this.#readSegments(listing, reading.root);
      if (segments === undefined) continue;
      const { root } = reading;
      const records = yield* recordChanges(this.#layout, { listing, root, known: this.#position.stripes });
      // What was absorbed so quickly that the listing lacks it is looked for once more.
      if (records === undefined || (records.isUnlisted && root.number !== before)) continue;
      if (yield* this.#isOverrun(reading, { listedAt, usesRecords: records.unabsorbed > 0 })) continue;
      for (const entry of records.entries) segments.entries.push(entry);
      return { reading, ...segments, records };
    }
    throw new PeatError('TEMPORARY', `${this.#layout.namespace} changed ${ATTEMPTS_MAX} times while it was being watched`, {
      namespace: this.#layout.namespace,
    });
  }

  /** Undefined if a segment is gone: start over. */
  *#readSegments(listing: LogListing, root: Root): Steps<Pick<Look, 'entries' | 'offsets'> | undefined> {
    const entries: Entry[] = [];
    const offsets: Record<string, number> = {};
    for (const listed of listing.segments.values()) {
      if (!(yield* this.#readSegment(listed, { root, entries }))) return undefined;
      offsets[listed.text] = this.#segments.get(listed.text)?.offset ?? this.#position.offsets[listed.text] ?? 0;
    }
    return { entries, offsets };
  }

  /**
   * The second looks: whether a horizon has moved meanwhile, so that frames which were read may be dead (rule A13); whether records may have
   * been absorbed, deleted, and put again before they were read (rule B2).
   */
  *#isOverrun(reading: RootReading, { listedAt, usesRecords }: { listedAt: Moment; usesRecords: boolean }): Steps<boolean> {
    if (!usesRecords && isTrusted(this.#clocks, listedAt)) return false;
    const again = yield* newestRoot(this.#layout, this.#clocks, reading);
    if (again === undefined) return true;
    return usesRecords ? again.root.number !== reading.root.number : again.root.horizon !== reading.root.horizon;
  }

  *#readSegment(listed: ListedSegment, { root, entries }: { root: Root; entries: Entry[] }): Steps<boolean> {
    const absorbed = root.absorbed.get(listed.text);
    const isLive = listed.id.root >= Math.max(root.horizon, root.drain);
    if (!isLive && absorbed === undefined) return true;
    const fresh = new SegmentReader(this.#layout, listed.text, {
      offset: this.#position.offsets[listed.text] ?? 0,
      framed: listed.parts !== undefined,
    });
    const known = this.#segments.get(listed.text);
    // A look that has to start over reads the segment again from the position.
    const reader = known !== undefined && known.offset === fresh.offset ? known : fresh;
    const frames = yield* reader.read({ parts: listed.parts });
    if (frames === undefined) return false;
    for (const frame of frames) {
      if (!isLive && frame.end > (absorbed?.offset ?? 0)) break;
      for (const entry of frame.entries) entries.push(entry);
    }
    if (!isLive && absorbed !== undefined && reader.offset > absorbed.offset) return true;
    this.#segments.set(listed.text, reader);
    return true;
  }

  /** Whether a segment with changes after root `since` may have been deleted: the root after it is a minute old, or gone. */
  *#mayHaveMissed(since: number): Steps<boolean> {
    const ages = rootAges(datedRoots(this.#layout, yield* listSteps(this.#layout.root, { stats: true })));
    return ageOf(ages, since + 1) >= this.#segmentGraceMs;
  }

  /** Everything in tables made after root `since`: it has at least what was absorbed since. */
  async #addTableEntries(
    root: Root,
    { since, entries, signal }: { since: number; entries: Entry[]; signal: AbortSignal | undefined },
  ): Promise<void> {
    const made = new Set<string>();
    for (const { tables } of root.shards) {
      for (const { file } of tables) if ((parseTableFile(file)?.root ?? 0) > since) made.add(file);
    }
    if (made.size === 0) return;
    for (const shard of root.shards) {
      if (!shard.tables.some(({ file }) => made.has(file))) continue;
      const next = root.shards[root.shards.indexOf(shard) + 1]?.from;
      for await (const chunk of this.#reader.range({ from: shard.from, to: next }, { reverse: false, signal })) {
        for (const entry of chunk) entries.push(entry);
      }
    }
  }

  /** Orders the changes, and lets the last event of each key be its state: an older write that lost is followed by the winner. */
  async #withStates(changes: Entry[], signal: AbortSignal | undefined): Promise<Entry[]> {
    if (changes.length === 0) return [];
    const ordered = [...changes].sort((a, b) => compareStamps(a.stamp, b.stamp));
    const last = new Map<Key, Entry>();
    for (const entry of ordered) last.set(entry.key, entry);
    for (const [key, entry] of last) {
      const current = await this.#reader.get(key, { signal });
      if (current !== undefined && compareStamps(current.stamp, entry.stamp) > 0) ordered.push(current);
    }
    return ordered;
  }
}

function positionOf({ reading, offsets, records }: Look): Position {
  return { root: reading?.root.number ?? -1, offsets, stripes: records.position };
}
