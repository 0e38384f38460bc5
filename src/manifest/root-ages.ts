/**
 * How old a root is, seen from the newest one: the sum, over the roots since, of the gaps between the medium's
 * timestamps, where a gap counts at most a minute and a negative one nothing ("Shortcuts" in the design).
 *
 * No clock is read, and one that jumps by a year ages a root by a minute. The time since the newest root counts
 * nothing, so in an idle store nothing ages: that is why the compactor publishes housekeeping roots while garbage waits.
 */
import { type NamespaceLayout, parseRootName } from '../format/layout.ts';
import type { ListedObject } from '../medium/medium.ts';

/** What a gap between two roots counts at most. */
export const ROOT_GAP_MAX_MS = 60_000;

export interface DatedRoot {
  readonly number: number;
  /** By the medium's clock. */
  readonly modifiedMs: number;
}

/** The roots in a listing that was made with `stats`, ascending. */
export function datedRoots(layout: NamespaceLayout, objects: readonly ListedObject[]): DatedRoot[] {
  const roots: DatedRoot[] = [];
  for (const { name, modifiedMs = Number.NaN } of objects) {
    const number = parseRootName(layout, name);
    if (number !== undefined) roots.push({ number, modifiedMs });
  }
  return roots.sort((a, b) => a.number - b.number);
}

export interface AgedRoot {
  readonly number: number;
  readonly ageMs: number;
}

/** The listed roots with their ages, ascending. Where numbers are missing, the gap over them counts once. */
export function rootAges(roots: readonly DatedRoot[]): AgedRoot[] {
  const aged: AgedRoot[] = [];
  let ageMs = 0;
  let next: DatedRoot | undefined;
  for (const root of roots.toReversed()) {
    // A time that the medium did not tell is no number, and counts nothing.
    const gap = next === undefined ? 0 : next.modifiedMs - root.modifiedMs;
    if (gap > 0) ageMs += Math.min(gap, ROOT_GAP_MAX_MS);
    aged.push({ number: root.number, ageMs });
    next = root;
  }
  return aged.reverse();
}

/** The age of a root that need not be listed any more: at least that of the next one that is. 0 above the newest. */
export function ageOf(ages: readonly AgedRoot[], number: number): number {
  return ages.find((root) => root.number >= number)?.ageMs ?? 0;
}

/** The newest listed root of at least this age. */
export function newestAged(ages: readonly AgedRoot[], ageMs: number): number | undefined {
  return ages.findLast((root) => root.ageMs >= ageMs)?.number;
}
