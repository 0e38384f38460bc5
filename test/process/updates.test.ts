/**
 * Updates among processes, beside a compactor: none is lost or made twice, also where processes are stopped for longer than a lease, or
 * killed, in the middle of it. What each client did and was told is checked for linearizability. PEAT_SEED repeats a run, as far as
 * real processes can be repeated. Runs what `npx tsc -p .` built.
 */
import { describe, expect, it } from 'vitest';
import { STRIPE_LEASE_MS } from '../../src/update/updater.ts';
import { testSeed } from '../support/child.ts';
import type { Operation, Value } from '../support/history.ts';
import { Clients, countOutcomes, type ReadBack } from '../support/history-clients.ts';
import { linearizabilityProblems } from '../support/linearizable-registers.ts';
import { randomFrom } from '../support/random.mjs';

const PROCESSES = 8;
const INCREMENTS = 1000;

const numberOf = (value: Value | undefined): number => Number(value?.split(':')[0] ?? 0);
const countsOf = ({ values }: ReadBack): number[] => Object.values(values).map(numberOf);
const total = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);
const updatesOf = (history: readonly Operation[]): Operation[] => history.filter(({ what }) => what === 'update');
const keysOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `counter/${i}`);

describe('a counter that processes increment', () => {
  it(`${PROCESSES} processes × ${INCREMENTS} increments make exactly ${PROCESSES * INCREMENTS}, before and after a compaction`, async () => {
    const clients = new Clients(randomFrom(testSeed()));
    const keys = keysOf(1);
    clients.startCompactor();
    const work = { role: 'count', keys, operations: INCREMENTS, inFlight: 16, readsPerMille: 50 };
    for (let p = 0; p < PROCESSES; p++) clients.start(`p${p}`, work);
    await clients.finish();
    expect(await clients.stopCompactor()).toEqual([]);

    const history = clients.history();
    const read = await clients.readBack(keys);
    expect(countsOf(read)).toEqual([PROCESSES * INCREMENTS]);
    const compacted = await clients.readBack(keys, { compact: true });
    expect(compacted.values).toEqual(read.values);
    expect(compacted).toMatchObject({ records: 0, tableEntries: 1 });
    expect(countOutcomes(updatesOf(history))).toEqual({ ok: PROCESSES * INCREMENTS, fail: 0, unknown: 0 });
    expect(linearizabilityProblems([...history, ...read.history, ...compacted.history])).toEqual([]);
  });

  it('many counters at once are each exact, though each process increments all of them', async () => {
    const clients = new Clients(randomFrom(testSeed()));
    const keys = keysOf(24);
    clients.startCompactor();
    const work = { role: 'count', keys, operations: 120, inFlight: 8, hotPerMille: 200, readsPerMille: 100 };
    for (let p = 0; p < PROCESSES; p++) clients.start(`p${p}`, work);
    await clients.finish();
    expect(await clients.stopCompactor()).toEqual([]);

    const history = clients.history();
    const read = await clients.readBack(keys, { compact: true });
    const expected = keys.map((key) => updatesOf(history).filter(({ writes }) => key in writes).length);
    expect(countsOf(read)).toEqual(expected);
    expect(total(expected)).toBe(PROCESSES * 120);
    expect(linearizabilityProblems([...history, ...read.history])).toEqual([]);
  });
});

describe('under attack', () => {
  it(`a counter counts what was acknowledged, and at most what was not, while holders are stopped for longer than a lease, or killed`, async () => {
    const clients = new Clients(randomFrom(testSeed()));
    const keys = keysOf(8);
    await clients.run({ role: 'read', keys });
    clients.startCompactor();
    const work = { role: 'count', keys, operations: INCREMENTS, inFlight: 8, hotPerMille: 700, readsPerMille: 50 };
    for (let p = 0; p < PROCESSES; p++) clients.start(`p${p}`, work);
    await clients.attack({ key: keys[0] as string, everyMs: 200, stopMs: STRIPE_LEASE_MS + 600, blowsMax: 50 });
    await clients.finish();
    await clients.stopCompactor();

    const history = clients.history();
    const read = await clients.readBack(keys);
    const compacted = await clients.readBack(keys, { compact: true });
    expect(compacted.values).toEqual(read.values);
    const { ok, fail, unknown } = countOutcomes(updatesOf(history));
    console.log(JSON.stringify({ ok, unknown, ...clients.blows, counted: total(countsOf(read)) }));
    expect(ok + unknown).toBe(PROCESSES * INCREMENTS);
    expect(fail).toBe(0);
    for (const [key, value] of Object.entries(read.values)) {
      const own = countOutcomes(updatesOf(history).filter(({ writes }) => key in writes));
      expect(numberOf(value), key).toBeGreaterThanOrEqual(own.ok);
      expect(numberOf(value), key).toBeLessThanOrEqual(own.ok + own.unknown);
    }
    expect(linearizabilityProblems([...history, ...read.history, ...compacted.history])).toEqual([]);
    expect(clients.blows.kills).toBeGreaterThan(5);
    expect(clients.blows.stops).toBeGreaterThan(0);
  });
  it(`${PROCESSES} processes × ${INCREMENTS} steps make exactly ${PROCESSES * INCREMENTS}, though every 200 ms a holder is killed, or stopped for longer than a lease`, async () => {
    const clients = new Clients(randomFrom(testSeed()));
    const keys = ['tally'];
    await clients.run({ role: 'read', keys });
    clients.startCompactor();
    for (let p = 0; p < PROCESSES; p++) {
      clients.start(`p${p}`, { role: 'tally', name: `p${p}`, keys, operations: INCREMENTS, inFlight: 8 });
    }
    await clients.attack({ key: keys[0] as string, everyMs: 200, stopMs: STRIPE_LEASE_MS + 600, blowsMax: 50 });
    await clients.finish();
    await clients.stopCompactor();
    console.log(JSON.stringify(clients.blows));
    const steps = Object.fromEntries(Array.from({ length: PROCESSES }, (_, p) => [`p${p}`, INCREMENTS]));
    const exact = { tally: { total: PROCESSES * INCREMENTS, steps } };
    expect((await clients.readBack(keys)).values).toEqual(exact);
    expect((await clients.readBack(keys, { compact: true })).values).toEqual(exact);
    expect(clients.blows.kills).toBeGreaterThan(5);
    expect(clients.blows.stops).toBeGreaterThan(0);
  });
});

describe('putIf', () => {
  it('gives each task to exactly one of those who want it', async () => {
    const clients = new Clients(randomFrom(testSeed()));
    const tasks = Array.from({ length: 40 }, (_, i) => `task/${i}`);
    for (let p = 0; p < PROCESSES; p++) clients.start(`p${p}`, { role: 'claim', keys: tasks, operations: tasks.length, once: true });
    await clients.finish();
    const history = clients.history();
    const wins = history.filter(({ writes }) => Object.keys(writes).length > 0);
    expect(wins.flatMap(({ writes }) => Object.keys(writes)).sort()).toEqual([...tasks].sort());
    expect((await clients.readBack(tasks)).values).toEqual(Object.assign({}, ...wins.map(({ writes }) => writes)));
    expect(linearizabilityProblems(history)).toEqual([]);
  });

  it('lets one at a time hold a task that is taken and given back again and again', async () => {
    const clients = new Clients(randomFrom(testSeed()));
    const tasks = ['task/0', 'task/1', 'task/2'];
    clients.startCompactor();
    for (let p = 0; p < PROCESSES; p++) clients.start(`p${p}`, { role: 'claim', keys: tasks, operations: 80, inFlight: 2 });
    await clients.finish();
    expect(await clients.stopCompactor()).toEqual([]);
    const history = clients.history();
    const read = await clients.readBack(tasks);
    expect(Object.values(read.values)).toEqual([null, null, null]);
    expect(linearizabilityProblems([...history, ...read.history])).toEqual([]);
    expect(history.filter(({ what }) => what === 'unclaim').length).toBeGreaterThan(20);
  });
});

describe('updateMany', () => {
  it('keeps the sum of accounts the same at every look, beside single updates, kills and stops', async () => {
    const clients = new Clients(randomFrom(testSeed()));
    const keys = Array.from({ length: 6 }, (_, i) => `account/${i}`);
    const sum = 1000 * keys.length;
    await clients.run({ role: 'fund', keys, value: '1000:bank' });
    clients.startCompactor();
    for (let p = 0; p < 6; p++) clients.start(`p${p}`, { role: 'transfer', keys, operations: 150, inFlight: 2 });
    await clients.attack({ key: keys[0] as string, everyMs: 300, stopMs: STRIPE_LEASE_MS + 600, blowsMax: 25 });
    await clients.finish();
    await clients.stopCompactor();

    const history = clients.history();
    console.log(JSON.stringify({ ...countOutcomes(history), ...clients.blows }));
    const initial = Object.fromEntries(keys.map((key) => [key, '1000:bank']));
    const read = await clients.readBack(keys);
    expect(total(countsOf(read))).toBe(sum);
    const seen = history.filter(({ what, outcome }) => what === 'look' && outcome === 'ok');
    expect(seen.map(({ reads }) => total(Object.values(reads).map(numberOf))).filter((found) => found !== sum)).toEqual([]);
    expect(seen.length).toBeGreaterThan(20);
    expect(linearizabilityProblems([...history, ...read.history], { initial })).toEqual([]);
  });
});
