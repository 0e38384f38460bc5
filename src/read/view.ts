/**
 * A process's view of a namespace, brought up to date before each fresh read (rule A13).
 *
 * The order is the rule's: list the log → newest root → contents. A listing need not be made again where the medium can
 * tell that the folder has not changed (`watermark`); the tail is decoded once, and from then on only what was added to live
 * segments is read. A segment that is gone means: start over, a newer root has absorbed it. Read-modify-write records are read once each; where
 * some were, the root is looked at again (rule B2).
 *
 * What always holds after `refresh` returned `fresh`: every write acknowledged before it began is in the state, unless a newer
 * one of its key is; and the root's number never goes down.
 */
import { assert, PeatError } from '../base/errors.ts';
import type { Key } from '../base/key.ts';
import { compareStamps, type SeenTime } from '../base/stamp.ts';
import type { System } from '../base/system.ts';
import type { Entry } from '../format/entry.ts';
import { type NamespaceLayout, recordText } from '../format/layout.ts';
import type { SerialRecord } from '../format/record.ts';
import type { Root } from '../format/root.ts';
import { type ListedSegment, type LogListing, parseLogListing } from '../log/log-listing.ts';
import { type ReadRecord, RecordLog } from '../log/record-log.ts';
import { type ReadFrame, SegmentReader } from '../log/segment-reader.ts';
import { type Clocks, elapsedMs, isTrusted, listDated, type Moment, now } from '../manifest/clocks.ts';
import { newestRoot, type RootReading } from '../manifest/newest-root.ts';
import type { Medium, Watermark } from '../medium/medium.ts';
import type { Steps } from '../medium/steps.ts';
import { resolveShards, type State } from './state.ts';
import type { TableHandle, TableStore } from './table-store.ts';

const ATTEMPTS_MAX = 100;

interface LiveSegment {
  readonly reader: SegmentReader;
  /** Frames that the root has not absorbed. */
  frames: ReadFrame[];
}

/** `draining`: an entry that decides results lies in a segment that a drain has not finished; look again. */
export type Freshness = 'fresh' | 'draining';

export class View {
  readonly #medium: Medium;
  readonly #clocks: Clocks;
  readonly #layout: NamespaceLayout;
  readonly #tables: TableStore;
  readonly #seen: SeenTime;
  #reading: RootReading | undefined;
  #state: State | undefined;
  #tail = new Map<Key, Entry>();
  /** A snapshot holds `#tail`: copy it before the next change. */
  #tailIsShared = false;
  #listing: LogListing | undefined;
  #logMark: Watermark | undefined;
  #rootsAdopted = 0;
  #rootMark: Watermark | undefined;
  readonly #segments = new Map<string, LiveSegment>();
  /** The last refresh came to its end, and nothing in use awaits a drain. */
  #isSettled = false;
  readonly #records: RecordLog;
  /**
   * When the listing was begun that the state has all of. Undefined from the first change that a refresh makes to it until the refresh has succeeded, and
   * from a write of the handle's own until the next refresh: nothing else may be read without one.
   */
  #freshAt: Moment | undefined;
  /** Counts the handle's own writes: what was listed before one of them may lack it. */
  #writes = 0;

  readonly counters = { refreshes: 0, logListings: 0, rootListings: 0, framesRead: 0, recordsRead: 0, startedOver: 0, recordsLearned: 0 };

  constructor(context: { medium: Medium; system: System; layout: NamespaceLayout; tables: TableStore; seen: SeenTime }) {
    this.#seen = context.seen;
    this.#medium = context.medium;
    this.#clocks = context;
    this.#layout = context.layout;
    this.#tables = context.tables;
    this.#records = new RecordLog(context.layout);
  }

  /** The state of the last refresh. */
  get state(): State {
    assert(this.#state !== undefined, 'a view is refreshed before it is used');
    return this.#state;
  }

  /** The newest root of the last refresh, and when it was known to be the newest. */
  get reading(): RootReading | undefined {
    return this.#reading;
  }

  /** Counts what has come to be known: frames, records, and roots. */
  get changes(): number {
    return this.counters.framesRead + this.counters.recordsRead + this.counters.recordsLearned + this.#rootsAdopted;
  }

  /** Whether the state has every write that was acknowledged `ms` ago, by this process's clocks, and the handle's own. */
  isFreshWithin(ms: number): boolean {
    return this.#freshAt !== undefined && elapsedMs(this.#clocks, this.#freshAt) < ms;
  }

  /** The handle has written. */
  noteWrite(): void {
    this.#writes++;
    this.#freshAt = undefined;
  }

  /**
   * The state of the last refresh, which will stay as it is. With `keys`, for looking these up and nothing else: then the tail has no other, and need not
   * be copied at its next change.
   */
  pin(keys?: readonly Key[]): State {
    if (keys !== undefined && keys.length < this.#tail.size) return { ...this.state, tail: partOf(this.#tail, keys) };
    this.#tailIsShared = true;
    return this.state;
  }

  /** Segments with frames that the root has not absorbed, and how much of their log lies before what was read; and the records above it. */
  get tailFacts(): {
    segments: number;
    frames: number;
    bytes: number;
    keys: number;
    tornBytes: number;
    records: number;
    recordBytes: number;
  } {
    let segments = 0;
    let frames = 0;
    let bytes = 0;
    let tornBytes = 0;
    for (const segment of this.#segments.values()) {
      if (segment.frames.length > 0) segments++;
      frames += segment.frames.length;
      for (const frame of segment.frames) bytes += frame.bytes;
      tornBytes += segment.reader.tornBytes;
    }
    let records = 0;
    let recordBytes = 0;
    for (const record of this.#records.all()) {
      records++;
      recordBytes += record.bytes;
    }
    return { segments, frames, bytes, keys: this.#tail.size, tornBytes, records, recordBytes };
  }

  /** How far each segment was read: what `waitFor` and `watch` go by. */
  positions(): Map<string, number> {
    return new Map([...this.#segments].map(([text, { reader }]) => [text, reader.offset]));
  }

  /** Frames that the root has not absorbed, by segment. */
  *unabsorbed(): Iterable<{ text: string; frames: readonly ReadFrame[] }> {
    for (const [text, { frames }] of this.#segments) yield { text, frames };
  }

  /** Records that the root has not absorbed, by stripe and number; whatever becomes of them. */
  records(): Iterable<SerialRecord> {
    return this.#records.all();
  }

  /**
   * A record that this process put is known, and need not be read back: the next refresh counts it in. Not this call: there may be others beside it
   * that a refresh under way has read, and not yet validated.
   *
   * @param root a newest root, read after the put, that said that it is committed (rule B4). At any other root than the view's nothing is learned.
   */
  learnRecord(record: ReadRecord, root: Root): void {
    if (this.#state?.root.number !== root.number || !this.#records.learn(record, root)) return;
    this.counters.recordsLearned++;
  }

  /** Forgets what is known of the folders, so that the next refresh lists them. */
  invalidate(): void {
    this.#logMark = undefined;
    this.#rootMark = undefined;
  }

  /**
   * Brings the view up to date.
   *
   * @throws PeatError `NAMESPACE_NOT_FOUND`, `NAMESPACE_DROPPED`, `CORRUPT`, `TEMPORARY`
   */
  *refresh(): Steps<Freshness> {
    this.counters.refreshes++;
    if (this.#isUnchanged()) return 'fresh';
    this.#isSettled = false;
    const writes = this.#writes;
    /** What was missing in all attempts, and at which root; undefined once it differed. */
    let lacking: { text: string; root: number } | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const { listing, listedAt } = yield* this.#listLog();
      yield* this.#readRoot(listing);
      const root = this.#reading?.root as Root;
      const gone = yield* this.#readSegments(listing, root);
      const records = gone === undefined ? yield* this.#readRecords(listing, root) : undefined;
      const { missing } = this.#records;
      const text = gone ?? (records === undefined && missing !== undefined ? recordText(missing) : '');
      if (attempt === 0 && text !== '') lacking = { text, root: root.number };
      else if (lacking !== undefined && (lacking.text !== text || lacking.root !== root.number)) lacking = undefined;
      if (records === undefined || !(yield* this.#isStillNewest(root, { listedAt, records }))) {
        this.counters.startedOver++;
        this.invalidate();
        continue;
      }
      this.#takeRecords(root);
      const isDraining = this.#usesDraining(root, true);
      this.#isSettled = !this.#usesDraining(root, false);
      this.#freshAt = isDraining || writes !== this.#writes ? undefined : listedAt;
      return isDraining ? 'draining' : 'fresh';
    }
    throw this.#restless(lacking?.text);
  }

  /**
   * Whether a whole refresh would find nothing new: most reads of a local store find that, and need no more than a few system calls.
   *
   * It looks at the same things in the same order (A13), and only saves the work in between. The log's mark proves that the listing still holds,
   * so no segment or record has come or gone; then the root's mark, that the root is still the newest; then the contents: that each
   * segment ends where it was read to. A frame is acknowledged after all of it was written, and its first eight bytes are not all zero, so one
   * acknowledged before this began is seen. Records don't change. The second look is left out for the same reasons as by `#isStillNewest`: nothing in use
   * lies below a drain, and too little time has passed. Whatever can't be told is left to a whole refresh.
   */
  #isUnchanged(): boolean {
    const { blocking, canAppend, isRemote } = this.#medium;
    const { root } = this.#reading ?? {};
    if (!this.#isSettled || root === undefined || blocking === undefined || !canAppend || isRemote) return false;
    if (this.#logMark === undefined || this.#rootMark === undefined) return false;
    const readAt = now(this.#clocks);
    if (blocking.watermark(this.#layout.log) !== this.#logMark || blocking.watermark(this.#layout.root) !== this.#rootMark) return false;
    for (const { reader } of this.#segments.values()) if (!reader.isAtEnd(blocking)) return false;
    if (!isTrusted(this.#clocks, readAt)) return false;
    this.#reading = { root, readAt };
    this.#freshAt = readAt;
    return true;
  }

  /** @param missing the record, or the segment, that was not there however often this was tried, while nobody compacted */
  #restless(missing: string | undefined): PeatError {
    const { namespace, log } = this.#layout;
    if (missing !== undefined) {
      const file = log + missing;
      return new PeatError('CORRUPT', `${file} is missing, and no root has taken it in; see \`peat verify\``, {
        file,
        offset: 0,
        namespace,
      });
    }
    return new PeatError('TEMPORARY', `${namespace} changed ${ATTEMPTS_MAX} times while it was being read`, { namespace });
  }

  /** The looks after the contents that the rules ask for (A13, B2). */
  *#isStillNewest(root: Root, { listedAt, records }: { listedAt: Moment; records: number }): Steps<boolean> {
    if (records === 0 && isTrusted(this.#clocks, listedAt) && !this.#usesDraining(root, false)) return true;
    if (this.#rootMark !== undefined && this.#medium.blocking?.watermark(this.#layout.root) === this.#rootMark) return true;
    const again = yield* newestRoot(this.#layout, this.#clocks, this.#reading);
    return again !== undefined && again.root.number === root.number;
  }

  *#listLog(): Steps<{ listing: LogListing; listedAt: Moment }> {
    // Objects of a segment stand in a folder of their own, which the mark of the log does not cover.
    const mark = this.#medium.canAppend ? this.#medium.blocking?.watermark(this.#layout.log) : undefined;
    if (this.#listing !== undefined && mark !== undefined && mark === this.#logMark) {
      return { listing: this.#listing, listedAt: now(this.#clocks) };
    }
    this.counters.logListings++;
    const { objects, listedAt } = yield* listDated(this.#clocks, this.#layout.log);
    const listing = parseLogListing(this.#layout, objects);
    this.#listing = listing;
    this.#logMark = mark;
    return { listing, listedAt };
  }

  *#readRoot(listing: LogListing): Steps<void> {
    const readAt = now(this.#clocks);
    const mark = this.#medium.blocking?.watermark(this.#layout.root);
    if (this.#reading !== undefined && mark !== undefined && mark === this.#rootMark) {
      this.#reading = { root: this.#reading.root, readAt };
      return;
    }
    this.counters.rootListings++;
    const reading = yield* newestRoot(this.#layout, this.#clocks, this.#reading);
    if (reading === undefined) throw this.#missing('NAMESPACE_NOT_FOUND', 'does not exist');
    if (reading.root.state === 'dropped') throw this.#missing('NAMESPACE_DROPPED', 'was dropped');
    const before = this.#reading?.root;
    if (before !== undefined && reading.root.number < before.number) {
      throw new PeatError(
        'TEMPORARY',
        `the newest root of ${this.#layout.namespace} went back from ${before.number} to ${reading.root.number}`,
      );
    }
    this.#reading = reading;
    this.#rootMark = mark;
    if (reading.root !== before) this.#adopt(reading.root, listing);
  }

  #missing(code: 'NAMESPACE_NOT_FOUND' | 'NAMESPACE_DROPPED', what: string): PeatError {
    // A session that has seen it gone does not go back to what was there before.
    this.#freshAt = undefined;
    return new PeatError(code, `namespace ${this.#layout.namespace} ${what}`, { namespace: this.#layout.namespace });
  }

  /**
   * A new root: its tables, and the tail without what it has absorbed. A segment that an earlier listing showed
   * and this one lacks was absorbed and deleted, and the root may have forgotten it since.
   */
  #adopt(root: Root, listing: LogListing): void {
    this.#freshAt = undefined;
    this.#rootsAdopted++;
    for (const [text, segment] of this.#segments) {
      const absorbed = root.absorbed.get(text);
      if (!listing.segments.has(text) || segment.reader.id.root < root.horizon || absorbed?.sealed === true) {
        this.#segments.delete(text);
      } else if (absorbed !== undefined) {
        segment.reader.skipTo(absorbed.offset);
        segment.frames = segment.frames.filter(({ end }) => end > absorbed.offset);
      }
    }
    this.#tail = new Map();
    this.#tailIsShared = false;
    for (const { frames } of this.#segments.values()) for (const frame of frames) this.#addToTail(frame);
    this.#records.adopt(root);
    this.#seen.observe(root.maxStamp?.time ?? 0);
    const shards = resolveShards(root, this.#tables);
    this.#tables.retain(new Set<TableHandle>(shards.flatMap(({ tables }) => tables)));
    this.#state = { root, shards, tail: this.#tail, stripes: this.#records.tails() };
  }

  /**
   * A segment that is gone: start over. Undefined if all are there.
   *
   * One that was known, and of which neither the listing nor the root says anything, was absorbed, deleted and forgotten while an earlier listing, which
   * still showed it, was on its way: the root has all that was in it. With a frame newer than all that the root has, it was not taken in.
   */
  *#readSegments(listing: LogListing, root: Root): Steps<string | undefined> {
    let isForgotten = false;
    for (const [text, { frames }] of this.#segments) {
      if (listing.segments.has(text)) continue;
      if (frames.some(({ stamp }) => stamp.time > (root.maxStamp?.time ?? 0))) return text;
      isForgotten = true;
    }
    if (isForgotten) this.#adopt(root, listing);
    for (const listed of listing.segments.values()) {
      if (listed.id.root < root.horizon || root.absorbed.get(listed.text)?.sealed === true) continue;
      if (!(yield* this.#readSegment(listed, root))) return listed.text;
    }
    return undefined;
  }

  *#readSegment(listed: ListedSegment, root: Root): Steps<boolean> {
    let segment = this.#segments.get(listed.text);
    if (segment === undefined) {
      const offset = root.absorbed.get(listed.text)?.offset ?? 0;
      segment = { reader: new SegmentReader(this.#layout, listed.text, { offset, framed: listed.parts !== undefined }), frames: [] };
      this.#segments.set(listed.text, segment);
    }
    if (segment.reader.sealed) return true;
    const frames = yield* segment.reader.read({ parts: listed.parts });
    if (frames === undefined) {
      this.#segments.delete(listed.text);
      return false;
    }
    if (frames.length === 0) return true;
    this.counters.framesRead += frames.length;
    this.#beginTailChange();
    for (const frame of frames) {
      segment.frames.push(frame);
      this.#addToTail(frame);
    }
    return true;
  }

  /** How many records were new; undefined if one is gone or missing: start over. */
  *#readRecords(listing: LogListing, root: Root): Steps<number | undefined> {
    const records = yield* this.#records.read(listing, root);
    this.counters.recordsRead += records ?? 0;
    return records;
  }

  /** Adds what the records say to the tail, once it is sure that they count. */
  #takeRecords(root: Root): void {
    let isChanged = false;
    for (const { entries } of this.#records.takeEffective(root)) {
      if (!isChanged) this.#beginTailChange();
      isChanged = true;
      for (const entry of entries) this.#addEntry(entry);
    }
    const stripes = this.#records.tails();
    if (stripes !== this.state.stripes) this.#state = { ...this.state, stripes };
  }

  /** A state that was handed out keeps its identity; one that was pinned keeps its tail, too. */
  #beginTailChange(): void {
    this.#freshAt = undefined;
    if (this.#tailIsShared) {
      this.#tail = new Map(this.#tail);
      this.#tailIsShared = false;
    }
    this.#state = { ...this.state, tail: this.#tail };
  }

  #addToTail(frame: ReadFrame): void {
    for (const entry of frame.entries) this.#addEntry(entry);
  }

  #addEntry(entry: Entry): void {
    this.#seen.observe(entry.stamp.time);
    const known = this.#tail.get(entry.key);
    if (known === undefined || compareStamps(entry.stamp, known.stamp) > 0) this.#tail.set(entry.key, entry);
  }

  /** Whether a segment in use lies below the drain, and, if asked, has frames that no root covers; or a record that counts, and does. */
  #usesDraining(root: Root, uncovered: boolean): boolean {
    if (root.drain <= root.horizon) return false;
    for (const { reader, frames } of this.#segments.values()) {
      if (reader.id.root < root.drain && (!uncovered || frames.length > 0)) return true;
    }
    for (const record of this.#records.all()) if (record.root >= root.horizon && record.root < root.drain) return true;
    return false;
  }
}

function partOf(tail: ReadonlyMap<Key, Entry>, keys: readonly Key[]): Map<Key, Entry> {
  const part = new Map<Key, Entry>();
  for (const key of keys) {
    const entry = tail.get(key);
    if (entry !== undefined) part.set(key, entry);
  }
  return part;
}
