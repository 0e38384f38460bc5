/**
 * Merges ascending (or descending) runs of entries into one that has each key once, with its newest stamp.
 *
 * The sources are kept in the order of the entries that they stand at; of one key, the newest first. So the
 * next entry is always the first source's, and moving that source usually costs one comparison: it stays in
 * front. Otherwise its new place is found by halving.
 *
 * Sources stand in memory for most of their entries and need I/O once a block. `advance` says which it is by
 * what it returns, and `next` passes that on: there is a promise a block, not one an entry.
 */
import { compareStamps } from '../base/stamp.ts';
import type { Entry } from './entry.ts';

/** A run of entries with strictly ascending keys, or descending where the merge is reversed. */
export interface EntrySource {
  /** The entry it stands at; undefined behind the last one. */
  readonly current: Entry | undefined;
  /** Goes to the next entry. Returns a promise only if that must be waited for; `current` counts once it is fulfilled. */
  advance(): void | Promise<void>;
}

/** A sorted array as a source. */
export class ArraySource implements EntrySource {
  readonly #entries: readonly Entry[];
  readonly #step: number;
  #at: number;
  current: Entry | undefined;

  /** The entries ascend; `reverse` reads them from the last to the first. */
  constructor(entries: readonly Entry[], options: { reverse?: boolean } = {}) {
    this.#entries = entries;
    this.#step = options.reverse === true ? -1 : 1;
    this.#at = options.reverse === true ? entries.length - 1 : 0;
    this.current = entries[this.#at];
  }

  advance(): void {
    this.#at += this.#step;
    this.current = this.#entries[this.#at];
  }
}

export interface MergeOptions {
  /** The sources descend, and so does the result. Default: false. */
  readonly reverse?: boolean;
  /** Told of each entry that a newer one of its key replaced, or that was there twice. */
  readonly onSuperseded?: ((loser: Entry, winner: Entry) => void) | undefined;
}

/** A source and the entry that it stands at. */
interface Lane {
  readonly source: EntrySource;
  /** Its place among the sources, which decides between the same write twice. */
  readonly order: number;
  head: Entry;
}

/**
 * One reader at a time: `next` is called again when what it returned, if a promise, is settled. Where a
 * source fails, `next` fails, and may be called again to try once more.
 */
export class NewestMerge {
  /** In the order of their heads. */
  readonly #lanes: Lane[] = [];
  readonly #reverse: boolean;
  readonly #onSuperseded: MergeOptions['onSuperseded'];
  /** What `next` returned last; the first lane still stands at it, or at a superseded entry of the same key. */
  #last: Entry | undefined;
  #superseded = 0;

  /** Each source already stands at its first entry. Of two entries with one stamp, which are the same write, that of the earlier source is kept. */
  constructor(sources: Iterable<EntrySource>, options: MergeOptions = {}) {
    this.#reverse = options.reverse ?? false;
    this.#onSuperseded = options.onSuperseded;
    let order = 0;
    for (const source of sources) {
      if (source.current !== undefined) this.#lanes.push({ source, order, head: source.current });
      order++;
    }
    this.#lanes.sort((a, b) => (this.#isBefore(a, b) ? -1 : 1));
  }

  /** How many entries were left out so far because a newer, or the same, was there; complete when `next` has returned undefined. */
  get superseded(): number {
    return this.#superseded;
  }

  /** The next entry; undefined after the last one. Nothing is read ahead of it. */
  next(): Entry | undefined | Promise<Entry | undefined> {
    const first = this.#lanes[0];
    if (first !== undefined && this.#last !== undefined) {
      const moved = first.source.advance();
      if (moved !== undefined) return this.#settleAfter(moved);
    }
    return this.#settle();
  }

  async #settleAfter(moved: Promise<void>): Promise<Entry | undefined> {
    await moved;
    return this.#settle();
  }

  /** The first source has moved: orders the lanes anew, and passes over what the last entry superseded. */
  #settle(): Entry | undefined | Promise<Entry | undefined> {
    const last = this.#last;
    for (;;) {
      const before = this.#lanes[0];
      if (before === undefined) return undefined;
      this.#refreshFirst(before);
      const first = this.#lanes[0];
      if (first === undefined) return undefined;
      // A source never has a key twice, so one that stays in front needs no look at its key.
      if (first === before || last === undefined || first.head.key !== last.key) {
        this.#last = first.head;
        return first.head;
      }
      this.#superseded++;
      this.#onSuperseded?.(first.head, last);
      const moved = first.source.advance();
      if (moved !== undefined) return this.#settleAfter(moved);
    }
  }

  #refreshFirst(lane: Lane): void {
    const head = lane.source.current;
    if (head === undefined) {
      this.#lanes.shift();
    } else {
      lane.head = head;
      this.#replaceFirst();
    }
  }

  /** The first lane goes to where its head belongs; the others are in order. */
  #replaceFirst(): void {
    const lanes = this.#lanes;
    const lane = lanes[0] as Lane;
    if (lanes.length === 1 || !this.#isBefore(lanes[1] as Lane, lane)) return;
    let low = 2;
    let high = lanes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(lanes[middle] as Lane, lane)) low = middle + 1;
      else high = middle;
    }
    for (let i = 1; i < low; i++) lanes[i - 1] = lanes[i] as Lane;
    lanes[low - 1] = lane;
  }

  #isBefore(lane: Lane, other: Lane): boolean {
    const a = lane.head;
    const b = other.head;
    if (a.key !== b.key) return a.key < b.key !== this.#reverse;
    const order = compareStamps(a.stamp, b.stamp);
    return order === 0 ? lane.order < other.order : order > 0;
  }
}
