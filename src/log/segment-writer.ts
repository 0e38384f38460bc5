/**
 * Writes one segment: groups of batches, then a seal.
 *
 * Order of the steps of a group: write (others can read it) → sync (it survives a power cut) → the caller's post-check →
 * acknowledgement. After a failed write or sync nothing more is written (rule A15): what was written since the last good sync
 * may or may not be there. Nothing follows a seal (rule A8).
 */
import { ByteWriter } from '../base/bytes.ts';
import { assert, isPeatError, PeatError } from '../base/errors.ts';
import {
  encodeSegmentHeader,
  FRAME_BATCH,
  FRAME_HEADER_BYTES,
  FRAME_SEAL,
  type FrameKind,
  frameSeed,
  SEGMENT_HEADER_BYTES,
  writeFrame,
} from '../format/frame.ts';
import { type NamespaceLayout, type SegmentId, segmentIdText, segmentPartName } from '../format/layout.ts';
import type { AppendFile, Medium } from '../medium/medium.ts';
import { requireBlocking } from '../medium/steps.ts';

/** A batch that is ready to be written. */
export interface StampedPayload {
  readonly time: number;
  readonly payload: Uint8Array;
}

export interface SegmentWriter {
  readonly id: SegmentId;
  /** Bytes written. */
  readonly bytes: number;
  readonly failed: boolean;
  /** Writes a group, and makes it durable if `durable`. Returns for each batch what `absorbed` must reach to cover it. */
  append(group: readonly StampedPayload[], durable: boolean): Promise<number[]>;
  appendBlocking(group: readonly StampedPayload[], durable: boolean): number[];
  /** Writes the seal, after the last batch's post-check, and closes. Without any batch it only closes. */
  seal(): Promise<void>;
  /** Closes without a seal: the segment ends when a horizon passes it. */
  abandon(): void;
}

export function openSegmentWriter(medium: Medium, layout: NamespaceLayout, id: SegmentId): SegmentWriter {
  return medium.canAppend ? new AppendedSegmentWriter(medium, layout, id) : new FramedSegmentWriter(medium, layout, id);
}

function sealPayload(frames: number): Uint8Array {
  const writer = new ByteWriter(8);
  writer.varint(frames);
  return writer.copy();
}

function groupBytes(group: readonly StampedPayload[]): number {
  return group.reduce((sum, { payload }) => sum + FRAME_HEADER_BYTES + payload.length, 0);
}

function refuseFailed(text: string): never {
  throw new PeatError('STORAGE', `segment ${text} failed and takes no more frames`, { file: text });
}

/** A segment in one file that grows. */
class AppendedSegmentWriter implements SegmentWriter {
  readonly id: SegmentId;
  bytes = 0;
  failed = false;
  readonly #medium: Medium;
  readonly #name: string;
  readonly #text: string;
  readonly #seed: number;
  #file: AppendFile | undefined;
  #frames = 0;
  /** End of what a returned sync is known to have covered: the start of the group that is being written. */
  #durableEnd = 0;
  #sealed = false;

  constructor(medium: Medium, layout: NamespaceLayout, id: SegmentId) {
    this.id = id;
    this.#medium = medium;
    this.#text = segmentIdText(id);
    this.#name = layout.log + this.#text;
    this.#seed = frameSeed(this.#text);
  }

  async append(group: readonly StampedPayload[], durable: boolean): Promise<number[]> {
    // Where creating a file can block, it does, so that a blocking append never meets one half way.
    this.#file ??= this.#medium.blocking?.openAppend(this.#name) ?? (await this.#medium.openAppend(this.#name));
    const file = this.#file;
    const ends = this.#write(file, group, FRAME_BATCH);
    if (durable) {
      const end = this.bytes;
      try {
        await file.sync();
      } catch (error) {
        this.failed = true;
        throw error;
      }
      this.#durableEnd = Math.max(this.#durableEnd, end);
    }
    return ends;
  }

  appendBlocking(group: readonly StampedPayload[], durable: boolean): number[] {
    this.#file ??= requireBlocking(this.#medium).openAppend(this.#name);
    const ends = this.#write(this.#file, group, FRAME_BATCH);
    if (durable) {
      try {
        this.#file.syncBlocking();
      } catch (error) {
        this.failed = true;
        throw error;
      }
      this.#durableEnd = this.bytes;
    }
    return ends;
  }

  #write(file: AppendFile, group: readonly StampedPayload[], kind: FrameKind): number[] {
    if (this.failed) refuseFailed(this.#text);
    assert(!this.#sealed, 'nothing is appended after a seal');
    const header = this.bytes === 0 ? encodeSegmentHeader(this.#seed) : undefined;
    const buffer = Buffer.allocUnsafe((header?.length ?? 0) + groupBytes(group));
    let at = header === undefined ? 0 : header.copy(buffer);
    const ends: number[] = [];
    for (const { time, payload } of group) {
      at = writeFrame(buffer, at, { seed: this.#seed, groupStart: this.#durableEnd, kind, time, payload });
      ends.push(this.bytes + at);
    }
    try {
      file.write(buffer);
    } catch (error) {
      this.failed = true;
      throw error;
    }
    this.bytes += at;
    if (kind === FRAME_BATCH) this.#frames += group.length;
    return ends;
  }

  async seal(): Promise<void> {
    const file = this.#file;
    if (file === undefined || this.#sealed) return;
    try {
      // Not synced: if a power cut takes the seal, the segment just ends when a horizon passes it.
      if (!this.failed) this.#write(file, [{ time: 0, payload: sealPayload(this.#frames) }], FRAME_SEAL);
    } finally {
      this.#sealed = true;
      file.close();
    }
  }

  abandon(): void {
    this.#sealed = true;
    this.#file?.close();
  }
}

/** Any other error of a medium says that the object was not created. */
function mayHavePut(error: unknown): boolean {
  return !isPeatError(error) || error.code === 'OUTCOME_UNKNOWN';
}

/**
 * A segment as a folder of objects, one a group, put one after the other.
 *
 * Each is put durably, the seal, too, and whatever durability the writer was asked for: readers take an object for whole, so one
 * that a power cut tore would be damage, not a tear.
 */
class FramedSegmentWriter implements SegmentWriter {
  readonly id: SegmentId;
  bytes = 0;
  failed = false;
  readonly #medium: Medium;
  readonly #layout: NamespaceLayout;
  readonly #text: string;
  #parts = 0;
  #frames = 0;
  #sealed = false;

  constructor(medium: Medium, layout: NamespaceLayout, id: SegmentId) {
    this.id = id;
    this.#medium = medium;
    this.#layout = layout;
    this.#text = segmentIdText(id);
  }

  async append(group: readonly StampedPayload[]): Promise<number[]> {
    const { name, bytes } = this.#part(group, FRAME_BATCH);
    try {
      return this.#published(await this.#medium.putIfAbsent(name, bytes), group, bytes.length);
    } catch (error) {
      this.failed = mayHavePut(error);
      throw error;
    }
  }

  appendBlocking(group: readonly StampedPayload[]): number[] {
    const { name, bytes } = this.#part(group, FRAME_BATCH);
    try {
      return this.#published(requireBlocking(this.#medium).putIfAbsent(name, bytes), group, bytes.length);
    } catch (error) {
      this.failed = mayHavePut(error);
      throw error;
    }
  }

  #part(group: readonly StampedPayload[], kind: FrameKind): { name: string; bytes: Buffer } {
    if (this.failed) refuseFailed(this.#text);
    assert(!this.#sealed, 'nothing is appended after a seal');
    const part = segmentPartName(this.#text, this.#parts);
    const seed = frameSeed(part);
    const bytes = Buffer.allocUnsafe(SEGMENT_HEADER_BYTES + groupBytes(group));
    let at = encodeSegmentHeader(seed).copy(bytes);
    for (const { time, payload } of group) at = writeFrame(bytes, at, { seed, groupStart: 0, kind, time, payload });
    return { name: this.#layout.log + part, bytes };
  }

  #published(mine: boolean, group: readonly StampedPayload[], bytes: number): number[] {
    if (!mine) throw new PeatError('STORAGE', `another writer's object stands in segment ${this.#text}`, { file: this.#text });
    this.#parts++;
    this.#frames += group.length;
    this.bytes += bytes;
    return group.map(() => this.#parts);
  }

  async seal(): Promise<void> {
    if (this.#sealed) return;
    try {
      if (this.#parts > 0 && !this.failed) {
        const { name, bytes } = this.#part([{ time: 0, payload: sealPayload(this.#frames) }], FRAME_SEAL);
        await this.#medium.putIfAbsent(name, bytes);
      }
    } finally {
      this.#sealed = true;
    }
  }

  abandon(): void {
    this.#sealed = true;
  }
}
