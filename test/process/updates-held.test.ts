/** While one process holds every lock of every stripe, and locks that callers named, all that takes no lock goes on. */
import { expect, it } from 'vitest';
import { testSeed } from '../support/child.ts';
import { Clients, countOutcomes } from '../support/history-clients.ts';
import { randomFrom } from '../support/random.mjs';

const NAMES = Array.from({ length: 8 }, (_, i) => `deploy/${i}`);

it('appends, reads, compare-and-sets and the compactor go on, and only who would queue has to wait', async () => {
  const clients = new Clients(randomFrom(testSeed()));
  const keys = Array.from({ length: 40 }, (_, i) => `key/${i}`);
  await clients.run({ role: 'fund', keys, value: '0:before' });
  const holder = clients.start('holder', { role: 'hold', names: NAMES });
  expect(await holder.line('holds')).toBe('holds 65');

  const compactor = clients.startCompactor();
  const work = { role: 'mixed', keys, operations: 400, inFlight: 4, putsPerMille: 1000 };
  const appended = Array.from({ length: 3 }, (_, p) => clients.run({ ...clients.noting(`put${p}`), ...work }));
  const claimed = clients.run({ ...clients.noting('claim'), role: 'claim', keys: ['task'], operations: 20 });
  await Promise.all([...appended, claimed]);
  expect(await clients.stopCompactor()).toEqual([]);
  expect(compactor.lines.filter((line) => line.includes('"event":"pass"'))).not.toEqual([]);
  const read = await clients.readBack(keys, { compact: true });
  expect(Object.values(read.values).filter((value) => !/^0:put\d/.test(value ?? ''))).toEqual([]);
  expect(read).toMatchObject({ records: 0 });

  const waiting = { role: 'count', keys, operations: 3, update: { maxWaitMs: 300 } };
  await clients.run({ ...clients.noting('waiting'), ...waiting });
  const history = clients.history();
  expect(history.filter(({ client }) => client === 'waiting').map(({ code }) => code)).toEqual(Array(3).fill('LOCK_TIMEOUT'));
  expect(countOutcomes(history.filter(({ client }) => client !== 'waiting'))).toEqual({ ok: 3 * 400 + 40, fail: 0, unknown: 0 });

  // Nobody took them away meanwhile; and when they are given back, updates go on.
  holder.kill('SIGTERM');
  expect(await holder.exit).toEqual({ code: 0, signal: null });
  expect(holder.numbers('lost')).toEqual([0]);
  await clients.run({ ...clients.noting('after'), ...waiting });
  expect(countOutcomes(clients.history().filter(({ client }) => client === 'after'))).toEqual({ ok: 3, fail: 0, unknown: 0 });
});
