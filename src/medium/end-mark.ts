/** How an append-only file ends: with its last byte, or in zeros that were allocated ahead, of which there are at least eight (`AppendFile`). */

export const END_MARK_BYTES = 8;

/** @param next what stands where the end may be: eight bytes, or fewer if the file has no more */
export function isEnd(next: Uint8Array): boolean {
  if (next.length === 0) return true;
  if (next.length < END_MARK_BYTES) return false;
  for (let i = 0; i < END_MARK_BYTES; i++) if (next[i] !== 0) return false;
  return true;
}
