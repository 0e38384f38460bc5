/**
 * What does not wait for each other. Calls of the medium are held until as many have come as there are at work: if one of them waited for
 * another one, they would never come together, and the test would not end.
 */
import { expect, it } from 'vitest';
import { nodeSystem, open, type Store } from '../../../src/index.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { Barrier, type Gate, gated } from '../../support/gated-medium.ts';

const NAMES = ['a', 'b', 'c', 'd'] as const;
const FOREVER = new Promise<void>(() => {});
const increment = (count = 0): number => count + 1;

function newMedium(): MemoryMedium {
  return new MemoryMedium({ system: nodeSystem, canAppend: true, blocking: false });
}

/** A handle as another process would have one; its calls at the medium pass `gate`. */
function openGated(medium: MemoryMedium, gate: Gate = () => undefined): Promise<Store> {
  return open(gated(medium, gate), { autoCompact: false });
}

/** Everything that changes or reads a namespace. */
async function workIn(store: Store, other: Store, name: string): Promise<void> {
  const [items, elsewhere] = [store.namespace<number>(name), other.namespace<number>(name)];
  await items.put('x', 1);
  await items.batch([
    { type: 'put', key: 'y', value: 2 },
    { type: 'delete', key: 'x' },
  ]);
  // At once, so that those that lose a race queue for the lock of their stripe.
  await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? items : elsewhere).update('counter', increment)));
  await items.updateMany(['y', 'z'], ([y = 0, z = 0]) => [y + 1, z + 1]);
  expect(await elsewhere.get('counter')).toBe(20);
  await store.compact({ namespace: name });
  const keys: string[] = [];
  for await (const { key } of elsewhere.scan()) keys.push(key);
  expect(keys).toEqual(['counter', 'y', 'z']);
  const snapshot = await items.snapshot();
  expect(await snapshot.get('y')).toBe(3);
  snapshot.close();
  expect(await store.dropNamespace(name)).toBe(true);
  expect(await store.createNamespace(name)).toBe(true);
}

it('work in one namespace touches no file of another one, and no lock that is not its own', async () => {
  const medium = newMedium();
  const touched = new Set<string>();
  const note: Gate = (_, name) => void touched.add(name);
  const [store, other] = [await openGated(medium, note), await openGated(medium, note)];
  for (const name of ['a', 'b']) await store.namespace(name).put('x', 0);
  touched.clear();
  await workIn(store, other, 'a');
  expect([...touched].some((name) => name.startsWith('lock/stripe/a%2f'))).toBe(true);
  expect([...touched].some((name) => name.startsWith('lock/compactor/a/'))).toBe(true);
  expect([...touched].filter((name) => !/^(ns\/a|lock\/compactor\/a|lock\/stripe\/a%2f\d+)\//.test(name))).toEqual([]);
  await Promise.all([store.close(), other.close()]);
});

it('a namespace whose files give no answer holds up nothing in another one', async () => {
  const medium = newMedium();
  const made = await openGated(medium);
  for (const name of ['a', 'b']) await made.namespace(name).put('x', 0);
  await made.close();
  const silent: Gate = (_, name) => (name.startsWith('ns/a/') ? FOREVER : undefined);
  const [store, other] = [await openGated(medium, silent), await openGated(medium, silent)];
  const a = store.namespace<number>('a');
  const stuck = [a.put('x', 1), a.update('x', increment), a.get('x'), store.compact({ namespace: 'a' })];
  let answers = 0;
  for (const call of stuck) {
    void call.finally(() => {
      answers++;
    });
  }
  await workIn(store, other, 'b');
  expect(answers).toBe(0);
});

it('namespaces are compacted at the same time', async () => {
  const medium = newMedium();
  const barrier = new Barrier(NAMES.length);
  let isHeld = false;
  const store = await openGated(medium, (method, name) =>
    isHeld && method === 'putIfAbsent' && name.includes('/root/') ? barrier.pass() : undefined,
  );
  for (const name of NAMES) await store.namespace(name).put('x', 0);
  isHeld = true;
  const summaries = await Promise.all(NAMES.map((namespace) => store.compact({ namespace })));
  expect(summaries.flat().map(({ framesIn }) => framesIn)).toEqual([1, 1, 1, 1]);
  await store.close();
});

it('a standing compactor takes as many namespaces at the same time as it may', async () => {
  const medium = newMedium();
  const store = await openGated(medium);
  for (const name of NAMES) await store.namespace(name).put('x', 0);
  const barrier = new Barrier(NAMES.length);
  const compactor = await openGated(medium, (method, name) =>
    method === 'putIfAbsent' && name.includes('/root/') ? barrier.pass() : undefined,
  );
  const stop = new AbortController();
  const done = new Set<string>();
  await compactor.runCompactor({
    signal: stop.signal,
    concurrency: NAMES.length,
    gatherMs: 1,
    onEvent: ({ event, namespace = '' }) => {
      if (event === 'pass') done.add(namespace);
      if (done.size === NAMES.length) stop.abort();
    },
  });
  expect([...done].sort()).toEqual(NAMES);
  await Promise.all([store.close(), compactor.close()]);
});

it('appends of several processes to one namespace are on their way at the same time', async () => {
  const medium = newMedium();
  let barrier = new Barrier(1);
  const gate: Gate = (method) => (method === 'sync' ? barrier.pass() : undefined);
  const stores = await Promise.all(Array.from({ length: 16 }, () => openGated(medium, gate)));
  const handles = stores.map((store) => store.namespace<number>('items'));
  await Promise.all(handles.map((items, i) => items.put(`key${i}`, 0)));
  for (let round = 1; round <= 3; round++) {
    barrier = new Barrier(handles.length);
    await Promise.all(handles.map((items, i) => items.put(`key${i}`, round)));
    // One sync each, and none for the sake of the others.
    expect(barrier.arrived).toBe(handles.length);
  }
  await Promise.all(stores.map((store) => store.close()));
});

it('an append makes the same two calls, whether nobody or fifteen others append as well', async () => {
  const medium = newMedium();
  const calls: string[] = [];
  const store = await openGated(medium, (method, name) => void calls.push(`${method} ${name.split('/')[2] ?? ''}`));
  const items = store.namespace<number>('items');
  const others = await Promise.all(Array.from({ length: 15 }, () => openGated(medium)));
  const handles = others.map((other) => other.namespace<number>('items'));
  const appended = async (beside: () => readonly Promise<unknown>[]): Promise<readonly string[]> => {
    calls.length = 0;
    const besides = beside();
    for (let i = 0; i < 10; i++) await items.put('mine', i);
    await Promise.all(besides);
    return [...calls];
  };
  await appended(() => handles.map((other, i) => other.put(`key${i}`, 0)));
  const alone = await appended(() => []);
  const together = await appended(() => handles.flatMap((other, i) => Array.from({ length: 10 }, (_, n) => other.put(`key${i}`, n))));
  expect(alone).toEqual(Array(10).fill(['write log', 'sync log']).flat());
  expect(together).toEqual(alone);
  await Promise.all([store, ...others].map((one) => one.close()));
});

it('updates of keys in different stripes are on their way at the same time, and take no lock', async () => {
  const medium = newMedium();
  let barrier = new Barrier(1);
  const puts = new Set<string>();
  const gate: Gate = (method, name) => {
    if (method !== 'putIfAbsent') return undefined;
    puts.add(name);
    return name.includes('/log/s') ? barrier.pass() : undefined;
  };
  const stores = await Promise.all(NAMES.map(() => openGated(medium, gate)));
  const handles = stores.map((store) => store.namespace<number>('items'));
  await Promise.all(handles.map((items, i) => items.put(`key${i}`, 0)));
  barrier = new Barrier(handles.length);
  puts.clear();
  await Promise.all(handles.map((items, i) => items.update(`key${i}`, increment)));
  expect(puts.size).toBe(handles.length);
  expect([...puts].filter((name) => name.startsWith('lock/'))).toEqual([]);
  await Promise.all(stores.map((store) => store.close()));
});

it('a compactor that stands still before any of its calls holds up no append, no read and no update', async () => {
  let isStill = true;
  let calls = 0;
  while (isStill) {
    const medium = newMedium();
    const store = await openGated(medium);
    const items = store.namespace<number>('items');
    await items.put('x', 1);
    await items.update('counter', increment);
    await store.compact();
    await items.put('x', 2);
    await items.update('counter', increment);

    calls++;
    let left = Number.POSITIVE_INFINITY;
    const halt = new Barrier(1);
    const halted = await openGated(medium, () => (--left > 0 ? undefined : halt.pass().then(() => FOREVER)));
    left = calls;
    isStill = await Promise.race([halt.opened.then(() => true), halted.compact().then(() => false)]);
    await items.put('x', 3);
    expect(await items.get('x')).toBe(3);
    expect((await items.update('counter', increment)).value).toBe(3);
    const late = await openGated(medium);
    expect(await late.namespace('items').getMany(['x', 'counter'])).toEqual([3, 3]);
    await Promise.all([store.close(), late.close()]);
  }
  expect(calls).toBeGreaterThan(15);
});
