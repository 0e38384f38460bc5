/** The check of locks accepts holds that follow one another, and finds what is wrong. */
import { describe, expect, it } from 'vitest';
import type { Details, Operation } from '../../support/history.ts';
import { type Blow, lockProblems } from '../../support/history-locks.ts';

const MS = 1e6;
const LEASE_MS = 100;

function operation(client: string, what: string, times: readonly [number, number], details: Details): Operation {
  const [invokedAt, endedAt] = times.map((ms) => ms * MS) as [number, number];
  return { id: `${client}/${what}${times[0]}`, client, what, invokedAt, endedAt, outcome: 'ok', reads: {}, writes: {}, details };
}

/** Asked for, held from, given back. */
type Times = readonly [asked: number, from: number, until: number];

function hold(
  client: string,
  names: Readonly<Record<string, number>>,
  times: Times,
  mode: 'exclusive' | 'shared' = 'exclusive',
): Operation[] {
  const [asked, from, until] = times;
  const tokens =
    'structural' in names
      ? { names: [], tokens: [names['structural'] as number] }
      : { names: Object.keys(names), tokens: Object.values(names) };
  const lock = operation(client, 'lock', [asked, from], { ...tokens, mode });
  if (until === Number.POSITIVE_INFINITY) return [lock];
  return [lock, operation(client, 'release', [until, until + 1], { hold: lock.id })];
}

const check = (history: readonly Operation[], blows: readonly Blow[] = []): string[] => lockProblems(history, { leaseMs: LEASE_MS, blows });
const killed = (client: string, atMs: number): Blow => ({ client, from: atMs * MS, until: Number.POSITIVE_INFINITY });

describe('holds of named locks', () => {
  it('may follow one another, and those of other names may overlap', () => {
    const history = [
      ...hold('p', { a: 1 }, [0, 1, 5]),
      ...hold('q', { a: 2, b: 1 }, [2, 5, 9]),
      ...hold('r', { c: 1 }, [0, 1, 20]),
      ...hold('p', { structural: 1 }, [8, 21, 25]),
      ...hold('q', { a: 3 }, [10, 26, 30]),
    ];
    expect(check(history)).toEqual([]);
  });

  it('may overlap where both are shared, and a later one that shares may hold first', () => {
    const shared = [
      ...hold('p', { a: 1 }, [0, 1, 9], 'shared'),
      ...hold('q', { a: 3 }, [0, 2, 5], 'shared'),
      ...hold('r', { a: 2 }, [0, 3, 6], 'shared'),
    ];
    expect(check(shared)).toEqual([]);
    expect(check([...shared, ...hold('s', { a: 4 }, [0, 9, 12])])).toEqual([]);
  });

  it('may begin when a holder was killed, or was stopped for a whole lease', () => {
    const history = [...hold('p', { a: 1 }, [0, 1, Number.POSITIVE_INFINITY]), ...hold('q', { a: 2 }, [0, 3, 4])];
    expect(check(history)).toHaveLength(1);
    expect(check(history, [killed('p', 2)])).toEqual([]);
    const stopped = [...hold('p', { a: 1 }, [0, 1, 400]), ...hold('q', { a: 2 }, [0, 150, 160])];
    expect(check(stopped)).toHaveLength(1);
    expect(check(stopped, [{ client: 'p', from: 40 * MS, until: 300 * MS }])).toEqual([]);
    expect(check(stopped, [{ client: 'p', from: 60 * MS, until: 300 * MS }])).toHaveLength(1);
  });

  it('end when the holder learns that it lost the lock', () => {
    const lock = operation('p', 'lock', [0, 1], { names: ['a'], tokens: [1], mode: 'exclusive' });
    const lost = operation('p', 'lost', [5, 5], { hold: lock.id });
    expect(check([lock, lost, ...hold('q', { a: 2 }, [0, 6, 9])])).toEqual([]);
    expect(check([lock, lost, ...hold('q', { a: 2 }, [0, 4, 9])])).toHaveLength(1);
  });
});

describe('the check of locks finds', () => {
  it.each([
    ['two exclusive holds that overlap', [...hold('p', { a: 1 }, [0, 1, 5]), ...hold('q', { a: 2 }, [0, 4, 9])], 'began before the end of'],
    [
      'overlaps of one of several names',
      [...hold('p', { a: 1, b: 4 }, [0, 1, 5]), ...hold('q', { b: 5, c: 1 }, [0, 4, 9])],
      'began before the end of',
    ],
    [
      'a shared hold beside an exclusive one',
      [...hold('p', { a: 1 }, [0, 1, 5]), ...hold('q', { a: 2 }, [0, 4, 9], 'shared')],
      'began before the end of',
    ],
    [
      'an exclusive hold beside a shared one',
      [...hold('p', { a: 1 }, [0, 1, 5], 'shared'), ...hold('q', { a: 2 }, [0, 4, 9])],
      'began before the end of',
    ],
    ['one who was overtaken', [...hold('p', { a: 2 }, [0, 1, 5]), ...hold('q', { a: 1 }, [0, 6, 9])], 'began before the end of'],
    [
      'a writer that a reader has overtaken',
      [...hold('p', { a: 2 }, [0, 1, 5], 'shared'), ...hold('q', { a: 1 }, [0, 6, 9])],
      'began before the end of',
    ],
    ['a token that two have', [...hold('p', { a: 1 }, [0, 1, 2]), ...hold('q', { a: 1 }, [0, 3, 4])], 'two have the token'],
    [
      'a token that goes down',
      [...hold('p', { a: 7 }, [0, 1, 2], 'shared'), ...hold('q', { a: 3 }, [3, 4, 5], 'shared')],
      'was asked for after token 7',
    ],
    [
      'a structural hold beside a named one',
      [...hold('p', { structural: 1 }, [0, 1, 5]), ...hold('q', { a: 2 }, [0, 4, 9], 'shared')],
      'the structural lock was held beside',
    ],
    [
      'two structural holds',
      [...hold('p', { structural: 1 }, [0, 1, 5]), ...hold('q', { structural: 2 }, [0, 4, 9])],
      'began before the end of',
    ],
    [
      'a place in the queue that was taken from one who was seen to wait',
      [operation('r', 'listLocks', [0, 1], { tickets: { a: [3, 4] } }), ...hold('p', { a: 4 }, [2, 3, 5])],
      'was asked for after token 4',
    ],
  ] satisfies [string, Operation[], string][])('%s', (_, history, problem) => {
    expect(check(history)).toEqual(expect.arrayContaining([expect.stringContaining(problem)]));
  });
});
