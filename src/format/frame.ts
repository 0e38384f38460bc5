/**
 * Segments as bytes: a header and frames, each with a checksum that is seeded with the segment's name, so that a
 * frame is valid only where it was written.
 *
 * `groupStart` tells a torn tail from damage. Frames that were written before a sync returned may reach the
 * disk in part, or in any order; what was written after it can't be there without them. So each frame says up
 * to where everything was durable when it was written, and a valid frame whose `groupStart` lies beyond bad
 * bytes proves that those bytes were once good.
 */
import { readU64, writeU64 } from '../base/bytes.ts';
import { BATCH_BYTES_MAX } from './batch.ts';
import { crc32 } from './checksum.ts';

export const SEGMENT_HEADER_BYTES = 16;
export const FRAME_HEADER_BYTES = 24;
const MAGIC = Buffer.from('PEATLOG1', 'latin1');

export const FRAME_BATCH = 1;
export const FRAME_SEAL = 2;
export type FrameKind = typeof FRAME_BATCH | typeof FRAME_SEAL;

export interface Frame {
  readonly kind: FrameKind;
  /** Where the frame begins, and the first byte after it. */
  readonly start: number;
  readonly end: number;
  readonly groupStart: number;
  /** Time of the batch's stamp; 0 in a seal. */
  readonly time: number;
  /** A view into the buffer that was parsed. */
  readonly payload: Buffer;
}

/** The checksum seed of a segment, or of one object of it. */
export function frameSeed(segment: string): number {
  return crc32(Buffer.from(segment, 'latin1'));
}

export function encodeSegmentHeader(seed: number): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(crc32(header.subarray(0, 12), seed), 12);
  return header;
}

export function isSegmentHeader(bytes: Buffer, seed: number): boolean {
  return bytes.length >= SEGMENT_HEADER_BYTES && encodeSegmentHeader(seed).equals(bytes.subarray(0, SEGMENT_HEADER_BYTES));
}

/** Writes a frame's header and payload into `target` at `at`; returns the offset after it. */
export function writeFrame(
  target: Buffer,
  at: number,
  frame: { seed: number; groupStart: number; kind: FrameKind; time: number; payload: Uint8Array },
): number {
  const end = at + FRAME_HEADER_BYTES + frame.payload.length;
  target.writeUInt32LE(frame.payload.length, at + 4);
  target.writeUInt32LE(frame.groupStart, at + 8);
  target.writeUInt32LE(frame.kind, at + 12);
  writeU64(target, frame.time, at + 16);
  target.set(frame.payload, at + FRAME_HEADER_BYTES);
  target.writeUInt32LE(crc32(target.subarray(at + 4, end), frame.seed), at);
  return end;
}

/** What stands where a frame is expected. */
export type FrameAt =
  | { readonly state: 'frame'; readonly frame: Frame }
  /** Nothing: the bytes end here, or blocks allocated ahead begin. */
  | { readonly state: 'end' }
  /** The buffer ends before the frame does; `bytes` are needed from its start. */
  | { readonly state: 'short'; readonly bytes: number }
  | { readonly state: 'bad' };

/** Parses the frame at `at` of `buffer`; `base` is the offset of the buffer's first byte in its file. */
export function frameAt(buffer: Buffer, at: number, file: { seed: number; base: number }): FrameAt {
  const left = buffer.length - at;
  if (left <= 0) return { state: 'end' };
  if (left < FRAME_HEADER_BYTES)
    return isZero(buffer, at, Math.min(8, left)) ? { state: 'end' } : { state: 'short', bytes: FRAME_HEADER_BYTES };
  if (buffer.readUInt32LE(at) === 0 && buffer.readUInt32LE(at + 4) === 0) return { state: 'end' };
  const length = plausibleLength(buffer, at, file.base + at);
  if (length === undefined) return { state: 'bad' };
  const end = at + FRAME_HEADER_BYTES + length;
  if (end > buffer.length) return { state: 'short', bytes: end - at };
  if (crc32(buffer.subarray(at + 4, end), file.seed) !== buffer.readUInt32LE(at)) return { state: 'bad' };
  return {
    state: 'frame',
    frame: {
      kind: buffer.readUInt32LE(at + 12) as FrameKind,
      start: file.base + at,
      end: file.base + end,
      groupStart: buffer.readUInt32LE(at + 8),
      time: readU64(buffer, at + 16),
      payload: buffer.subarray(at + FRAME_HEADER_BYTES, end),
    },
  };
}

function isZero(buffer: Buffer, from: number, count: number): boolean {
  for (let i = from; i < from + count; i++) if (buffer[i] !== 0) return false;
  return true;
}

/** The payload's length if the fields of a header at `at` can be a frame's, before its checksum is looked at. */
function plausibleLength(buffer: Buffer, at: number, offset: number): number | undefined {
  const kind = buffer.readUInt32LE(at + 12);
  if (kind !== FRAME_BATCH && kind !== FRAME_SEAL) return undefined;
  const length = buffer.readUInt32LE(at + 4);
  if (length === 0 || length > BATCH_BYTES_MAX) return undefined;
  return buffer.readUInt32LE(at + 8) <= offset ? length : undefined;
}

/**
 * Looks beyond bad bytes, at `at` of `buffer`, for a valid frame of a later group. It proves that the bad bytes were
 * durable once, that is, damage. Undefined means a torn tail.
 */
export function findLaterGroup(buffer: Buffer, at: number, file: { seed: number; base: number }): Frame | undefined {
  return findFrame(buffer, at + 1, { ...file, groupAfter: file.base + at });
}

/** The next valid frame at or after `at`, of any group: what `repair` can save behind damage. */
export function findNextFrame(buffer: Buffer, at: number, file: { seed: number; base: number }): Frame | undefined {
  return findFrame(buffer, at, { ...file, groupAfter: -1 });
}

/** Whether a valid seal stands anywhere behind the start of `buffer`. */
export function hasSeal(buffer: Buffer, file: { seed: number; base: number }): boolean {
  for (let from = 1; ; ) {
    const frame = findFrame(buffer, from, { ...file, groupAfter: -1 });
    if (frame === undefined) return false;
    if (frame.kind === FRAME_SEAL) return true;
    from = frame.end - file.base;
  }
}

function findFrame(buffer: Buffer, from: number, file: { seed: number; base: number; groupAfter: number }): Frame | undefined {
  for (let at = from; at + FRAME_HEADER_BYTES < buffer.length; at++) {
    // The kind is one byte among twelve that are mostly zero: a cheap sieve before the checksum.
    if (buffer[at + 13] !== 0 || buffer[at + 14] !== 0 || buffer[at + 15] !== 0) continue;
    const kind = buffer[at + 12];
    if (kind !== FRAME_BATCH && kind !== FRAME_SEAL) continue;
    if (buffer.readUInt32LE(at + 8) <= file.groupAfter) continue;
    const found = frameAt(buffer, at, file);
    if (found.state === 'frame') return found.frame;
  }
  return undefined;
}
