/**
 * Rule A6: what became of a frame, judged by a newest root that was read after the frame was written.
 */

import type { SegmentId } from '../format/layout.ts';
import type { Root } from '../format/root.ts';

export type Fate =
  /** It takes effect, once. */
  | 'acknowledged'
  /** A drain is under way that may or may not take it in: look again. */
  | 'wait'
  /** It may have taken effect; it must never be tried again. */
  | 'unknown'
  /** It never takes effect: append again, with a fresh stamp, in a new segment. */
  | 'dead';

/** @param end what `absorbed` must reach to cover the frame */
export function fateOf(root: Root, segment: { id: SegmentId; text: string; end: number }): Fate {
  const absorbed = root.absorbed.get(segment.text);
  if (absorbed !== undefined && absorbed.offset >= segment.end) return 'acknowledged';
  const opened = segment.id.root;
  if (opened >= Math.max(root.horizon, root.drain)) return 'acknowledged';
  if (opened >= root.horizon) return 'wait';
  return absorbed === undefined && opened < root.forgot ? 'unknown' : 'dead';
}
