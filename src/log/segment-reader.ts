/**
 * Reads a segment from where it was left, frame by frame.
 *
 * What always holds: `offset` is the end of the last good frame (on media without append: the count of objects read), and
 * only frames before a seal, a tear or damage are handed out, in order, once.
 *
 * A tear and a frame that its writer is just writing look alike; the reader stops before them and looks again the next time. Damage
 * (bad bytes with a valid frame of a later group behind them) is `CORRUPT`; before that verdict, and after the later group was
 * seen, the bytes are read once more, since they may have been written in between.
 */
import { ByteReader, MalformedError } from '../base/bytes.ts';
import { corrupt, type PeatError } from '../base/errors.ts';
import type { Stamp } from '../base/stamp.ts';
import { decodeBatch } from '../format/batch.ts';
import type { Entry } from '../format/entry.ts';
import {
  FRAME_HEADER_BYTES,
  FRAME_SEAL,
  type Frame,
  findLaterGroup,
  findNextFrame,
  frameAt,
  frameSeed,
  hasSeal,
  isSegmentHeader,
  SEGMENT_HEADER_BYTES,
} from '../format/frame.ts';
import { type NamespaceLayout, parseSegmentId, type SegmentId, segmentPartName } from '../format/layout.ts';
import type { BlockingMedium } from '../medium/medium.ts';
import { getManySteps, getSteps, type Steps } from '../medium/steps.ts';
import { partsWithGaps } from './log-listing.ts';

/** A batch as it was read. */
export interface ReadFrame {
  readonly stamp: Stamp;
  /** What `absorbed` says once a root has taken it in: bytes, or objects. */
  readonly end: number;
  /** Bytes of the frame. */
  readonly bytes: number;
  readonly entries: readonly Entry[];
}

export interface SegmentReaderOptions {
  /** Where to start: what a root has absorbed. Default 0. */
  readonly offset?: number;
  /** Whether the segment is objects in a folder instead of a file. */
  readonly framed: boolean;
  /** Skip damage and hand out what is good behind it, with a report; for `repair`. */
  readonly onDamage?: (error: PeatError, lostBytes: number) => void;
}

/** Objects of a segment that are read at once, as long as those before them were small. */
const PARTS_AT_ONCE = 16;
const CHUNK_BYTES = 256 * 1024;
/** What a look at a segment that may have nothing new asks for. */
const PEEK_BYTES = 4096;

export class SegmentReader {
  readonly text: string;
  readonly id: SegmentId;
  readonly framed: boolean;
  offset: number;
  sealed = false;
  /** Bytes behind `offset` that are no frame: a tear, or a write under way. 0 if there are none. */
  tornBytes = 0;
  /**
   * A valid seal stands behind the torn bytes, and nothing before it was ever synced: a power cut in durability `os`, or damage. Nobody
   * can tell which; `verify` reports it.
   */
  tornBeforeSeal = false;
  readonly #name: string;
  readonly #seed: number;
  readonly #onDamage: ((error: PeatError, lostBytes: number) => void) | undefined;
  #framesRead = 0;
  #startedAtZero: boolean;
  /** Where, and up to where, a later group was last looked for in vain; the search is not repeated for the same bytes. */
  #searched = { offset: -1, bytes: -1 };
  /** On media without append: objects that are missing before later ones, skipped. */
  gaps = 0;

  constructor(layout: NamespaceLayout, text: string, options: SegmentReaderOptions) {
    const id = parseSegmentId(text);
    if (id === undefined) throw new TypeError(`not a segment: ${text}`);
    this.text = text;
    this.id = id;
    this.framed = options.framed;
    this.offset = options.offset ?? 0;
    this.#startedAtZero = this.offset === 0;
    this.#name = layout.log + text;
    this.#seed = frameSeed(text);
    this.#onDamage = options.onDamage;
  }

  /**
   * New frames, until nothing more is there or `bytesMax` bytes were read (at least one frame is, if there is one).
   * Undefined if the segment, or a part that a listing showed, is gone: list again. Then, and after any error, it stands where it stood before:
   * frames that were not handed out are read again.
   *
   * @param options.parts on media without append, the objects that the latest listing showed
   * @throws PeatError `CORRUPT`
   */
  *read(options: { bytesMax?: number; parts?: readonly number[] | undefined } = {}): Steps<ReadFrame[] | undefined> {
    if (this.sealed) return [];
    const bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
    const { offset, gaps } = this;
    const framesRead = this.#framesRead;
    let frames: ReadFrame[] | undefined;
    try {
      frames = this.framed ? yield* this.#readParts(options.parts ?? [], bytesMax) : yield* this.#readFile(bytesMax);
    } finally {
      if (frames === undefined) {
        this.offset = offset;
        this.gaps = gaps;
        this.sealed = false;
        this.#framesRead = framesRead;
      }
    }
    return frames;
  }

  /** Whether nothing follows what was read, if the medium can tell without a read. A tear or damage at `offset` is something. */
  isAtEnd(blocking: BlockingMedium): boolean {
    return this.sealed || (!this.framed && blocking.endsAt?.(this.#name, this.offset) === true);
  }

  /** A root has taken in everything up to `offset`: reading goes on behind it. */
  skipTo(offset: number): void {
    if (offset <= this.offset) return;
    this.offset = offset;
    this.tornBytes = 0;
    this.#startedAtZero = false;
  }

  // ---- one appended file

  *#readFile(bytesMax: number): Steps<ReadFrame[] | undefined> {
    const frames: ReadFrame[] = [];
    let want = this.offset === 0 ? CHUNK_BYTES : PEEK_BYTES;
    let taken = 0;
    while (!this.sealed && taken < bytesMax) {
      const base = this.offset;
      const chunk = yield* getSteps(this.#name, { offset: base, length: want });
      if (chunk === undefined) return undefined;
      if (base === 0 && !(yield* this.#readHeader(chunk, frames))) return frames;
      const stop = this.#parse(chunk, base, frames);
      taken += this.offset - base;
      if (stop.state === 'end' && isZeroFrom(chunk, stop.at)) {
        // The file ends with the chunk, or blocks allocated ahead begin in it; else more may follow.
        if (chunk.length < want || stop.at < chunk.length) return frames;
        want = CHUNK_BYTES;
      } else if (stop.state === 'short' && chunk.length === want) {
        want = Math.max(stop.bytes, CHUNK_BYTES);
      } else if (!(yield* this.#judge(chunk.subarray(stop.at), frames))) {
        return frames;
      }
    }
    return frames;
  }

  /** Checks the header and steps over it; false if the file is still too short or torn there. */
  *#readHeader(chunk: Buffer, frames: ReadFrame[]): Steps<boolean> {
    if (isSegmentHeader(chunk, this.#seed)) {
      this.offset = SEGMENT_HEADER_BYTES;
      return true;
    }
    if (chunk.length === 0) return false;
    return yield* this.#judge(chunk, frames);
  }

  /** Parses all whole frames of a chunk that starts at `base`; moves `offset` behind them. */
  #parse(chunk: Buffer, base: number, frames: ReadFrame[]): { state: 'end' | 'bad' | 'short'; at: number; bytes: number } {
    let at = this.offset - base;
    while (!this.sealed) {
      const found = frameAt(chunk, at, { seed: this.#seed, base });
      if (found.state !== 'frame') return { state: found.state, at, bytes: found.state === 'short' ? found.bytes : 0 };
      this.#take(found.frame, frames);
      at = found.frame.end - base;
    }
    return { state: 'end', at, bytes: 0 };
  }

  #take(frame: Frame, frames: ReadFrame[]): void {
    if (frame.kind === FRAME_SEAL) {
      this.#seal(frame, this.#name, this.#framesRead);
    } else {
      frames.push(this.#decode(frame, frame.end, this.#name));
      this.#framesRead++;
    }
    this.offset = frame.end;
    this.tornBytes = 0;
  }

  #seal(frame: Frame, name: string, framesRead: number): void {
    if (this.#onDamage === undefined) {
      const count = parsed(frame, name, () => new ByteReader(frame.payload).varint());
      if (this.#startedAtZero && this.gaps === 0 && count !== framesRead) {
        throw corrupt(name, frame.start, `the seal counts ${count} frames, but ${framesRead} were read`);
      }
    }
    this.sealed = true;
  }

  #decode(frame: Frame, end: number, name: string): ReadFrame {
    const stamp: Stamp = { time: frame.time, writer: this.id.writer, sub: 0 };
    const entries: Entry[] = [];
    parsed(frame, name, () => decodeBatch(frame.payload, stamp, (entry) => entries.push(entry)));
    return { stamp, end, bytes: frame.end - frame.start, entries };
  }

  /**
   * Bad bytes at `offset`: a tear (false: stop here), damage (throws, or skips it in a repair: true), or neither any
   * more, since the writer has finished them meanwhile (true).
   *
   * A read is not atomic: it may have taken these bytes before they were written, and those of a later group after they were synced. A read
   * that begins after the later group was seen has them all, so only such a one is believed.
   */
  *#judge(seen: Buffer, frames: ReadFrame[]): Steps<boolean> {
    const file = { seed: this.#seed, base: this.offset };
    let later: Frame | undefined;
    for (let before = seen; ; ) {
      const rest = yield* getSteps(this.#name, { offset: this.offset, length: 0x7fff_ffff });
      if (rest === undefined) return false;
      if (!rest.subarray(0, before.length).equals(before)) {
        const again = this.offset === 0 ? isSegmentHeader(rest, this.#seed) : frameAt(rest, 0, file).state === 'frame';
        if (again) return true;
      }
      this.tornBytes = usedBytes(rest);
      if (this.#searched.offset === this.offset && this.#searched.bytes === this.tornBytes) return false;
      const isConfirmed = later !== undefined;
      later = findLaterGroup(rest, 0, file);
      if (later === undefined) {
        this.#searched = { offset: this.offset, bytes: this.tornBytes };
        this.tornBeforeSeal = hasSeal(rest, file);
        return false;
      }
      if (isConfirmed) return this.#passOver(findNextFrame(rest, 1, file) ?? later, frames);
      before = rest;
    }
  }

  /** Bytes that were durable once are bad: in a repair, goes on behind them. */
  #passOver(next: Frame, frames: ReadFrame[]): true {
    const damage = corrupt(this.#name, this.offset, 'a frame is damaged');
    if (this.#onDamage === undefined) throw damage;
    this.#onDamage(damage, next.start - this.offset);
    this.#take(next, frames);
    return true;
  }

  // ---- one object a group

  *#readParts(parts: readonly number[], bytesMax: number): Steps<ReadFrame[] | undefined> {
    const frames: ReadFrame[] = [];
    let taken = 0;
    const listed = new Set(parts);
    // One that the listing lacks may have been put while it ran, before a later one that it shows.
    const unread = parts.filter((number) => number >= this.offset);
    const wanted = partsWithGaps(unread, this.offset);
    let atOnce = 1;
    for (let from = 0; from < wanted.length && !this.sealed && taken < bytesMax; ) {
      const some = wanted.slice(from, from + atOnce);
      from += some.length;
      const names = some.map((part) => segmentPartName(this.#name, part));
      const found = yield* getManySteps(names);
      const before = taken;
      for (const [i, part] of some.entries()) {
        const bytes = found[i];
        if (this.sealed || taken >= bytesMax) break;
        if (bytes === undefined && listed.has(part)) return undefined;
        if (bytes === undefined) {
          this.gaps++;
        } else {
          this.#parsePart(names[i] as string, bytes, { part, frames });
          taken += bytes.length;
        }
        // Not before: a damaged object is met again by the next read.
        this.offset = part + 1;
      }
      // Large ones one by one: they would all be in memory.
      atOnce = taken - before > CHUNK_BYTES * some.length ? 1 : Math.min(PARTS_AT_ONCE, atOnce * 4);
    }
    return frames;
  }

  #parsePart(name: string, bytes: Buffer, { part, frames }: { part: number; frames: ReadFrame[] }): void {
    const seed = frameSeed(segmentPartName(this.text, part));
    let at = SEGMENT_HEADER_BYTES;
    const before = frames.length;
    try {
      if (!isSegmentHeader(bytes, seed)) throw corrupt(name, 0, 'the header is damaged');
      if (at === bytes.length) throw corrupt(name, at, 'no frame follows the header');
      while (at < bytes.length) {
        const found = frameAt(bytes, at, { seed, base: 0 });
        if (found.state !== 'frame') throw corrupt(name, at, 'a frame is damaged');
        if (found.frame.kind === FRAME_SEAL) this.#seal(found.frame, name, this.#framesRead + frames.length - before);
        else frames.push(this.#decode(found.frame, part + 1, name));
        at = found.frame.end;
      }
    } catch (error) {
      if (this.#onDamage === undefined) throw error;
      this.#onDamage(error as PeatError, bytes.length - at);
    }
    this.#framesRead += frames.length - before;
  }
}

/** @throws PeatError `CORRUPT` where a payload with the right checksum is none */
function parsed<T>(frame: Frame, name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw corrupt(name, frame.start + FRAME_HEADER_BYTES + error.offset, 'the frame does not parse, although its checksum matches');
  }
}

const ZEROS: Buffer = Buffer.alloc(PEEK_BYTES);

/** Whether only zeros follow: blocks allocated ahead, and not a frame that was lost before others. */
function isZeroFrom(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at += ZEROS.length) {
    const end = Math.min(at + ZEROS.length, bytes.length);
    if (bytes.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

/** Length without the zeros at the end (blocks allocated ahead). */
function usedBytes(bytes: Buffer): number {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length;
}
