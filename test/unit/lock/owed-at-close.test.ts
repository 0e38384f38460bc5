/** Tickets of the engine's own locks, at the closing of the store whose medium failed while they were to be ended. */
import { describe, expect, it } from 'vitest';
import { open, type Store } from '../../../src/index.ts';
import { FileMedium } from '../../../src/medium/file-medium.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

interface Case {
  readonly kind: 'compactor' | 'stripe';
  readonly marker: RegExp;
  readonly use: (store: Store) => Promise<unknown>;
}

const CASES: readonly Case[] = [
  { kind: 'compactor', marker: /lock\/compactor\/.*\.done/, use: (store) => store.compact() },
  {
    kind: 'stripe',
    marker: /lock\/stripe\/.*\.done/,
    // Both have read before either writes: one loses the race, and queues.
    use: async (store) => {
      const handles = [store.namespace<number>('entries'), store.namespace<number>('entries')];
      let begun = 0;
      let letBoth = (): void => {};
      const haveBoth = new Promise<void>((resolve) => {
        letBoth = resolve;
      });
      const raise = async (n = 0): Promise<number> => {
        if (++begun === handles.length) letBoth();
        await haveBoth;
        return n + 1;
      };
      await Promise.all(handles.map((entries) => entries.update('n', raise)));
    },
  },
];

async function openFaulty(directory: string): Promise<{ faulty: FaultyMedium; medium: FileMedium; store: Store }> {
  const medium = FileMedium.open(directory, { create: true });
  const faulty = new FaultyMedium(medium, { record: true });
  return { faulty, medium, store: await open(faulty, { autoCompact: false }) };
}

describe.each(CASES)('a ticket of kind $kind', ({ kind, marker, use }) => {
  it('that could not be ended at once is ended before the store is closed', async () => {
    const directory = temporaryDirectory();
    const { faulty, medium, store } = await openFaulty(directory);
    await store.namespace('entries').put('a', 1);
    faulty.inject({ when: { op: 'putIfAbsent', name: marker }, times: 2 });
    await use(store);
    await store.close();
    await medium.close();
    expect(faulty.calls.filter(({ op, name }) => op === 'putIfAbsent' && marker.test(name)).length).toBeGreaterThan(2);
    const other = await open(directory, { autoCompact: false });
    expect((await other.listLocks()).flatMap(({ tickets }) => tickets)).toEqual([]);
    await other.close();
  });

  it('that storage keeps from being ended is named when the store is closed', async () => {
    const { faulty, medium, store } = await openFaulty(temporaryDirectory());
    await store.namespace('entries').put('a', 1);
    faulty.inject({ when: { op: 'putIfAbsent', name: marker }, times: Number.POSITIVE_INFINITY });
    await use(store);
    await expect(store.close()).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining(`--kind ${kind} entries`) });
    await medium.close();
  });
});
