/** What a store promises, on every medium: in memory and on files, with and without append. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Namespace, nodeSystem, type Store, type WatchEvent } from '../../src/index.ts';
import { PLACES, SKIPPED } from '../support/places.ts';

async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of iterable) all.push(item);
  return all;
}

const keysOf = async (iterable: AsyncIterable<{ key: string }>): Promise<string[]> => (await collect(iterable)).map(({ key }) => key);

describe.skipIf(SKIPPED !== undefined).each(PLACES)('a store on $name', (place) => {
  let here: ReturnType<(typeof place)['make']>;
  let store: Store;
  let other: Store;
  let items: Namespace;
  /** The same namespace through another handle, as another process would see it. */
  let elsewhere: Namespace;

  beforeEach(async () => {
    here = place.make();
    store = await here.open();
    other = await here.open();
    items = store.namespace('items');
    elsewhere = other.namespace('items');
  });

  afterEach(async () => {
    await store.close();
    await other.close();
    await here.remove();
  });

  it('reads what was written, at once and through other handles', async () => {
    await items.put('a', { n: 1 });
    expect(await items.get('a')).toEqual({ n: 1 });
    expect(await elsewhere.get('a')).toEqual({ n: 1 });
    await elsewhere.put('a', { n: 2 });
    expect(await items.get('a')).toEqual({ n: 2 });
    await items.delete('a');
    expect(await elsewhere.get('a')).toBeUndefined();
    expect(await elsewhere.has('a')).toBe(false);
  });

  it('reads a namespace that nobody has written to as empty, and fails where it must exist', async () => {
    expect(await items.get('a')).toBeUndefined();
    expect(await collect(items.scan())).toEqual([]);
    await expect(store.namespace('other', { create: false }).get('a')).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
    await expect(store.namespace('other', { create: false }).put('a', 1)).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
    expect(await store.namespaces()).toEqual([]);
  });

  it('gives the same answers before, between and after compactions', async () => {
    const expected = new Map<string, unknown>();
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 40; i++) {
        const key = `k${(i * 7 + round * 13) % 60}`;
        if ((i + round) % 5 === 0) {
          await items.delete(key);
          expected.delete(key);
        } else {
          await (i % 2 === 0 ? items : elsewhere).put(key, { round, i });
          expected.set(key, { round, i });
        }
      }
      for (const handle of [items, elsewhere]) {
        const entries = await collect(handle.scan());
        expect(new Map(entries.map(({ key, value }) => [key, value]))).toEqual(expected);
        for (let i = 0; i < 60; i++) expect(await handle.get(`k${i}`)).toEqual(expected.get(`k${i}`));
      }
      const [summary] = await store.compact();
      expect(summary).toMatchObject({ namespace: 'items', more: false, warnings: [] });
    }
  });

  it('commits a batch as a whole, the later of two operations on one key counting', async () => {
    await items.put('gone', 1);
    await items.batch([
      { type: 'put', key: 'a', value: 1 },
      { type: 'put', key: 'b', value: 2 },
      { type: 'put', key: 'a', value: 3 },
      { type: 'delete', key: 'gone' },
    ]);
    expect(await elsewhere.getMany(['a', 'b', 'gone'])).toEqual([3, 2, undefined]);
  });

  it('keeps the order of calls that were not awaited', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, i) => items.put('counter', i)));
    expect(await elsewhere.get('counter')).toBe(199);
  });

  it('keeps the order of writes through two handles of one process', async () => {
    const second = store.namespace('items');
    for (let i = 0; i < 20; i++) {
      await items.put('a', 2 * i);
      await second.put('a', 2 * i + 1);
      expect(await elsewhere.get('a')).toBe(2 * i + 1);
    }
  });

  it('writes blocking where the medium can, behind what was called before, and refuses it elsewhere', async () => {
    await store.createNamespace('items');
    if (!place.isBlocking) {
      expect(() => items.putSync('a', 1)).toThrow(expect.objectContaining({ code: 'MEDIUM_UNSUITABLE' }));
      return;
    }
    const earlier = items.put('a', 'earlier');
    const token = items.putSync('a', 'blocking');
    expect(await elsewhere.get('a')).toBe('blocking');
    await earlier;
    expect(await elsewhere.get('a')).toBe('blocking');
    await elsewhere.waitFor(token);
    items.batchSync([
      { type: 'put', key: 'b', value: 1 },
      { type: 'delete', key: 'a' },
    ]);
    items.deleteSync('none');
    expect(await elsewhere.getMany(['a', 'b'])).toEqual([undefined, 1]);
    for (let i = 0; i < 50; i++) {
      const pending = items.put('c', i);
      if (i % 3 === 0) await Promise.resolve();
      items.putSync('c', `sync ${i}`);
      expect(await elsewhere.get('c')).toBe(`sync ${i}`);
      await pending;
    }
    await items.close();
    await store.compact();
    expect(await elsewhere.getMany(['b', 'c'])).toEqual([1, 'sync 49']);
  });

  it('keeps all of many concurrent writes of several handles', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? items : elsewhere).put(`k${i}`, i)));
    expect(await collect(items.scan())).toHaveLength(300);
  });

  it('orders keys by their UTF-8 bytes', async () => {
    // U+FF21 is less than U+1F600 in UTF-8, and greater in UTF-16.
    const keys = ['Z', 'a', 'é', '\uff21', '\u{1f600}', 'a\0', 'a b', '\u07ff', '\u0800'];
    for (const key of keys) await items.put(key, 1);
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await keysOf(items.scan())).toEqual(sorted);
    await store.compact();
    expect(await keysOf(items.scan())).toEqual(sorted);
    expect(await keysOf(items.scan({ reverse: true }))).toEqual(sorted.reverse());
  });

  it.each([
    ['in the log', false],
    ['in tables', true],
  ])('scans ranges %s', async (_where, compacted) => {
    for (let i = 0; i < 100; i++) await items.put(`k${String(i).padStart(3, '0')}`, i);
    await items.put('other', 1);
    if (compacted) await store.compact();
    await items.delete('k005');
    expect(await keysOf(elsewhere.scan({ prefix: 'k00' }))).toEqual([
      'k000',
      'k001',
      'k002',
      'k003',
      'k004',
      'k006',
      'k007',
      'k008',
      'k009',
    ]);
    expect(await keysOf(elsewhere.scan({ gt: 'k001', lt: 'k004' }))).toEqual(['k002', 'k003']);
    expect(await keysOf(elsewhere.scan({ gte: 'k001', lte: 'k004' }))).toEqual(['k001', 'k002', 'k003', 'k004']);
    expect(await keysOf(elsewhere.scan({ prefix: 'k', reverse: true, limit: 2 }))).toEqual(['k099', 'k098']);
    expect(await keysOf(elsewhere.scan({ gt: 'k098' }))).toEqual(['k099', 'other']);
    expect(await keysOf(elsewhere.scan({ gt: 'x', lt: 'a' }))).toEqual([]);
    expect(await keysOf(elsewhere.scan({ limit: 0 }))).toEqual([]);
    expect(await collect(elsewhere.scan({ limit: 1, values: false }))).toEqual([{ key: 'k000', value: undefined }]);
    expect(await collect(elsewhere.scan({ limit: 1, keys: false }))).toEqual([{ key: undefined, value: 0 }]);
  });

  it('lets a scan be left early', async () => {
    for (let i = 0; i < 10; i++) await items.put(`k${i}`, i);
    for await (const { key } of items.scan()) if (key === 'k3') break;
    expect(await items.get('k9')).toBe(9);
  });

  it('expires keys by time to live and by date', async () => {
    const nowMs = Date.now();
    await items.put('dead', 1, { expiresAt: nowMs - 1000 });
    await items.put('alive', 1, { expiresAt: new Date(nowMs + 60_000) });
    await items.batch([{ type: 'put', key: 'ttl', value: 1, ttlMs: 60_000 }]);
    for (const round of [0, 1]) {
      if (round === 1) await store.compact();
      expect(await elsewhere.getMany(['dead', 'alive', 'ttl'])).toEqual([undefined, 1, 1]);
      expect(await keysOf(elsewhere.scan())).toEqual(['alive', 'ttl']);
    }
  });

  it('shows a snapshot one moment, whatever is written, compacted and deleted', async () => {
    for (let i = 0; i < 50; i++) await items.put(`k${i}`, i);
    await store.compact();
    await items.put('k1', 'tail');
    using snapshot = await elsewhere.snapshot();
    for (let i = 0; i < 50; i++) await items.put(`k${i}`, 'new');
    await items.put('later', 1);
    await store.compact();
    expect(await snapshot.getMany(['k0', 'k1', 'later'])).toEqual([0, 'tail', undefined]);
    expect(await collect(snapshot.scan())).toHaveLength(50);
    expect(await elsewhere.getMany(['k0', 'k1', 'later'])).toEqual(['new', 'new', 1]);
    snapshot.close();
    await expect(snapshot.get('k0')).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('shows a snapshot no later write without an earlier one of another writer', async () => {
    const others = [store, other, store].map((each) => each.namespace('items'));
    await items.put('w0', 0);
    let isDone = false;
    const writing = (async (): Promise<void> => {
      for (let i = 1; i <= 150; i++) for (const [w, handle] of others.entries()) await handle.put(`w${w}`, i);
      isDone = true;
    })();
    const reader = await here.open({ readOnly: true });
    for (let reads = 0; !isDone || reads < 3; reads++) {
      const [w0 = 0, w1 = 0, w2 = 0] = (await reader.namespace('items').getMany(['w0', 'w1', 'w2'])) as (number | undefined)[];
      expect(w0).toBeGreaterThanOrEqual(w1);
      expect(w1).toBeGreaterThanOrEqual(w2);
      expect(w2).toBeGreaterThanOrEqual(w0 - 1);
      await nodeSystem.sleep(1);
    }
    await writing;
    await reader.close();
  });

  it('notices a drop through its store, even where it has only read', async () => {
    await elsewhere.put('a', 1);
    expect(await items.get('a')).toBe(1);
    await store.dropNamespace('items');
    await items.put('b', 2);
    expect(await elsewhere.get('b')).toBe(2);
    expect(await items.getMany(['a', 'b'])).toEqual([undefined, 2]);
  });

  it('lets another handle wait for an append by its token', async () => {
    const token = await items.put('a', 1);
    await elsewhere.waitFor(token);
    expect(await elsewhere.get('a')).toBe(1);
    await items.close();
    await store.compact();
    await elsewhere.waitFor(token);
    await expect(elsewhere.waitFor('nonsense')).rejects.toThrow(TypeError);
    await expect(other.namespace('b').waitFor(token)).rejects.toThrow(RangeError);
  });

  it('watches changes, resumes from a token, and ends with the last event of each key being its state', async () => {
    await items.put('before', 0);
    const events: WatchEvent<unknown>[] = [];
    const watch = elsewhere.watch({ prefix: 'w/', pollMs: 10 });
    const first = watch.next();
    // The watch begins when its first look is done; until the first event comes, keep writing.
    let n = 0;
    const writing = setInterval(() => void items.put('w/tick', n++), 5);
    const { value } = await first;
    clearInterval(writing);
    events.push(value as WatchEvent<unknown>);
    await items.batch([
      { type: 'put', key: 'w/a', value: 1 },
      { type: 'put', key: 'x', value: 1 },
      { type: 'delete', key: 'w/b' },
    ]);
    await items.put('w/end', true);
    for await (const event of watch) {
      events.push(event);
      if (event.type === 'put' && event.key === 'w/end') break;
    }
    expect(events.some((event) => event.type === 'put' && event.key === 'w/a' && event.value === 1)).toBe(true);
    expect(events.some((event) => event.type === 'delete' && event.key === 'w/b')).toBe(true);
    expect(events.every((event) => event.type === 'resync' || event.key.startsWith('w/'))).toBe(true);

    const token = (events.at(-1) as WatchEvent<unknown>).token;
    await items.put('w/a', 2);
    await store.compact();
    await items.put('w/c', 3);
    const resumed: string[] = [];
    for await (const event of elsewhere.watch({ from: token, pollMs: 10 })) {
      if (event.type === 'put') resumed.push(`${event.key}=${String(event.value)}`);
      if (event.type === 'put' && event.key === 'w/c') break;
    }
    expect(resumed).toContain('w/a=2');
  });

  it('ends a watch when its signal is aborted or the namespace is closed', async () => {
    await items.put('a', 1);
    const controller = new AbortController();
    const aborted = collect(elsewhere.watch({ signal: controller.signal, pollMs: 10 }));
    setTimeout(() => controller.abort(), 20);
    await expect(aborted).rejects.toThrow(/abort/);
    const ended = collect(elsewhere.watch({ pollMs: 10 }));
    setTimeout(() => void elsewhere.close(), 20);
    expect(await ended).toEqual([]);
  });

  it('creates, lists, drops and creates namespaces again, with numbering going on', async () => {
    await items.put('a', 1);
    await store.namespace('b.c-d_e').put('x', 1);
    expect(await other.namespaces()).toEqual(['b.c-d_e', 'items']);
    expect(await store.createNamespace('items')).toBe(false);
    const before = (await items.stats()).root;
    expect(await other.dropNamespace('items')).toBe(true);
    expect(await other.dropNamespace('items')).toBe(false);
    expect(await store.namespaces()).toEqual(['b.c-d_e']);
    expect(await store.namespace('items').get('a')).toBeUndefined();
    await expect(store.namespace('items', { create: false }).get('a')).rejects.toMatchObject({ code: 'NAMESPACE_DROPPED' });
    expect(await store.createNamespace('items')).toBe(true);
    const again = store.namespace('items');
    expect(await again.get('a')).toBeUndefined();
    await again.put('a', 2);
    expect(await other.namespace('items').get('a')).toBe(2);
    expect((await again.stats()).root).toBeGreaterThan(before + 1);
    await store.compact();
    expect(await collect(other.namespace('items').scan())).toEqual([{ key: 'a', value: 2 }]);
  });

  it('closes cleanly: waits for writes under way, seals, and refuses what comes later', async () => {
    const writes = Array.from({ length: 20 }, (_, i) => items.put(`k${i}`, i));
    const closing = Promise.all([items.close(), items.close()]);
    await Promise.all(writes);
    await closing;
    await expect(items.put('late', 1)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(items.get('k1')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await collect(elsewhere.scan())).toHaveLength(20);
    await store.close();
    await store.close();
    expect(() => store.namespace('x')).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  it('gives up before it has begun if the signal is aborted', async () => {
    const signal = AbortSignal.abort(new Error('no more'));
    await expect(items.put('a', 1, { signal })).rejects.toThrow('no more');
    await expect(items.get('a', { signal })).rejects.toThrow('no more');
    await expect(collect(items.scan({ signal }))).rejects.toThrow('no more');
    expect(await elsewhere.get('a')).toBeUndefined();
  });

  it('refuses keys and values that it could not give back, and shows them', async () => {
    await expect(items.put('', 1)).rejects.toThrow(RangeError);
    await expect(items.put('x'.repeat(1025), 1)).rejects.toThrow(/1025/);
    await expect(items.put('\ud800', 1)).rejects.toThrow(TypeError);
    await expect(items.put(7 as never, 1)).rejects.toThrow(/7/);
    await expect(items.put('a', undefined)).rejects.toThrow(/undefined/);
    await expect(items.put('a', () => 1)).rejects.toThrow(/function/);
    await expect(items.put('a', { b: [Symbol('s')] })).rejects.toThrow(/\.b\[0\]/);
    await expect(items.put('a', 2n ** 64n)).rejects.toThrow(/64 bits/);
    await expect(items.put('a', { bad: '\udc00' })).rejects.toThrow(/surrogate/);
    await expect(items.put('a', JSON.parse('{"__proto__":1}'))).rejects.toThrow(/__proto__/);
    await expect(items.put('a', Buffer.alloc(16 * 1024 * 1024))).rejects.toThrow(RangeError);
    await expect(items.batch([])).rejects.toThrow(RangeError);
    await expect(items.batch([{ type: 'move' } as never])).rejects.toThrow(/a key/);
    await expect(items.put('a', 1, { ttlMs: -1 })).rejects.toThrow(/-1/);
    expect(() => items.scan({ limit: -1 })).toThrow(/-1/);
    expect(() => items.scan({ unknown: 1 } as never)).toThrow(/unknown/);
    expect(() => store.namespace('Bad Name')).toThrow(/Bad Name/);
    expect(() => store.namespace('../etc')).toThrow(RangeError);
    expect(await collect(elsewhere.scan())).toEqual([]);
  });

  it('keeps keys and values of the largest size', async () => {
    const key = 'é'.repeat(512);
    const value = Buffer.alloc(16 * 1024 * 1024 - 16, 7);
    await items.put(key, value);
    await store.compact();
    expect(((await elsewhere.get(key)) as Buffer).equals(value)).toBe(true);
  });

  it('never writes when it was opened for reading', async () => {
    await items.put('a', 1);
    const reader = await here.open({ readOnly: true });
    expect(await reader.namespace('items').get('a')).toBe(1);
    await expect(reader.namespace('items').put('a', 2)).rejects.toMatchObject({ code: 'READ_ONLY' });
    await expect(reader.compact()).rejects.toMatchObject({ code: 'READ_ONLY' });
    const frozen = await here.open({ readOnly: true, frozen: true });
    expect(await frozen.namespace('items').get('a')).toBe(1);
    await reader.close();
    await frozen.close();
  });

  it('reports what it holds', async () => {
    for (let i = 0; i < 10; i++) await items.put(`k${i}`, i);
    expect(await elsewhere.stats()).toMatchObject({ root: 0, tables: 0, tail: { segments: 1, frames: 10, keys: 10, tornBytes: 0 } });
    await store.compact();
    expect(await elsewhere.stats()).toMatchObject({ root: 1, tables: 1, tableEntries: 10, tail: { frames: 0, keys: 0 } });
  });
});
