/** What stands in the log of a namespace: its segments, from one listing. */
import { type NamespaceLayout, parseSegmentId, type SegmentId } from '../format/layout.ts';
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

/** Segments by their text, in the order of their names. Anything else in the log (records of stripes) is left out. */
export type LogListing = Map<string, ListedSegment>;

const PART = /^\d{8,9}$/;

export function* listLog(layout: NamespaceLayout, options: { stats?: boolean } = {}): Steps<LogListing> {
  return parseListing(layout, yield* listSteps(layout.log, options));
}

function parseListing(layout: NamespaceLayout, objects: readonly ListedObject[]): LogListing {
  const segments: LogListing = new Map();
  for (const { name, size = 0 } of objects) {
    const [text = '', part] = name.slice(layout.log.length).split('/');
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
  return segments;
}
