/**
 * Takes a segment's bytes apart without giving up at the first bad one: all valid frames, also those behind damage, and what stands
 * between and behind them.
 *
 * Bad bytes are damage if a valid frame of a later group, or a valid seal, stands behind them: then they were once
 * whole. Otherwise they are a torn tail, a group whose sync never returned, or one whose only damaged byte looks the same.
 */
import { ByteReader, MalformedError } from '../base/bytes.ts';
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
  isSegmentHeader,
  SEGMENT_HEADER_BYTES,
} from '../format/frame.ts';
import { parseSegmentId } from '../format/layout.ts';

export interface SegmentFrame {
  readonly kind: 'batch' | 'seal';
  readonly start: number;
  readonly end: number;
  readonly groupStart: number;
  readonly time: number;
  /** Of a batch. */
  readonly entries: readonly Entry[];
  /** Of a seal: how many batches it counts. */
  readonly count: number | undefined;
}

export interface DamagedRange {
  readonly start: number;
  /** Where readable bytes begin again, or the file ends. */
  readonly end: number;
  readonly what: string;
}

export interface SegmentAnatomy {
  readonly headerOk: boolean;
  readonly frames: readonly SegmentFrame[];
  readonly damage: readonly DamagedRange[];
  /** A valid seal stands there. */
  readonly sealed: boolean;
  /** Behind the last valid frame. */
  readonly end: number;
  /** What stands behind `end`: nothing, zeros that were allocated ahead, or a torn tail with its length without trailing zeros. */
  readonly tail: { readonly kind: 'none' | 'allocated' | 'torn'; readonly bytes: number };
  /** Frames whose stamp is not above the one before. */
  readonly disorder: readonly SegmentFrame[];
}

/** @param id the segment's text, and for an object of it also `/<k:08>` */
export function dissectSegment(bytes: Buffer, id: string): SegmentAnatomy {
  return new Dissection(bytes, id).run();
}

/** The seal of a segment of objects, if it counts other batches than stand in the objects up to it, which are all there and whole. */
export function miscountedSeal({ frames }: SegmentAnatomy, batches: number): DamagedRange | undefined {
  const seal = frames.find(({ kind }) => kind === 'seal');
  if (seal === undefined || seal.count === batches) return undefined;
  return { start: seal.start, end: seal.end, what: `the seal counts ${seal.count} batches, but ${batches} are there` };
}

class Dissection {
  readonly #bytes: Buffer;
  readonly #seed: number;
  readonly #writer: string;
  /** An object that was published whole: anything wrong in it is damage. */
  readonly #isPart: boolean;
  readonly #frames: SegmentFrame[] = [];
  readonly #damage: DamagedRange[] = [];
  readonly #disorder: SegmentFrame[] = [];
  #sealed = false;
  #batches = 0;
  #lastTime = 0;
  #at = 0;

  constructor(bytes: Buffer, id: string) {
    const [segment = '', part] = id.split('/');
    this.#bytes = bytes;
    this.#seed = frameSeed(id);
    this.#writer = parseSegmentId(segment)?.writer ?? '';
    this.#isPart = part !== undefined;
  }

  run(): SegmentAnatomy {
    const headerOk = isSegmentHeader(this.#bytes, this.#seed);
    let goesOn = true;
    if (headerOk) this.#at = SEGMENT_HEADER_BYTES;
    else if (this.#bytes.length > 0 || this.#isPart) goesOn = this.#judge('the header is damaged');
    while (goesOn && !this.#sealed) goesOn = this.#step();
    return {
      headerOk,
      frames: this.#frames,
      damage: this.#damage,
      sealed: this.#sealed,
      end: this.#at,
      tail: this.#tail(),
      disorder: this.#disorder,
    };
  }

  /** Takes the next frame; false at the end. */
  #step(): boolean {
    const found = frameAt(this.#bytes, this.#at, { seed: this.#seed, base: 0 });
    if (found.state === 'frame') {
      this.#take(found.frame);
      return true;
    }
    if (this.#isPart && this.#at === SEGMENT_HEADER_BYTES && this.#at === this.#bytes.length)
      return this.#judge('no frame follows the header');
    if (found.state === 'end' && usedBytes(this.#bytes, this.#at) === 0 && (!this.#isPart || this.#at >= this.#bytes.length)) return false;
    return this.#judge(found.state === 'end' ? 'zeros stand where a frame was' : 'a frame is damaged');
  }

  #take(frame: Frame): void {
    const { start, end, groupStart, time } = frame;
    this.#at = end;
    const whole = { start, end, groupStart, time };
    try {
      if (frame.kind === FRAME_SEAL) {
        const count = new ByteReader(frame.payload).varint();
        this.#frames.push({ ...whole, kind: 'seal', entries: [], count });
        this.#sealed = true;
        if (!this.#isPart) this.#checkSeal(start, count);
        return;
      }
      const stamp: Stamp = { time, writer: this.#writer, sub: 0 };
      const entries: Entry[] = [];
      decodeBatch(frame.payload, stamp, (entry) => entries.push(entry));
      const batch: SegmentFrame = { ...whole, kind: 'batch', entries, count: undefined };
      this.#frames.push(batch);
      if (time <= this.#lastTime) this.#disorder.push(batch);
      this.#lastTime = time;
      this.#batches++;
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#damage.push({ start: start + FRAME_HEADER_BYTES, end, what: `its checksum is right, but it does not parse: ${error.message}` });
    }
  }

  #checkSeal(start: number, count: number): void {
    if (count !== this.#batches && this.#damage.length === 0) {
      this.#damage.push({ start, end: this.#at, what: `the seal counts ${count} batches, but ${this.#batches} stand before it` });
    }
  }

  /** Bad bytes at the current place: steps over damage (true), or stops before a torn tail, or at the end. */
  #judge(what: string): boolean {
    const bytes = this.#bytes;
    const file = { seed: this.#seed, base: 0 };
    if (!this.#isPart && findLaterGroup(bytes, this.#at, file) === undefined && !hasSealBehind(bytes, this.#at, file)) return false;
    const next = findNextFrame(bytes, this.#at + 1, file);
    const end = next?.start ?? bytes.length;
    this.#damage.push({ start: this.#at, end, what });
    this.#at = end;
    return next !== undefined;
  }

  #tail(): SegmentAnatomy['tail'] {
    const left = this.#bytes.length - this.#at;
    if (left <= 0) return { kind: 'none', bytes: 0 };
    const used = usedBytes(this.#bytes, this.#at);
    // Nothing is allocated ahead in an object, so zeros are damage, too.
    if (used === 0 && !this.#isPart) return { kind: 'allocated', bytes: left };
    if (!this.#sealed) return { kind: 'torn', bytes: used };
    this.#damage.push({ start: this.#at, end: this.#isPart ? this.#bytes.length : this.#at + used, what: 'bytes follow the seal' });
    return { kind: 'none', bytes: 0 };
  }
}

function hasSealBehind(bytes: Buffer, at: number, file: { seed: number; base: number }): boolean {
  let next = findNextFrame(bytes, at + 1, file);
  while (next !== undefined && next.kind !== FRAME_SEAL) next = findNextFrame(bytes, next.end, file);
  return next !== undefined;
}

/** How many bytes stand from `from` on, without the zeros at the end. */
function usedBytes(bytes: Buffer, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end--;
  return Math.max(0, end - from);
}
