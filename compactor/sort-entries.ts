/**
 * Sorts entries by key without holding up the event loop: runs of a few thousand are sorted at once, then merged in
 * pairs. Where one run already ends before the next begins, as in a bulk load, merging them only puts them together.
 */
import type { Entry } from '../src/format/entry.ts';
import type { Pacer } from './pace.ts';

const RUN = 4096;

/** Keys are distinct. Does not keep `entries`. */
export async function sortEntries(entries: readonly Entry[], pacer: Pacer): Promise<Entry[]> {
  let runs: Entry[][] = [];
  for (let i = 0; i < entries.length; i += RUN) {
    runs.push(entries.slice(i, i + RUN).sort((a, b) => (a.key < b.key ? -1 : 1)));
    await pacer.rest();
  }
  while (runs.length > 1) {
    const merged: Entry[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(await mergePair(runs[i] as Entry[], runs[i + 1] ?? [], pacer));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function mergePair(a: Entry[], b: Entry[], pacer: Pacer): Promise<Entry[]> {
  const [first, last] = [b[0], a.at(-1)];
  if (first === undefined) return a;
  if (last !== undefined && last.key < first.key) return a.concat(b);
  const merged = new Array<Entry>(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let at = 0; at < merged.length; at++) {
    const left = a[i];
    const right = b[j];
    if (right === undefined || (left !== undefined && left.key < right.key)) {
      merged[at] = left as Entry;
      i++;
    } else {
      merged[at] = right;
      j++;
    }
    if (pacer.step()) await pacer.rest();
  }
  return merged;
}
