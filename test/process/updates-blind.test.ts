/**
 * Blind writes beside updates of the same keys, by many processes and beside a compactor. Keys that one process writes blindly are
 * linearizable; for keys that several do, see `history-blind.ts`. PEAT_SEED repeats a run, as far as real processes can be repeated.
 */
import { expect, it } from 'vitest';
import { compareStamps } from '../../src/base/stamp.ts';
import { STRIPE_LEASE_MS } from '../../src/update/updater.ts';
import { testSeed } from '../support/child.ts';
import { blindWriteProblems, parseStamp, STAMP_SKEW_NS } from '../support/history-blind.ts';
import { Clients, countOutcomes } from '../support/history-clients.ts';
import { linearizabilityProblems } from '../support/linearizable-registers.ts';
import { randomFrom } from '../support/random.mjs';

const options = { skew: STAMP_SKEW_NS, compareStamps: (a: string, b: string): number => compareStamps(parseStamp(a), parseStamp(b)) };

it('keys that one process writes blindly, and others update, are linearizable', async () => {
  const clients = new Clients(randomFrom(testSeed()));
  const keys = ['a', 'b'];
  clients.startCompactor();
  clients.start('writer', { role: 'mixed', keys, operations: 300, putsPerMille: 800, pauseMs: 10 });
  for (let p = 0; p < 5; p++) clients.start(`p${p}`, { role: 'mixed', keys, operations: 120, putsPerMille: 0, inFlight: 2 });
  await clients.finish();
  expect(await clients.stopCompactor()).toEqual([]);

  const history = [...clients.history(), ...(await clients.readBack(keys)).history];
  expect(linearizabilityProblems(history)).toEqual([]);
  for (const key of keys) expect(blindWriteProblems(history, key, options)).toEqual([]);
  expect(countOutcomes(history)).toMatchObject({ fail: 0, unknown: 0 });
});

it('no update hides an acknowledged blind write that it did not read, whoever wrote it, while processes are stopped and killed', async () => {
  const clients = new Clients(randomFrom(testSeed()));
  const keys = ['a', 'b', 'c'];
  await clients.run({ role: 'read', keys });
  clients.startCompactor();
  for (let p = 0; p < 6; p++) clients.start(`p${p}`, { role: 'mixed', keys, operations: 200, putsPerMille: 300, inFlight: 2, pauseMs: 2 });
  await clients.attack({ key: 'a', everyMs: 300, stopMs: STRIPE_LEASE_MS + 600, blowsMax: 15 });
  await clients.finish();
  await clients.stopCompactor();

  const read = await clients.readBack(keys);
  const compacted = await clients.readBack(keys, { compact: true });
  expect(compacted.values).toEqual(read.values);
  const history = [...clients.history(), ...read.history, ...compacted.history];
  console.log(JSON.stringify({ ...countOutcomes(history), ...clients.blows }));
  for (const key of keys) expect(blindWriteProblems(history, key, options)).toEqual([]);
  expect(countOutcomes(history).fail).toBe(0);
});
