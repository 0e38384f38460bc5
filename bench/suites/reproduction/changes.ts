/** What each of the syncs at once changes: entries of its own, so that none is in another's way but for where they are kept. */
import type { Entry } from '../../peers/peer.ts';
import { entryMaker } from '../../workload.ts';

export const COMMITS = 20;
export const ENTRIES_A_COMMIT = 10;
export const REMOVED = 7;

interface Syncs {
  readonly seed: number;
  /** In the index before. */
  readonly entries: number;
  readonly processes: number;
}

interface Changes {
  /** New versions of models. */
  readonly put: readonly Entry[];
  /** Keys of stale entries that are in the index. */
  readonly removed: readonly string[];
}

/** Of the sync with this index. */
export function changesOf({ seed, entries, processes, index }: Syncs & { readonly index: number }): Changes {
  const entryAt = entryMaker({ seed });
  const put = Array.from({ length: COMMITS * ENTRIES_A_COMMIT }, (_, i) => entryAt(entries + index + i * processes));
  const removed: string[] = [];
  for (let i = index; i < entries && removed.length < REMOVED; i += processes) {
    const { key, value } = entryAt(i);
    if (value.isStale) removed.push(key);
  }
  // An empty index has nothing to remove; the commit is made all the same.
  return { put, removed: removed.length > 0 ? removed : ['none'] };
}

/** How many syncs are there as a whole in an index that has these keys. */
export function keptSyncs(keys: ReadonlySet<string>, syncs: Syncs): number {
  const changes = Array.from({ length: syncs.processes }, (_, index) => changesOf({ ...syncs, index }));
  return changes.filter(({ put, removed }) => put.every(({ key }) => keys.has(key)) && !removed.some((key) => keys.has(key))).length;
}
