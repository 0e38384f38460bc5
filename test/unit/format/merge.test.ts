import { describe, expect, it } from 'vitest';
import type { Key } from '../../../src/base/key.ts';
import { compareStamps } from '../../../src/base/stamp.ts';
import type { Entry } from '../../../src/format/entry.ts';
import { ArraySource, type EntrySource, NewestMerge } from '../../../src/format/merge.ts';
import { put, type Random, random } from './table/entries.ts';

/** Needs a promise for every `stride`-th step, as a cursor does that comes to the end of a block. */
class PausingSource implements EntrySource {
  readonly #inner: ArraySource;
  readonly #stride: number;
  #steps = 0;

  constructor(entries: readonly Entry[], stride: number, reverse = false) {
    this.#inner = new ArraySource(entries, { reverse });
    this.#stride = stride;
  }

  get current(): Entry | undefined {
    return this.#inner.current;
  }

  advance(): void | Promise<void> {
    if (++this.#steps % this.#stride !== 0) return this.#inner.advance();
    return Promise.resolve().then(() => this.#inner.advance());
  }
}

/** Runs that overlap; a stamp stands twice with one key now and then, but never twice in a run. */
function randomRuns(from: Random, runs: number): Entry[][] {
  return Array.from({ length: runs }, (_, run) => {
    const entries = new Map<string, Entry>();
    for (let n = from.below(60); n > 0; n--) {
      const key = `k${from.below(80)}\xff`;
      entries.set(key, put(key, `${run}`, 1 + from.below(4)));
    }
    return [...entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  });
}

/** What a merge must give, found in the simplest way. */
function newest(runs: readonly Entry[][]): Entry[] {
  const byKey = new Map<Key, Entry>();
  for (const entry of runs.flat()) {
    const known = byKey.get(entry.key);
    if (known === undefined || compareStamps(entry.stamp, known.stamp) > 0) byKey.set(entry.key, entry);
  }
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function drain(merge: NewestMerge): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let entry = await merge.next(); entry !== undefined; entry = await merge.next()) entries.push(entry);
  expect(await merge.next()).toBeUndefined();
  return entries;
}

describe('NewestMerge', () => {
  it('gives each key once, with its newest stamp, in either direction', async () => {
    const from = random();
    for (let n = 0; n < 300; n++) {
      const runs = randomRuns(from, from.below(9));
      const reverse = from.below(2) === 1;
      const sources = runs.map((run) =>
        from.below(2) === 0 ? new ArraySource(run, { reverse }) : new PausingSource(run, 1 + from.below(3), reverse),
      );
      const expected = newest(runs);
      const lost: Entry[] = [];
      const merge = new NewestMerge(sources, {
        reverse,
        onSuperseded: (loser, winner) => {
          expect(loser.key).toBe(winner.key);
          expect(compareStamps(loser.stamp, winner.stamp)).toBeLessThanOrEqual(0);
          lost.push(loser);
        },
      });
      expect(await drain(merge)).toEqual(reverse ? expected.toReversed() : expected);
      expect(merge.superseded).toBe(runs.flat().length - expected.length);
      expect(lost).toHaveLength(merge.superseded);
    }
  });

  it('keeps the entry of the earlier source where one write is there twice', async () => {
    for (const at of ['a', 'm', 'z']) {
      const runs = [
        [put('b', 'first'), put('m', 'first'), put('y', 'first')],
        [put(at, 'second'), ...(at === 'm' ? [] : [put('m', 'second')])].sort((a, b) => (a.key < b.key ? -1 : 1)),
      ];
      const merge = new NewestMerge(runs.map((run) => new ArraySource(run)));
      const entries = await drain(merge);
      expect(entries.find((entry) => entry.key === 'm')?.value?.toString()).toBe('first');
      expect(merge.superseded).toBe(1);
    }
  });

  it('returns no promise while its sources need none', () => {
    const merge = new NewestMerge([new ArraySource([put('a'), put('c')]), new PausingSource([put('b'), put('d'), put('e')], 2)]);
    const keys = [merge.next(), merge.next(), merge.next(), merge.next()].map((entry) => (entry as Entry).key);
    expect(keys).toEqual(['a', 'b', 'c', 'd']);
    expect(merge.next()).toBeInstanceOf(Promise);
  });

  it('reads nothing ahead of what it returns', () => {
    let steps = 0;
    const inner = new ArraySource([put('a'), put('b')]);
    const source: EntrySource = {
      get current() {
        return inner.current;
      },
      advance() {
        steps++;
        inner.advance();
      },
    };
    const merge = new NewestMerge([source]);
    expect(steps).toBe(0);
    void merge.next();
    expect(steps).toBe(0);
    void merge.next();
    expect(steps).toBe(1);
  });

  it('goes on after a source has failed once', async () => {
    const inner = new ArraySource([put('a'), put('b'), put('c')]);
    let failures = 1;
    const source: EntrySource = {
      get current() {
        return inner.current;
      },
      advance: () => (failures-- > 0 ? Promise.reject(new Error('no answer')) : inner.advance()),
    };
    const merge = new NewestMerge([source, new ArraySource([put('a', 'newer', 2), put('b')])]);
    const keys: string[] = [];
    let errors = 0;
    for (;;) {
      try {
        const entry = await merge.next();
        if (entry === undefined) break;
        keys.push(entry.key);
      } catch {
        errors++;
      }
    }
    expect(errors).toBe(1);
    expect(keys).toEqual(['a', 'b', 'c']);
    expect(merge.superseded).toBe(2);
  });

  it('has nothing to give without sources, or with empty ones', () => {
    expect(new NewestMerge([]).next()).toBeUndefined();
    expect(new NewestMerge([new ArraySource([]), new ArraySource([], { reverse: true })]).next()).toBeUndefined();
  });
});
