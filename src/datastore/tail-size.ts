/** How much of a log no root has absorbed, from one listing. */
import { type Root, serialThrough } from '../format/root.ts';
import type { ListedSegment, LogListing } from '../log/log-listing.ts';

export interface TailSize {
  readonly segments: number;
  readonly records: number;
  readonly bytes: number;
}

/** `medium/file-append.ts` allocates no more. */
const ALLOCATED_AHEAD_BYTES = 1024 * 1024;

/** @param listing with sizes. @param root undefined: all of the log counts */
export function tailSize(listing: LogListing, root?: Root): TailSize {
  let segments = 0;
  let records = 0;
  let bytes = 0;
  for (const segment of listing.segments.values()) {
    const left = root === undefined ? segment.size : bytesLeft(segment, root);
    if (root !== undefined && left <= 0) continue;
    segments++;
    bytes += left;
  }
  for (const [stripe, listed] of listing.records) {
    for (const { number, size } of listed) {
      if (root !== undefined && number <= serialThrough(root, stripe)) continue;
      records++;
      bytes += size;
    }
  }
  return { segments, records, bytes: Math.round(bytes) };
}

function bytesLeft({ text, id, size, parts }: ListedSegment, root: Root): number {
  const absorbed = root.absorbed.get(text);
  if (id.root < root.horizon || absorbed?.sealed === true) return 0;
  if (parts !== undefined) return (size * parts.filter((part) => part >= (absorbed?.offset ?? 0)).length) / parts.length;
  // Of a segment that is being written, up to this much may be zeros allocated ahead.
  return absorbed === undefined ? size : size - absorbed.offset - ALLOCATED_AHEAD_BYTES;
}
