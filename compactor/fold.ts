/**
 * Reads the tail of the log that no root has absorbed, and keeps the newest entry of each key.
 *
 * What always holds: a segment's frames are taken in order and without gaps, from where the root's `absorbed` ends, so
 * that one offset says what was taken; a seal counts only when all before it was (rule A7). Segments below the horizon
 * are not read: what they hold beyond `absorbed` is dead. Which frames are taken together makes no difference, since the
 * newest stamp wins; so a pass may stop anywhere, and the next goes on there.
 *
 * A damaged segment is taken in up to the damage and reported; it stops no other. It does stop the horizon.
 *
 * Read-modify-write records come first (`fold-records.ts`). They may use up half of a pass's bounds, and segments have the rest, so that
 * neither keeps the other from being taken in.
 */
import { isPeatError, type PeatError } from '../src/base/errors.ts';
import { maxStamp, type Stamp, TICKS_PER_MS } from '../src/base/stamp.ts';
import type { Entry } from '../src/format/entry.ts';
import type { Absorbed, Root } from '../src/format/root.ts';
import type { ListedSegment, LogListing } from '../src/log/log-listing.ts';
import { type ReadFrame, SegmentReader } from '../src/log/segment-reader.ts';
import { runAsync } from '../src/medium/steps.ts';
import type { PassContext } from './context.ts';
import { foldRecords, type ReadRecord, type RecordFold } from './fold-records.ts';
import type { Pacer } from './pace.ts';
import { newestInOrder } from './sort-entries.ts';

/** Bytes that are asked of a segment at once. */
const READ_BYTES: number = 2 * 1024 * 1024;
/** Where frames are tiny, their number bounds a pass's memory, not their bytes. */
const DELTAS_MAX = 400_000;

export interface Fold {
  /** The newest entry of each key, in the order of the keys; those that a tombstone's rules apply to carry the root that absorbs them. */
  readonly entries: readonly Entry[];
  /** What the next root's `absorbed` says, entries that may be forgotten included. */
  readonly absorbed: ReadonlyMap<string, Absorbed>;
  readonly records: RecordFold;
  /** Whether `absorbed` or `serialThrough` differs from the base's. */
  readonly hasNews: boolean;
  /** Records count as frames. */
  readonly frames: number;
  readonly deltas: number;
  readonly bytes: number;
  /** Stamp time of the oldest frame that was read; of a record, when it was put, since its stamps are as old as what it read. */
  readonly oldestTime: number | undefined;
  /** Newest stamp absorbed, by this root or an earlier one. */
  readonly maxStamp: Stamp | undefined;
  /** The bound was reached before the tail's end. */
  readonly more: boolean;
  /** Lowest R of a segment or record of which something may have been left; undefined if all was read to its end. */
  readonly incompleteFrom: number | undefined;
  readonly warnings: readonly string[];
}

export interface FoldOptions {
  readonly bytesMax: number;
  readonly pacer: Pacer;
  readonly signal?: AbortSignal | undefined;
}

/** Undefined if a segment or record vanished that the listing showed: then a newer root has absorbed it. */
export async function foldTail(
  context: PassContext,
  tail: { root: Root; log: LogListing },
  options: FoldOptions,
): Promise<Fold | undefined> {
  const records = await foldRecords(context, tail, { ...options, bytesMax: options.bytesMax / 2, deltasMax: DELTAS_MAX / 2 });
  if (records === undefined) return undefined;
  const folding = new Folding(context, { root: tail.root, records }, options);
  for (const segment of tail.log.segments.values()) {
    if (!folding.wants(segment)) continue;
    if (folding.isFull) folding.leave(segment);
    else if (!(await folding.read(segment))) return undefined;
  }
  return await folding.finish();
}

class Folding {
  readonly #context: PassContext;
  readonly #root: Root;
  readonly #records: RecordFold;
  readonly #options: FoldOptions;
  readonly #entries: Entry[] = [];
  readonly #absorbed: Map<string, Absorbed>;
  readonly #warnings: string[];
  #bytesLeft: number;
  #deltasLeft: number;
  #hasNews: boolean;
  #frames = 0;
  #deltas = 0;
  #bytes = 0;
  #oldestTime: number | undefined;
  #maxStamp: Stamp | undefined;
  #more: boolean;
  #incompleteFrom: number | undefined;

  constructor(context: PassContext, { root, records }: { root: Root; records: RecordFold }, options: FoldOptions) {
    const { bytesMax } = options;
    this.#context = context;
    this.#root = root;
    this.#records = records;
    this.#options = options;
    this.#absorbed = new Map(root.absorbed);
    this.#maxStamp = root.maxStamp;
    this.#hasNews = records.hasNews;
    this.#more = records.more;
    this.#incompleteFrom = records.incompleteFrom;
    this.#warnings = [...records.warnings];
    this.#bytesLeft = bytesMax - Math.min(records.bytes, bytesMax / 2);
    this.#deltasLeft = DELTAS_MAX - Math.min(records.deltas, DELTAS_MAX / 2);
    for (const record of records.effective) this.#takeRecord(record);
  }

  get isFull(): boolean {
    return this.#bytesLeft <= 0 || this.#deltasLeft <= 0;
  }

  /** False where nothing new can be. */
  wants(segment: ListedSegment): boolean {
    const absorbed = this.#root.absorbed.get(segment.text);
    if (segment.id.root < this.#root.horizon || absorbed?.sealed === true) return false;
    if (absorbed === undefined) return true;
    if (segment.parts !== undefined) return (segment.parts.at(-1) ?? -1) >= absorbed.offset;
    return segment.size === 0 || segment.size > absorbed.offset;
  }

  /** Notes a segment that is not read to its end in this pass. */
  leave(segment: ListedSegment): void {
    this.#more = true;
    this.#markIncomplete(segment);
  }

  #markIncomplete({ id }: ListedSegment): void {
    this.#incompleteFrom = Math.min(this.#incompleteFrom ?? id.root, id.root);
  }

  /** Takes in what is new; false if the segment has vanished. */
  async read(segment: ListedSegment): Promise<boolean> {
    const reader = this.#open(segment, this.#root.absorbed.get(segment.text)?.offset ?? 0);
    let isAtEnd = false;
    while (!isAtEnd) {
      if (this.isFull) {
        this.leave(segment);
        break;
      }
      const start = reader.offset;
      try {
        const frames = await this.#readSome(reader, segment);
        if (frames === undefined) return false;
        this.#take(frames);
      } catch (error) {
        if (!isPeatError(error, 'CORRUPT')) throw error;
        await this.#takeUpToDamage(segment, start, error);
        break;
      }
      isAtEnd = reader.sealed || hasReachedEnd(reader, segment, start);
      // With a gap before it, a seal does not count (rule A7): the segment ends when a horizon passes it.
      if (reader.offset > start) this.#cover(segment, { offset: reader.offset, sealed: reader.sealed && reader.gaps === 0 });
      await this.#options.pacer.rest();
    }
    if (reader.tornBeforeSeal) {
      this.#warnings.push(
        `${segment.text}: ${reader.tornBytes} bytes before its seal are bad, from a power cut in durability 'os' or from damage`,
      );
    }
    if (reader.gaps > 0) this.#warnings.push(`${segment.text}: ${reader.gaps} objects are missing before later ones`);
    return true;
  }

  #open(segment: ListedSegment, offset: number, onDamage?: () => void): SegmentReader {
    const framed = segment.parts !== undefined;
    return new SegmentReader(this.#context.layout, segment.text, { offset, framed, ...(onDamage === undefined ? {} : { onDamage }) });
  }

  #readSome(reader: SegmentReader, { parts }: ListedSegment): Promise<ReadFrame[] | undefined> {
    return runAsync(reader.read({ bytesMax: READ_BYTES, parts }), { ...this.#context, signal: this.#options.signal });
  }

  /** Reads once more from `start`, passing over the damage, to keep the frames before it. */
  async #takeUpToDamage(segment: ListedSegment, start: number, damage: PeatError): Promise<void> {
    this.#warnings.push(damage.message);
    this.#markIncomplete(segment);
    // In a folder of objects, the damaged one counts as a whole.
    const limit = segment.parts === undefined ? (damage.offset ?? start) : Number(damage.file?.split('/').at(-1));
    let frames: ReadFrame[] | undefined;
    try {
      frames = await this.#readSome(
        this.#open(segment, start, () => {}),
        segment,
      );
    } catch (error) {
      if (!isPeatError(error, 'CORRUPT')) throw error;
    }
    const good = (frames ?? []).filter(({ end }) => end <= limit);
    this.#take(good);
    const last = good.at(-1);
    if (last !== undefined) this.#cover(segment, { offset: last.end, sealed: false });
  }

  #cover({ text }: ListedSegment, absorbed: Absorbed): void {
    const before = this.#absorbed.get(text);
    if (before !== undefined && before.offset >= absorbed.offset && before.sealed === absorbed.sealed) return;
    this.#absorbed.set(text, absorbed);
    this.#hasNews = true;
  }

  #take(frames: readonly ReadFrame[]): void {
    for (const { stamp, bytes, entries } of frames) {
      this.#bytesLeft -= bytes;
      this.#deltasLeft -= entries.length;
      this.#maxStamp = maxStamp(this.#maxStamp, stamp);
      this.#add({ bytes, entries, time: stamp.time });
    }
  }

  #takeRecord({ record: { entries }, bytes, putAtMs }: ReadRecord): void {
    for (const { stamp } of entries) this.#maxStamp = maxStamp(this.#maxStamp, stamp);
    this.#add({ bytes, entries, time: putAtMs === undefined ? undefined : Math.floor(putAtMs * TICKS_PER_MS) });
  }

  #add({ bytes, entries, time }: { bytes: number; entries: readonly Entry[]; time: number | undefined }): void {
    const absorbedAt = this.#root.number + 1;
    this.#frames++;
    this.#bytes += bytes;
    this.#deltas += entries.length;
    if (time !== undefined) this.#oldestTime = Math.min(this.#oldestTime ?? time, time);
    for (const entry of entries) {
      this.#entries.push(entry.value === undefined || entry.expiresAtMs !== 0 ? { ...entry, absorbedAt } : entry);
    }
  }

  async finish(): Promise<Fold> {
    return {
      entries: await newestInOrder(this.#entries, this.#options.pacer),
      absorbed: this.#absorbed,
      records: this.#records,
      hasNews: this.#hasNews,
      frames: this.#frames,
      deltas: this.#deltas,
      bytes: this.#bytes,
      oldestTime: this.#oldestTime,
      maxStamp: this.#maxStamp,
      more: this.#more,
      incompleteFrom: this.#incompleteFrom,
      warnings: this.#warnings,
    };
  }
}

/** Whether a read that began at `start` stopped because nothing more is there, and not because it had read enough. */
function hasReachedEnd(reader: SegmentReader, { parts }: ListedSegment, start: number): boolean {
  return parts === undefined ? reader.offset - start < READ_BYTES : reader.offset > (parts.at(-1) ?? -1);
}
