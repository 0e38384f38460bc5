/** The checks of keys that several processes write blindly find what is wrong, and accept what is right. */
import { describe, expect, it } from 'vitest';
import { testSeed } from '../../support/child.ts';
import type { Operation, Value } from '../../support/history.ts';
import { blindWriteProblems } from '../../support/history-blind.ts';
import { randomHistory } from '../../support/history-random.ts';
import { randomFrom } from '../../support/random.mjs';

let operations = 0;
function operation(client: string, times: readonly [number, number], effect: { read?: Value; write?: Value; stamp?: string }): Operation {
  const [invokedAt, endedAt] = times;
  const id = `${client}/${operations++}`;
  const outcome = endedAt === Number.POSITIVE_INFINITY ? 'unknown' : 'ok';
  const { read, write, stamp } = effect;
  const reads = read === undefined ? {} : { k: read };
  const writes = write === undefined ? {} : { k: write };
  return { id, client, what: 'operation', invokedAt, endedAt, outcome, reads, writes, stamp };
}
const put = (client: string, times: readonly [number, number], write: Value): Operation => operation(client, times, { write });
const get = (times: readonly [number, number], read: Value, stamp?: string): Operation =>
  operation('reader', times, { read, ...(stamp === undefined ? {} : { stamp }) });
const update = (times: readonly [number, number], read: Value, write: Value): Operation => operation('updater', times, { read, write });

const check = (history: readonly Operation[]): string[] =>
  blindWriteProblems(history, 'k', { skew: 10, compareStamps: (a, b) => Number(a) - Number(b) });

describe('a key that several processes write blindly', () => {
  it('may order writes of two processes that are close otherwise than in real time', () => {
    const writes = [put('p', [0, 1], 'a'), put('q', [5, 6], 'b')];
    expect(check([...writes, get([7, 8], 'a')])).toEqual([]);
    expect(check([...writes, update([7, 8], 'a', 'c'), get([9, 10], 'c')])).toEqual([]);
  });

  it.each([
    ['an acknowledged write that a read does not find', [put('p', [0, 1], 'a'), get([2, 3], null)], 'is hidden from'],
    ['a write of the same process that is older', [put('p', [0, 1], 'a'), put('p', [2, 3], 'b'), get([4, 5], 'a')], 'is hidden from'],
    [
      'a write of another process that is much older',
      [put('p', [0, 1], 'a'), put('q', [20, 21], 'b'), get([30, 31], 'a')],
      'is hidden from',
    ],
    [
      'a write that an update hid without having read it',
      [put('p', [0, 1], 'a'), put('p', [2, 5], 'b'), update([3, 6], 'a', 'c'), get([7, 8], 'c')],
      'is hidden from',
    ],
    [
      'one that a row of updates hid',
      [put('p', [0, 1], 'a'), update([1, 2], 'a', 'u1'), put('p', [3, 4], 'b'), update([3, 5], 'u1', 'u2'), get([6, 7], 'u2')],
      'is hidden from',
    ],
    ['an update that did not see what was acknowledged before', [put('p', [0, 1], 'a'), update([2, 3], null, 'b')], 'is hidden from'],
    ['a lost update', [put('p', [0, 1], 'a'), update([2, 9], 'a', 'b'), update([2, 9], 'a', 'c')], 'one of two updates is lost'],
    ['a value out of nowhere', [get([0, 1], 'x')], 'out of nowhere'],
    ['a value from the future', [get([0, 1], 'a'), put('p', [2, 3], 'a')], 'out of nowhere'],
    [
      'a stamp that goes back',
      [put('p', [0, 1], 'a'), put('q', [0, 1], 'b'), get([2, 3], 'a', '8'), get([4, 5], 'b', '7')],
      'a stamp went back',
    ],
  ] satisfies [string, Operation[], string][])('is found out with %s', (_, history, problem) => {
    expect(check(history)).toEqual(expect.arrayContaining([expect.stringContaining(problem)]));
  });

  it('is right in every history of a true register', () => {
    const seed = testSeed();
    for (let run = 0; run < 20; run++) {
      const history = randomHistory(randomFrom(seed + run), {
        clients: 8,
        operations: 500,
        keys: ['k'],
        blind: 400,
        failing: 20,
        unknown: 20,
      });
      expect(check(history), `PEAT_SEED=${seed}, run ${run}`).toEqual([]);
    }
  });
});
