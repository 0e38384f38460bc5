/** Watching across compactions, deletions and horizons, on a virtual clock. */
import { describe, expect, it } from 'vitest';
import { MemoryMedium, type Namespace, open, type Store, type WatchEvent } from '../../../src/index.ts';
// Loaded lazily by the library; here it must be there before virtual time goes on.
import '../../../src/medium/waker.ts';
import '../../../src/read/watcher.ts';
import { settle, VirtualSystem } from '../../support/virtual-system.ts';
import { Watch } from '../../support/watch-events.ts';

interface World {
  readonly system: VirtualSystem;
  readonly store: Store;
  readonly items: Namespace;
  readonly medium: MemoryMedium;
}

async function world(canAppend: boolean, seed = 1): Promise<World> {
  const system = new VirtualSystem(undefined, { seed });
  const medium = new MemoryMedium({ system, canAppend });
  const store = await open(medium, { system, autoCompact: false });
  return { system, store, items: store.namespace('items'), medium };
}

async function compact({ system, store }: World): Promise<void> {
  await system.time.until(store.compact());
}

/** Makes roots age: each round a write and a pass, a minute apart. */
async function rounds(w: World, count: number, other = 'clock'): Promise<void> {
  for (let i = 0; i < count; i++) {
    await w.items.put(other, i);
    await w.system.advance(61_000);
    await compact(w);
  }
}

describe.each([true, false])('a watch on a medium with append: %s', (canAppend) => {
  it('tells each change while it keeps up, compaction or not', async () => {
    const w = await world(canAppend);
    await w.items.put('old', 0);
    const watch = new Watch(w.items);
    await w.system.advance(200);
    for (let i = 0; i < 10; i++) {
      await w.items.put('a', i);
      await w.system.advance(150);
      if (i % 3 === 0) await compact(w);
    }
    await w.items.delete('a');
    await w.system.advance(200);
    expect(watch.texts).toEqual([...Array.from({ length: 10 }, (_, i) => `a=${i}`), '-a']);
    await watch.stop(w.system);
  });

  it('that was away while segments were absorbed and deleted is told the last change of each key', async () => {
    const w = await world(canAppend);
    const first = new Watch(w.items);
    await w.system.advance(200);
    await w.items.put('start', 1);
    await w.system.advance(200);
    const { token } = first;
    await first.stop(w.system);

    await w.items.put('a', 1);
    await w.items.put('a', 2);
    await w.items.put('b', 1);
    await w.items.delete('b');
    await rounds(w, 8);
    const second = new Watch(w.items, token);
    await w.system.advance(200);
    expect(second.texts).toContain('a=2');
    expect(second.texts).toContain('-b');
    expect(second.texts).not.toContain('resync');
    const lastOf = (key: string): string | undefined => second.texts.findLast((text) => text === `-${key}` || text.startsWith(`${key}=`));
    expect(lastOf('a')).toBe('a=2');
    expect(lastOf('b')).toBe('-b');
    await w.items.put('c', 1);
    await w.system.advance(200);
    expect(second.texts.at(-1)).toBe('c=1');
    await second.stop(w.system);
  });

  it('that was away until a horizon had passed its token is told to resync, and goes on from there', async () => {
    const w = await world(canAppend);
    // A writer that fell silent makes a drain worth it.
    await w.items.put('start', 1);
    const first = new Watch(w.items);
    await w.system.advance(200);
    await w.items.put('start', 2);
    await w.system.advance(200);
    const { token } = first;
    await first.stop(w.system);
    for (let i = 0; i < 150; i++) {
      await w.items.delete(`k${i}`);
      await rounds(w, 1);
    }
    expect((await w.items.stats()).horizon).toBeGreaterThan(0);
    const second = new Watch(w.items, token);
    await w.system.advance(200);
    expect(second.texts[0]).toBe('resync');
    await w.items.put('after', 1);
    await w.system.advance(200);
    expect(second.texts.at(-1)).toBe('after=1');
    await second.stop(w.system);
  });

  it('is told to resync by a drop, and goes on with the namespace that is created after it', async () => {
    const w = await world(canAppend);
    await w.items.put('a', 1);
    const watch = new Watch(w.items);
    await w.system.advance(200);
    await w.store.dropNamespace('items');
    await w.system.advance(200);
    expect(watch.texts).toEqual(['resync']);
    await w.store.createNamespace('items');
    const again = w.store.namespace('items');
    await again.put('seen by who resyncs', 1);
    await w.system.advance(200);
    expect(watch.texts).toEqual(['resync', 'resync']);
    await again.put('b', 1);
    await w.system.advance(200);
    expect(watch.texts).toEqual(['resync', 'resync', 'b=1']);

    await w.store.dropNamespace('items');
    await w.store.createNamespace('items');
    await w.system.advance(200);
    expect(watch.texts.at(-1)).toBe('resync');
    await watch.stop(w.system);
  });

  it('of a namespace that is not there yet is told everything once it is', async () => {
    const w = await world(canAppend);
    const first = new Watch(w.items);
    await w.system.advance(200);
    await first.stop(w.system);
    const second = new Watch(w.items);
    await w.system.advance(200);
    await w.items.put('a', 1);
    await compact(w);
    await w.system.advance(200);
    expect(second.texts).toContain('a=1');
    await second.stop(w.system);
  });

  it('orders what its process writes in answer to an event behind that event', async () => {
    const system = new VirtualSystem();
    const slow = new VirtualSystem(system.time, { wallOffsetMs: -60_000, seed: 2 });
    const medium = new MemoryMedium({ system, canAppend });
    const ahead = await open(medium, { system, autoCompact: false });
    const behind = await open(medium, { system: slow, autoCompact: false });
    const watch = new Watch(behind.namespace('items'));
    await system.advance(200);
    await ahead.namespace('items').put('a', 'question');
    await system.advance(200);
    expect(watch.texts).toEqual(['a=question']);
    await behind.namespace('items').put('a', 'answer');
    expect(await ahead.namespace('items').get('a')).toBe('answer');
    await watch.stop(system);
  });

  it('gives the token of the whole look only to its last event, so that who stops in the middle misses nothing', async () => {
    const w = await world(canAppend);
    const first = new Watch(w.items);
    await w.system.advance(200);
    await w.items.batch([
      { type: 'put', key: 'a', value: 1 },
      { type: 'put', key: 'b', value: 1 },
      { type: 'put', key: 'c', value: 1 },
    ]);
    await w.system.advance(200);
    expect(first.texts).toEqual(['a=1', 'b=1', 'c=1']);
    const middle = (first.events[0] as WatchEvent<unknown>).token;
    await first.stop(w.system);
    const second = new Watch(w.items, middle);
    await w.system.advance(200);
    expect(second.texts).toEqual(['a=1', 'b=1', 'c=1']);
    await second.stop(w.system);
  });

  it('tells a batch of any size', async () => {
    const w = await world(canAppend);
    await w.items.put('start', 1);
    const watch = new Watch(w.items);
    await w.system.advance(200);
    await w.items.batch(Array.from({ length: 200_000 }, (_, i) => ({ type: 'put', key: `k${i}`, value: i })));
    await w.system.advance(200);
    await settle();
    await watch.stop(w.system);
    expect(watch.events.length).toBe(200_000);
  });

  it('with the token of another store, a copy for example, is told to resync', async () => {
    const one = await world(canAppend);
    const two = await world(canAppend, 2);
    for (const w of [one, two]) await w.items.put('a', 1);
    const first = new Watch(one.items);
    await one.system.advance(200);
    await one.items.put('a', 2);
    await one.system.advance(200);
    const second = new Watch(two.items, first.token);
    await two.system.advance(200);
    expect(second.texts).toEqual(['resync']);
    await two.items.put('b', 1);
    await two.system.advance(200);
    expect(second.texts).toEqual(['resync', 'b=1']);
    await first.stop(one.system);
    await second.stop(two.system);
  });

  it('refuses a token that is none, or of another namespace', async () => {
    const w = await world(canAppend);
    await w.items.put('a', 1);
    expect(() => w.items.watch({ from: 'nonsense' })).toThrow(TypeError);
    const watch = new Watch(w.items);
    await w.system.advance(200);
    await w.items.put('a', 2);
    await w.system.advance(200);
    expect(() => w.store.namespace('other').watch({ from: watch.token })).toThrow(RangeError);
    await watch.stop(w.system);
    await settle();
  });
});
