/** What is left when something fails: every failure is told, locks are free, and the data is still there. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { nodeSystem, open, type PeatError, type Warning } from '../../../src/index.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { gated } from '../../support/gated-medium.ts';

const NAMES = ['a', 'b', 'c'] as const;

function newMedium(): FaultyMedium {
  return new FaultyMedium(new MemoryMedium({ system: nodeSystem, canAppend: true }));
}

async function failureOf(call: Promise<unknown>): Promise<AggregateError> {
  const failure = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(AggregateError);
  return failure as AggregateError;
}

describe('of several failures each one is told', () => {
  it('when a store is closed whose namespaces can not all be closed', async () => {
    const medium = newMedium();
    // The first warning of a namespace comes from the background, when its segment ends; the second one when it is closed.
    const warned = new Set<string>();
    const onWarning = ({ namespace, cause }: Warning): void => {
      if (warned.has(namespace)) throw new Error(`the program minds about ${namespace}`, { cause });
      warned.add(namespace);
    };
    const store = await open(medium, { onWarning });
    const writes = NAMES.map((name) => store.namespace(name).put('x', 1));
    // Whether the tail is long can't be told, which is a warning; what the program throws then is its own.
    medium.inject({ when: { op: 'list', name: /^ns\/[ac]\/log\// }, times: Number.POSITIVE_INFINITY });
    const { errors, message } = await failureOf(store.close());
    expect(message).toBe('2 parts of the store could not be closed cleanly');
    expect(errors.map((error: Error) => error.message)).toEqual(['the program minds about a', 'the program minds about c']);
    await Promise.all(writes);
    medium.heal();
    const again = await open(medium, { autoCompact: false });
    for (const name of NAMES) expect(await again.namespace(name).get('x')).toBe(1);
    await again.close();
  });

  it('when a compaction of all namespaces fails in some of them, and the others are compacted', async () => {
    const medium = newMedium();
    const store = await open(medium, { autoCompact: false });
    for (const name of NAMES) await store.namespace(name).put('x', 1);
    medium.inject({ when: { op: 'putIfAbsent', name: /^ns\/[ac]\/shard\// }, times: Number.POSITIVE_INFINITY });
    const { errors, message } = await failureOf(store.compact());
    expect(message).toBe('2 namespaces could not be compacted');
    expect(errors.map(({ file }: PeatError) => file?.slice(0, 5))).toEqual(['ns/a/', 'ns/c/']);
    expect(await store.namespace('b').stats()).toMatchObject({ tail: { keys: 0 } });
    medium.heal();
    await store.close();
  });
});

describe('a compaction that fails', () => {
  it('leaves the election free at once, and the data to the next one', async () => {
    const medium = newMedium();
    const store = await open(medium, { autoCompact: false });
    const items = store.namespace<number>('items');
    for (let i = 0; i < 10; i++) await items.put(`k${i}`, i);
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    medium.inject({ when: { op: 'putIfAbsent', name: 'ns/items/' }, times: Number.POSITIVE_INFINITY, error: full });
    await expect(store.compact()).rejects.toBe(full);
    expect(await store.listLocks()).toEqual([]);
    expect(await items.get('k7')).toBe(7);
    medium.heal();
    const other = await open(medium, { autoCompact: false });
    expect(await other.compact({ maxWaitMs: 0 })).toMatchObject([{ framesIn: 10, entriesIn: 10 }]);
    expect(await other.namespace('items').get('k7')).toBe(7);
    await Promise.all([store.close(), other.close()]);
  });

  it('leaves it free to a standing compactor as well, which goes on by itself', async () => {
    const medium = newMedium();
    const store = await open(medium, { autoCompact: false });
    await store.namespace('items').put('x', 1);
    medium.inject({ when: { op: 'putIfAbsent', name: 'ns/items/shard/' }, times: 2 });
    const stop = new AbortController();
    const events: string[] = [];
    await store.runCompactor({
      signal: stop.signal,
      gatherMs: 1,
      pollMs: 5,
      onEvent: ({ event }) => {
        events.push(event);
        if (event === 'pass') stop.abort();
      },
    });
    expect(events.filter((event) => event === 'failed')).toHaveLength(2);
    expect(await store.listLocks()).toEqual([]);
    await store.close();
  });
});

describe('a lock is given back only when what was done under it is there', () => {
  /** Calls of a store in the order in which they were asked for, and `held` where those that fit are let go on at last. */
  async function storeThatHolds(held: RegExp) {
    const log: string[] = [];
    const medium = gated(new MemoryMedium({ system: nodeSystem, canAppend: true }), (method, name) => {
      log.push(`${method} ${name}`);
      return held.test(`${method} ${name}`) ? manyTurns().then(() => void log.push('held')) : undefined;
    });
    return { log, store: await open(medium, { autoCompact: false }), other: await open(medium, { autoCompact: false }) };
  }

  /** Whoever did not wait would be through by then. */
  async function manyTurns(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await nextTurn();
  }

  function expectBefore(log: readonly string[], first: number, later: RegExp): void {
    expect(first).toBeGreaterThanOrEqual(0);
    expect(log.slice(0, first).filter((call) => later.test(call))).toEqual([]);
    expect(log.slice(first).filter((call) => later.test(call))).not.toEqual([]);
  }

  it('the root, for the election of a compactor', async () => {
    const { log, store, other } = await storeThatHolds(/^putIfAbsent ns\/items\/root\//);
    await store.namespace('items').put('x', 1);
    log.length = 0;
    await store.compact();
    expectBefore(log, log.indexOf('held'), /^putIfAbsent lock\/compactor\/.*\.done/);
    await Promise.all([store.close(), other.close()]);
  });

  it('the record, for the lock of a stripe', async () => {
    const { log, store, other } = await storeThatHolds(/^putIfAbsent ns\/items\/log\/s/);
    const raise = (n = 0): number => n + 1;
    const [mine, theirs] = [store, other].map((one) => one.namespace<number>('items'));
    await mine?.put('n', 0);
    await Promise.all([mine?.update('n', raise), theirs?.update('n', raise)]);
    expect(await mine?.get('n')).toBe(2);
    // One lost the race, and holds the lock while its second record is on its way.
    expectBefore(log, log.lastIndexOf('held'), /^putIfAbsent lock\/stripe\/.*\.done/);
    await Promise.all([store.close(), other.close()]);
  });
});
