/** An updater: counters that every updater raises, and accounts between which it moves amounts. What it was told it notes; the sums are judged. */
import { open } from '../../../src/index.ts';
import type { Actor } from '../actor.ts';
import { Journal } from '../journal.ts';
import { ACCOUNTS, ACCOUNTS_TOTAL, accountKey, COUNTERS, counterKey, NAMESPACE } from '../plan.ts';

/** One more was begun, or is known to be done. */
type Line = 'begun' | 'done';

/** How often the counters were raised: at least, and at most. */
export interface Raised {
  readonly done: number;
  readonly unknown: number;
}

export async function update({ assignment, store, telemetry, random, stop, pause }: Actor): Promise<void> {
  const numbers = store.namespace<number>(NAMESPACE);
  const journal = new Journal<Line>(assignment.journals, assignment.name);
  while (!stop.aborted) {
    journal.note('begun');
    const counter = counterKey(Math.floor(random() * COUNTERS));
    await telemetry.time('update', () => numbers.update(counter, (count = 0) => count + 1));
    journal.note('done');
    const from = Math.floor(random() * ACCOUNTS);
    const to = (from + 1 + Math.floor(random() * (ACCOUNTS - 1))) % ACCOUNTS;
    const amount = Math.floor(20 * random());
    await telemetry.time('update', () =>
      numbers.updateMany([accountKey(from), accountKey(to)], ([a = 0, b = 0]) => (a < amount ? [a, b] : [a - amount, b + amount])),
    );
    await pause(200 * random());
  }
  journal.close();
}

/** What the journal of an updater says at the end. */
export function raisedBy(journals: string, name: string): Raised {
  const lines = new Journal<Line>(journals, name).read();
  const done = lines.filter((line) => line === 'done').length;
  return { done, unknown: lines.length - 2 * done };
}

/** Before anybody starts. */
export async function fillAccounts(directory: string): Promise<void> {
  const store = await open(directory, { autoCompact: false });
  const accounts = store.namespace<number>(NAMESPACE);
  const share = ACCOUNTS_TOTAL / ACCOUNTS;
  await accounts.batch(Array.from({ length: ACCOUNTS }, (_, i) => ({ type: 'put', key: accountKey(i), value: share })));
  await store.close();
}
