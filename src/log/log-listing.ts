/** What stands in the log of a namespace, from one listing: the segments of writers, and the records of stripes. */
import { type NamespaceLayout, parseRecordText, parseSegmentId, type SegmentId } from '../format/layout.ts';
import type { ListedObject } from '../medium/medium.ts';
import { listSteps, type Steps } from '../medium/steps.ts';

export interface ListedSegment {
  /** `<R>-<writer>-<n>`. */
  readonly text: string;
  readonly id: SegmentId;
  /** On media without append: numbers of the objects that are there, ascending. Undefined for an appended segment. */
  readonly parts: number[] | undefined;
  /** Bytes, if sizes were asked for. */
  size: number;
}

export interface ListedRecord {
  readonly number: number;
  /** Bytes, and the medium's time, if they were asked for. */
  readonly size: number;
  readonly modifiedMs: number | undefined;
}

export interface LogListing {
  /** By their text, in the order of their names. */
  readonly segments: ReadonlyMap<string, ListedSegment>;
  /** The records of each stripe, ascending. */
  readonly records: ReadonlyMap<number, readonly ListedRecord[]>;
}

const PART = /^\d{8,9}$/;

export function* listLog(layout: NamespaceLayout, options: { stats?: boolean } = {}): Steps<LogListing> {
  return parseLogListing(layout, yield* listSteps(layout.log, options));
}

/** What a listing of the log's folder says. */
export function parseLogListing(layout: NamespaceLayout, objects: readonly ListedObject[]): LogListing {
  const segments = new Map<string, ListedSegment>();
  const records = new Map<number, ListedRecord[]>();
  for (const { name, size = 0, modifiedMs } of objects) {
    const rest = name.slice(layout.log.length);
    const record = parseRecordText(rest);
    if (record !== undefined) {
      const { stripe, number } = record;
      const listed = records.get(stripe);
      if (listed === undefined) records.set(stripe, [{ number, size, modifiedMs }]);
      else listed.push({ number, size, modifiedMs });
      continue;
    }
    const [text = '', part] = rest.split('/');
    const known = segments.get(text);
    if (known !== undefined && part !== undefined && PART.test(part)) {
      known.parts?.push(Number(part));
      known.size += size;
      continue;
    }
    const id = parseSegmentId(text);
    if (id === undefined || (part !== undefined && !PART.test(part))) continue;
    segments.set(text, { text, id, parts: part === undefined ? undefined : [Number(part)], size });
  }
  return { segments, records };
}

/** Of a longer gap only the first objects are looked for: a file that someone named like a far later object is no reason to ask for millions. */
const GAP_MAX = 1000;

/**
 * The objects of a segment from `from` on, and those below it that are listed. One that was not listed, although later ones were, may have come
 * while the listing was made, so it is to be looked for.
 */
export function partsWithGaps(listed: readonly number[], from: number): number[] {
  const parts: number[] = [];
  let next = from;
  for (const part of listed) {
    for (let missing = Math.max(next, 0); missing < part && missing < next + GAP_MAX; missing++) parts.push(missing);
    parts.push(part);
    next = Math.max(next, part + 1);
  }
  return parts;
}
