/** Takes snapshots, reads each twice with some time between, and sees that it did not change, and that the accounts add up. */
import { createHash } from 'node:crypto';
import type { Snapshot } from '../../../src/index.ts';
import type { Actor } from '../actor.ts';
import { ACCOUNTS, ACCOUNTS_TOTAL, accountKey, NAMESPACE } from '../plan.ts';

const HELD_MS = 8000;

export async function keepWatch({ store, telemetry, stop, pause }: Actor): Promise<void> {
  const entries = store.namespace(NAMESPACE);
  const accounts = Array.from({ length: ACCOUNTS }, (_, i) => accountKey(i));
  while (!stop.aborted) {
    const snapshot = await telemetry.time('snapshot', () => entries.snapshot());
    const sum = ((await snapshot.getMany(accounts)) as number[]).reduce((total, amount) => total + amount, 0);
    telemetry.expect(sum === ACCOUNTS_TOTAL, () => `the accounts hold ${sum}, and must hold ${ACCOUNTS_TOTAL}`);
    const first = await telemetry.time('scan of a snapshot', () => hashOf(snapshot));
    await pause(HELD_MS);
    const second = await telemetry.time('scan of a snapshot', () => hashOf(snapshot));
    telemetry.expect(first === second, () => `a snapshot changed: ${first} was ${second} before`);
    snapshot.close();
  }
}

async function hashOf(snapshot: Snapshot<unknown>): Promise<string> {
  const hash = createHash('sha256');
  let entries = 0;
  for await (const { key, value } of snapshot.scan()) {
    hash.update(`${key}\0${JSON.stringify(value)}\n`);
    entries++;
  }
  return `${entries} entries, ${hash.digest('hex')}`;
}
