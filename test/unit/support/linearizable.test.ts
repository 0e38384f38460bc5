/** The checker of histories finds what is wrong, and accepts what is right. PEAT_SEED repeats a run. */
import { describe, expect, it } from 'vitest';
import { testSeed } from '../../support/child.ts';
import { formatHistory, type HistoryLine, type Operation, parseHistory, type Value, type Values } from '../../support/history.ts';
import { randomHistory } from '../../support/history-random.ts';
import { checkLinearizable } from '../../support/linearizable.ts';
import { linearizabilityProblems } from '../../support/linearizable-registers.ts';
import { randomFrom } from '../../support/random.mjs';

const UNKNOWN = Number.POSITIVE_INFINITY;

let operations = 0;
function operation(times: readonly [number, number], effect: { reads?: Values; writes?: Values }, outcome?: 'fail'): Operation {
  const [invokedAt, endedAt] = times;
  const { reads = {}, writes = {} } = effect;
  const what = Object.keys(reads).length === 0 ? 'put' : Object.keys(writes).length === 0 ? 'get' : 'update';
  const id = `o${operations++}`;
  return { id, client: 'c', what, invokedAt, endedAt, outcome: outcome ?? (endedAt === UNKNOWN ? 'unknown' : 'ok'), reads, writes };
}

const update = (times: readonly [number, number], from: Value, to: Value): Operation =>
  operation(times, { reads: { k: from }, writes: { k: to } });
const get = (times: readonly [number, number], value: Value): Operation => operation(times, { reads: { k: value } });
const put = (times: readonly [number, number], value: Value): Operation => operation(times, { writes: { k: value } });
const isLinearizable = (history: readonly Operation[]): boolean => linearizabilityProblems(history).length === 0;

describe('a history of one key', () => {
  it('is linearizable if each operation follows from the one before', () => {
    expect(isLinearizable([update([0, 1], null, 'a'), update([2, 3], 'a', 'b'), get([4, 5], 'b')])).toBe(true);
  });

  it('may order operations that overlap as it likes', () => {
    expect(isLinearizable([update([0, 9], 'b', 'a'), put([1, 2], 'b'), get([3, 8], 'a'), get([3, 8], 'b')])).toBe(true);
    expect(isLinearizable([put([0, 3], 'a'), get([1, 2], 'a'), get([1, 2], null)])).toBe(true);
  });

  it('takes operations that end and begin at one time for overlapping', () => {
    expect(isLinearizable([put([0, 1], 'a'), get([1, 2], null)])).toBe(true);
  });

  it.each([
    ['a lost update', [update([0, 1], null, 'a'), update([2, 5], 'a', 'b'), update([3, 4], 'a', 'c')]],
    ['a lost update that nobody notices before the end', [update([0, 9], null, 'a'), update([0, 9], null, 'b')]],
    ['a doubled update', [update([0, 1], null, '1'), update([2, 3], '1', '2'), get([4, 5], '3')]],
    ['a stale read', [update([0, 1], null, 'a'), update([2, 3], 'a', 'b'), get([4, 5], 'a')]],
    ['two reads that go back in time', [put([0, 9], 'a'), get([1, 2], 'a'), get([3, 4], null)]],
    ['a value out of nowhere', [update([0, 1], null, 'a'), get([2, 3], 'x')]],
    ['a value read before it was written', [get([0, 1], 'a'), update([2, 3], null, 'a')]],
    ['an acknowledged update that vanished', [update([0, 1], null, 'a'), get([2, 3], null)]],
    ['one that vanished after it was seen', [update([0, 1], null, 'a'), get([2, 3], 'a'), update([4, 5], null, 'b')]],
    ['one that failed and took effect', [operation([0, 1], { reads: { k: null }, writes: { k: 'a' } }, 'fail'), get([2, 3], 'a')]],
    [
      'one of unknown outcome that took effect twice',
      [put([0, 1], 'a'), put([2, UNKNOWN], 'b'), get([3, 4], 'b'), put([5, 6], 'c'), get([7, 8], 'b')],
    ],
    ['one of unknown outcome that took effect before it began', [get([0, 1], 'a'), put([2, UNKNOWN], 'a')]],
  ] satisfies [string, Operation[]][])('is not linearizable with %s', (_, history) => {
    expect(linearizabilityProblems(history)).toEqual([expect.stringMatching(/^k: not linearizable; \d+ of \d+ operations can be placed/)]);
  });

  it('lets one of unknown outcome take effect at any time after its invocation, or never', () => {
    const unknown = update([2, UNKNOWN], 'a', 'b');
    const before = update([0, 1], null, 'a');
    expect(isLinearizable([before, unknown, get([3, 4], 'a')])).toBe(true);
    expect(isLinearizable([before, unknown, get([3, 4], 'b')])).toBe(true);
    expect(isLinearizable([before, unknown, get([3, 4], 'a'), get([50, 60], 'b')])).toBe(true);
    expect(isLinearizable([before, unknown, update([3, 4], 'a', 'c'), get([50, 60], 'c')])).toBe(true);
  });

  it('says how far it got, and what it was stuck with', () => {
    const [problem] = linearizabilityProblems([update([0, 1], null, 'a'), update([2, 3], null, 'b')]);
    expect(problem).toMatch(/1 of 2 operations .* up to\n.*update \{"k":null\} → \{"k":"a"\} ok\n.*leaves \["a"\].*\n.*\{"k":"b"\} ok$/s);
  });
});

describe('a history of several keys', () => {
  const transfer = (times: readonly [number, number], reads: Values, writes: Values): Operation => operation(times, { reads, writes });

  it('is checked key by key', () => {
    const other = operation([0, 1], { reads: { other: 'x' } });
    expect(linearizabilityProblems([update([0, 1], null, 'a'), other])).toEqual([expect.stringContaining('other: not linearizable')]);
  });

  it('checks keys together that one operation touched together', () => {
    const both = transfer([0, 1], { a: null, b: null }, { a: '1', b: '1' });
    const half = [operation([2, 3], { reads: { a: '1' } }), operation([4, 5], { reads: { b: null } })];
    expect(linearizabilityProblems([both, ...half])).toEqual([expect.stringContaining('a, b: not linearizable')]);
  });

  it('finds half of an update of two keys, and a snapshot of two moments', () => {
    const first = transfer([0, 1], { a: null, b: null }, { a: '1', b: '1' });
    const second = transfer([2, 9], { a: '1', b: '1' }, { a: '2', b: '2' });
    const look = (a: Value, b: Value): Operation => operation([3, 8], { reads: { a, b } });
    expect(isLinearizable([first, second, look('1', '1'), look('2', '2')])).toBe(true);
    expect(isLinearizable([first, second, look('1', '2')])).toBe(false);
  });

  it('finds write skew', () => {
    const initial = { a: 'in', b: 'in' };
    const leave = [transfer([0, 9], { a: 'in', b: 'in' }, { a: 'out' }), transfer([0, 9], { a: 'in', b: 'in' }, { b: 'out' })];
    expect(linearizabilityProblems(leave.slice(0, 1), { initial })).toEqual([]);
    expect(linearizabilityProblems(leave, { initial })).toHaveLength(1);
  });

  it('finds a cycle that no key shows alone', () => {
    const history = [
      operation([0, 9], { writes: { a: '1' } }),
      operation([0, 9], { writes: { b: '1' } }),
      operation([0, 9], { reads: { a: '1', b: null } }),
      operation([0, 9], { reads: { a: null, b: '1' } }),
    ];
    expect(isLinearizable(history)).toBe(false);
  });
});

describe('random histories', () => {
  const seed = testSeed();
  const key = ['k'];

  /** Tries every order. */
  function isLinearizableByTrial(history: readonly Operation[]): boolean {
    const open = history.filter(({ outcome }) => outcome !== 'fail');
    const search = (state: Values, left: readonly Operation[]): boolean => {
      if (left.every(({ outcome }) => outcome === 'unknown')) return true;
      const firstEnd = Math.min(...left.map(({ endedAt }) => endedAt));
      return left.some((next) => {
        const fits = Object.entries(next.reads).every(([name, value]) => (state[name] ?? null) === value);
        return (
          next.invokedAt <= firstEnd &&
          fits &&
          search(
            { ...state, ...next.writes },
            left.filter((one) => one !== next),
          )
        );
      });
    };
    return search({}, open);
  }

  it('are judged as by trying every order, be they right or wrong', () => {
    const random = randomFrom(seed);
    const values: Value[] = [null, 'a', 'b'];
    const pick = (): Value => values[Math.floor(random() * values.length)] as Value;
    const judged = { right: 0, wrong: 0 };
    for (let run = 0; run < 4000; run++) {
      const history = Array.from({ length: 2 + Math.floor(random() * 5) }, () => {
        const invokedAt = Math.floor(random() * 12);
        const endedAt = random() < 0.2 ? UNKNOWN : invokedAt + Math.floor(random() * 8);
        const names = random() < 0.3 ? ['k', 'l'] : random() < 0.7 ? ['k'] : ['l'];
        const some = (): Values => Object.fromEntries(names.map((name) => [name, pick()]));
        const kind = random();
        return operation([invokedAt, endedAt], { ...(kind < 0.7 ? { reads: some() } : {}), ...(kind > 0.3 ? { writes: some() } : {}) });
      });
      const expected = isLinearizableByTrial(history);
      judged[expected ? 'right' : 'wrong']++;
      expect(isLinearizable(history), `PEAT_SEED=${seed}, run ${run}: ${JSON.stringify(history)}`).toBe(expected);
    }
    expect(Math.min(judged.right, judged.wrong)).toBeGreaterThan(200);
  });

  it.each([
    ['updates and reads', { clients: 16, operations: 3000, keys: key }],
    ['blind writes among them', { clients: 16, operations: 1500, keys: key, blind: 300 }],
    ['failures and unknown outcomes', { clients: 16, operations: 2000, keys: key, blind: 100, failing: 50, unknown: 30 }],
    ['several keys, some at once', { clients: 16, operations: 2000, keys: ['a', 'b', 'c', 'd'], blind: 100, unknown: 20, pairs: 300 }],
  ])('of a true register are linearizable: %s', (_, options) => {
    for (let run = 0; run < 3; run++) {
      const history = randomHistory(randomFrom(seed + run), options);
      expect(linearizabilityProblems(history), `PEAT_SEED=${seed}, run ${run}`).toEqual([]);
    }
  });

  describe('with one thing wrong are found', () => {
    const options = { clients: 16, operations: 1000, keys: key, failing: 20, unknown: 10 };

    /** Changes one operation of each of some random histories, and expects that to be found. */
    function plant(change: (history: Operation[], random: () => number) => Operation[] | undefined): void {
      for (let run = 0; run < 5; run++) {
        const random = randomFrom(seed + 100 + run);
        let changed: Operation[] | undefined;
        while (changed === undefined) changed = change(randomHistory(random, options), random);
        expect(linearizabilityProblems(changed), `PEAT_SEED=${seed}, run ${run}`).toHaveLength(1);
      }
    }

    const isUpdate = ({ outcome, what }: Operation): boolean => outcome === 'ok' && what === 'update';
    const any = (some: Operation[], random: () => number): Operation | undefined => some[Math.floor(random() * some.length)];
    const replace = (history: Operation[], old: Operation, by: Partial<Operation>): Operation[] =>
      history.map((one) => (one === old ? { ...one, ...by } : one));
    /** The one whose value another one read and hid. */
    const hiddenBy = (history: Operation[], { reads }: Operation): Operation | undefined =>
      history.find((one) => one.outcome === 'ok' && one.writes['k'] !== undefined && one.writes['k'] === reads['k']);

    it('a lost update', () => {
      plant((history, random) => {
        const late = any(history.filter(isUpdate), random);
        const hidden = late && hiddenBy(history, late);
        return late && hidden && replace(history, late, { reads: hidden.reads });
      });
    });

    it('a stale read', () => {
      plant((history, random) => {
        const read = any(
          history.filter(({ what, outcome }) => what === 'read' && outcome === 'ok'),
          random,
        );
        const current = read && hiddenBy(history, read);
        if (read === undefined || current === undefined || current.endedAt >= read.invokedAt) return undefined;
        return replace(history, read, { reads: current.reads });
      });
    });

    it('a value out of nowhere', () => {
      plant((history, random) => {
        const read = any(
          history.filter(({ what, outcome }) => what === 'read' && outcome === 'ok'),
          random,
        );
        return read && replace(history, read, { reads: { k: 'nowhere' } });
      });
    });

    it('an acknowledged update that vanished', () => {
      plant((history, random) => {
        const gone = any(history.filter(isUpdate), random);
        const value = gone?.writes['k'];
        if (gone === undefined || value === undefined) return undefined;
        // As if it had never been: whoever read it read what was before.
        const changed = history.map((one) => (one.reads['k'] === value ? { ...one, reads: gone.reads } : one));
        return changed.every((one, i) => one === history[i]) ? undefined : changed;
      });
    });

    it('an update that failed and took effect', () => {
      plant((history, random) => {
        const failed = any(history.filter(isUpdate), random);
        const isSeen = history.some(({ outcome, reads }) => outcome === 'ok' && reads['k'] === failed?.writes['k']);
        return failed && isSeen ? replace(history, failed, { outcome: 'fail' }) : undefined;
      });
    });

    it('a counter that counted one update twice', () => {
      for (let run = 0; run < 10; run++) {
        const random = randomFrom(seed + 200 + run);
        const doubled = Math.floor(random() * 500);
        const history = Array.from({ length: 1000 }, (_, n) => {
          const count = n + (n > doubled ? 1 : 0);
          return update([n * 10, n * 10 + random() * 50], count === 0 ? null : `${count}`, `${count + 1}`);
        });
        expect(linearizabilityProblems(history), `PEAT_SEED=${seed}, run ${run}`).toHaveLength(1);
      }
    });
  });
});

describe('the search', () => {
  it('says when it gave up', () => {
    const counter = {
      initial: 0,
      apply: (state: number, { is }: { is: number | undefined }) => (is === undefined ? state + 1 : is === state ? state : undefined),
      keyOf: String,
    };
    const adds = Array.from({ length: 20 }, () => ({ invokedAt: 0, endedAt: UNKNOWN, is: undefined }));
    const history = [...adds, { invokedAt: 1, endedAt: 2, is: 21 }];
    expect(checkLinearizable(counter, history, { configurationsMax: 1000 })).toEqual({ kind: 'undecided', configurations: 1001 });
  });

  it('refuses an operation that ended before it began', () => {
    expect(() => isLinearizable([get([2, 1], null)])).toThrow(RangeError);
  });
});

describe('what a client noted', () => {
  const lines: HistoryLine[] = [
    { step: 'invoke', id: '1', at: 10, what: 'update' },
    { step: 'try', id: '1', reads: { k: 'a' }, writes: { k: 'b' } },
    { step: 'try', id: '1', reads: { k: 'c' }, writes: { k: 'd' } },
  ];
  const text = formatHistory(lines);

  it('counts by its last try, when it ended well', () => {
    const [one] = parseHistory('p', text + formatHistory([{ step: 'ok', id: '1', at: 20, stamp: '7-x-1' }]));
    const expected = { id: 'p/1', client: 'p', what: 'update', invokedAt: 10, endedAt: 20, outcome: 'ok', stamp: '7-x-1' };
    expect(one).toEqual({ ...expected, reads: { k: 'c' }, writes: { k: 'd' }, code: undefined });
  });

  it('is unknown without an end, even where a kill cut off its last line', () => {
    const end = formatHistory([{ step: 'ok', id: '1', at: 20 }]);
    for (const cut of [0, 1, end.length - 1]) {
      expect(parseHistory('p', text + end.slice(0, cut))).toMatchObject([{ outcome: 'unknown', endedAt: UNKNOWN, writes: { k: 'd' } }]);
    }
  });

  it('keeps failures, with their codes', () => {
    const end = formatHistory([{ step: 'fail', id: '1', at: 20, code: 'LOCK_TIMEOUT' }]);
    expect(parseHistory('p', text + end)).toMatchObject([{ outcome: 'fail', code: 'LOCK_TIMEOUT', endedAt: 20 }]);
  });

  it('is refused if it contradicts itself', () => {
    expect(() => parseHistory('p', text + text)).toThrow('began 1 twice');
    expect(() => parseHistory('p', formatHistory([{ step: 'ok', id: '1', at: 20 }]))).toThrow('not under way');
  });
});
