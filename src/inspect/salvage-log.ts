/**
 * Reads past damage in the log: all frames that can be read beyond what a root has absorbed, in segments that are damaged. The next root
 * absorbs them, and with them the damage; what is behind it is read on as usual. Torn tails are left alone.
 *
 * Rule A7 lets a seal count only with every frame before it. Here the frames in the damage are given up, and counted as absorbed, so the seal
 * behind them counts: the segment goes like any other, and its copy stays in quarantine.
 */

import type { System } from '../base/system.ts';
import { type NamespaceLayout, segmentPartName } from '../format/layout.ts';
import type { Absorbed, Root } from '../format/root.ts';
import { type ListedSegment, listLog, partsWithGaps } from '../log/log-listing.ts';
import type { Medium } from '../medium/medium.ts';
import { runAsync } from '../medium/steps.ts';
import { dissectSegment, miscountedSeal, type SegmentAnatomy, type SegmentFrame } from './segment-anatomy.ts';

export interface SalvagedSegment {
  readonly segment: ListedSegment;
  /** Names of the damaged files: the segment, or objects of it. */
  readonly files: readonly string[];
  readonly absorbed: Absorbed;
  /** Batches to take in. */
  readonly frames: readonly SegmentFrame[];
  readonly damage: readonly { readonly file: string; readonly offset: number; readonly bytes: number; readonly what: string }[];
}

export interface LogContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  readonly signal?: AbortSignal | undefined;
}

/** The segments that are damaged beyond what `root`, which was read before, has absorbed. */
export async function salvageLog(context: LogContext, root: Root): Promise<SalvagedSegment[]> {
  const salvaged: SalvagedSegment[] = [];
  for (const segment of (await runAsync(listLog(context.layout), context)).segments.values()) {
    const absorbed = root.absorbed.get(segment.text);
    if (segment.id.root < root.horizon || absorbed?.sealed === true) continue;
    const from = absorbed?.offset ?? 0;
    const found =
      segment.parts === undefined
        ? await salvageFile(context, segment, from)
        : await salvageParts(context, segment, { from, listed: segment.parts.filter((part) => part >= from) });
    if (found !== undefined) salvaged.push(found);
  }
  return salvaged;
}

async function salvageFile({ medium, layout }: LogContext, segment: ListedSegment, from: number): Promise<SalvagedSegment | undefined> {
  const file = layout.log + segment.text;
  let anatomy: SegmentAnatomy | undefined;
  // A writer may have been writing what looked like damage the first time.
  for (let look = 0; look < 2; look++) {
    const bytes = await medium.get(file);
    if (bytes === undefined) return undefined;
    anatomy = dissectSegment(bytes, segment.text);
    if (!anatomy.damage.some(({ end }) => end > from)) return undefined;
  }
  if (anatomy === undefined) return undefined;
  const { frames, damage, end, sealed } = anatomy;
  return {
    segment,
    files: [file],
    absorbed: { offset: end, sealed },
    frames: frames.filter((frame) => frame.kind === 'batch' && frame.end > from),
    damage: damage
      .filter((range) => range.end > from)
      .map(({ start, end: to, what }) => ({ file, offset: start, bytes: to - start, what })),
  };
}

async function salvageParts(
  { medium, layout }: LogContext,
  segment: ListedSegment,
  { from, listed }: { from: number; listed: readonly number[] },
): Promise<SalvagedSegment | undefined> {
  const frames: SegmentFrame[] = [];
  const damage: SalvagedSegment['damage'][number][] = [];
  let sealed = false;
  let isWithoutGaps = true;
  const isListed = new Set(listed);
  for (const part of partsWithGaps(listed, from)) {
    const id = segmentPartName(segment.text, part);
    const file = layout.log + id;
    const bytes = await medium.get(file);
    // Absorbed and deleted since it was listed.
    if (bytes === undefined && isListed.has(part)) return undefined;
    if (bytes === undefined) {
      isWithoutGaps = false;
      damage.push({ file, offset: 0, bytes: 0, what: 'this object is missing before later ones' });
      continue;
    }
    const anatomy = dissectSegment(bytes, id);
    for (const frame of anatomy.frames) if (frame.kind === 'batch') frames.push(frame);
    const isCountable = isWithoutGaps && from === 0 && damage.length === 0 && anatomy.damage.length === 0;
    const miscounted = isCountable ? miscountedSeal(anatomy, frames.length) : undefined;
    for (const { start, end, what } of miscounted === undefined ? anatomy.damage : [miscounted])
      damage.push({ file, offset: start, bytes: end - start, what });
    sealed ||= anatomy.sealed;
  }
  if (damage.length === 0) return undefined;
  const files = [...new Set(damage.map(({ file }) => file))];
  return { segment, files, absorbed: { offset: (listed.at(-1) ?? -1) + 1, sealed: sealed && isWithoutGaps }, frames, damage };
}
