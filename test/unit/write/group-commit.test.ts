/** Calls that come together share a write and a sync. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Namespace, nodeSystem, type OpenOptions, open } from '../../../src/index.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { Barrier, gated } from '../../support/gated-medium.ts';

/** A namespace that was written to, and the calls that it makes at the medium; each sync waits for `barrier`, if there is one. */
async function openCounted(options: OpenOptions = {}, { canAppend = true } = {}) {
  const counted = { calls: [] as string[], barrier: undefined as Barrier | undefined };
  const medium = gated(new MemoryMedium({ system: nodeSystem, canAppend }), (method) => {
    counted.calls.push(method);
    return method === 'sync' ? counted.barrier?.pass() : undefined;
  });
  const store = await open(medium, { ...options, autoCompact: false });
  const items = store.namespace<number>('items');
  await items.put('first', 0);
  counted.calls.length = 0;
  return { store, items, counted };
}

function putMany(items: Namespace<number>, from: number, to: number): Promise<unknown>[] {
  return Array.from({ length: to - from }, (_, i) => items.put(`k${from + i}`, from + i));
}

describe('a group of appends', () => {
  it('of one turn takes one write and one sync', async () => {
    const { store, items, counted } = await openCounted();
    await Promise.all(putMany(items, 0, 64));
    expect(counted.calls).toEqual(['write', 'sync']);
    await store.close();
  });

  it('is formed of all that comes while a sync is on its way', async () => {
    const { store, items, counted } = await openCounted();
    counted.barrier = new Barrier(2);
    const first = items.put('k0', 0);
    while (!counted.calls.includes('sync')) await turn();
    const others: Promise<unknown>[] = [];
    for (let i = 1; i < 64; i++) {
      others.push(...putMany(items, i, i + 1));
      await turn();
    }
    void counted.barrier.pass();
    await Promise.all([first, ...others]);
    expect(counted.calls.filter((call) => call === 'sync').length).toBeLessThanOrEqual(3);
    expect(await items.get('k63')).toBe(63);
    await store.close();
  });

  it('is one object where nothing can be appended to', async () => {
    const { store, items, counted } = await openCounted({}, { canAppend: false });
    await Promise.all(putMany(items, 0, 64));
    expect(counted.calls).toEqual(['putIfAbsent']);
    await store.close();
  });

  it('is not synced with durability os', async () => {
    const { store, items, counted } = await openCounted({ durability: 'os' });
    await Promise.all(putMany(items, 0, 64));
    expect(counted.calls).toEqual(['write']);
    await store.close();
  });
});
