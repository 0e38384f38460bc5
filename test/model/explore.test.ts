import { describe, expect, it } from 'vitest';
import { adding, explore, type Model } from './explore.ts';

interface Counters {
  readonly value: number;
  readonly clients: readonly { readonly pc: 'idle' | 'read' | 'done'; readonly seen: number }[];
}

/** Two clients that add one, with or without a lock around reading and writing. */
function counters(options: { locked: boolean; deadlock?: boolean }): Model<Counters> {
  return {
    name: 'counters',
    initial: {
      value: 0,
      clients: [
        { pc: 'idle', seen: 0 },
        { pc: 'idle', seen: 0 },
      ],
    },
    steps(state, to) {
      state.clients.forEach((client, i) => {
        const others = state.clients.some((other, j) => j !== i && other.pc === 'read');
        if (client.pc === 'idle' && !(options.locked && others)) {
          to(`${i} reads`, { ...state, clients: state.clients.with(i, { pc: 'read', seen: state.value }) });
        } else if (client.pc === 'read' && !(options.deadlock === true && others)) {
          to(`${i} writes`, { value: client.seen + 1, clients: state.clients.with(i, { pc: 'done', seen: 0 }) });
        }
      });
    },
    violation: (state) =>
      state.clients.every((client) => client.pc === 'done') && state.value !== 2 ? `ended at ${state.value}` : undefined,
    finished: (state) => state.clients.every((client) => client.pc === 'done'),
  };
}

describe('the explorer', () => {
  it('visits each state once and finds nothing wrong with a right model', () => {
    const result = explore(counters({ locked: true }));
    expect(result).toMatchObject({ verdict: 'holds', states: 8, transitions: 8 });
  });

  it('finds the shortest way to a violation', () => {
    const result = explore(counters({ locked: false }));
    expect(result).toMatchObject({ verdict: 'violated', problem: 'ended at 1' });
    expect(result.trace).toEqual(['0 reads', '1 reads', '0 writes', '1 writes']);
  });

  it('finds a state from which nobody can finish', () => {
    const result = explore(counters({ locked: false, deadlock: true }));
    expect(result).toMatchObject({ verdict: 'trapped', trace: ['0 reads', '1 reads'] });
  });

  it('stops at its bound and says so', () => {
    const endless: Model<number> = { name: 'endless', initial: 0, steps: (n, to) => to('+', n + 1), violation: () => undefined };
    expect(explore(endless, { statesMax: 50 })).toMatchObject({ verdict: 'bound' });
  });

  it('tells states apart that differ only in the type or the place of a value', () => {
    const values: unknown[] = [
      1,
      '1',
      true,
      null,
      undefined,
      [],
      {},
      [1],
      ['1'],
      [[1]],
      { a: 1 },
      { b: 1 },
      ['a,b'],
      ['a', 'b'],
      [[], 1],
      [[1], []],
    ];
    const model: Model<{ readonly v: unknown }> = {
      name: 'values',
      initial: { v: 0 },
      steps: (state, to) => {
        if (state.v === 0) for (const v of values) to('choose', { v });
      },
      violation: () => undefined,
    };
    expect(explore(model).states).toBe(values.length + 1);
  });

  it('keeps a sorted list as a set', () => {
    const compare = (a: number, b: number): number => a - b;
    expect(adding([1, 3], 2, compare)).toEqual([1, 2, 3]);
    expect(adding([1, 3], 3, compare)).toEqual([1, 3]);
    expect(adding([], 3, compare)).toEqual([3]);
  });
});
