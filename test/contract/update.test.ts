/** What updates promise, on every medium. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DELETE, isPeatError, type Namespace, nodeSystem, type Store } from '../../src/index.ts';
import { PLACES, SKIPPED } from '../support/places.ts';

const KEYS = Array.from({ length: 40 }, (_, i) => `key/${i}`);

describe.skipIf(SKIPPED !== undefined).each(PLACES)('updates on $name', (place) => {
  let here: ReturnType<(typeof place)['make']>;
  let store: Store;
  let other: Store;
  let items: Namespace<number>;
  /** The same namespace through another handle, as another process would see it. */
  let elsewhere: Namespace<number>;

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

  const increment = (n = 0): number => n + 1;

  it('give the function what is there, and put what it returns', async () => {
    expect(await items.update('a', increment)).toMatchObject({ value: 1, changed: true });
    expect(await elsewhere.update('a', increment)).toMatchObject({ value: 2, changed: true });
    expect(await items.get('a')).toBe(2);
    await items.put('a', 10);
    expect(await elsewhere.update('a', async (n = 0) => n + 1)).toMatchObject({ value: 11 });
    expect(await items.get('a')).toBe(11);
  });

  it('leave a key as it is, or delete it, as the function says', async () => {
    await items.put('a', 1);
    expect(await items.update('a', () => undefined)).toMatchObject({ value: 1, changed: false, token: undefined });
    expect(await items.update('a', () => DELETE)).toMatchObject({ value: undefined, changed: true });
    expect(await elsewhere.get('a')).toBeUndefined();
    expect(await items.update('never', () => DELETE)).toMatchObject({ value: undefined, changed: false });
    expect(await elsewhere.update('a', increment)).toMatchObject({ value: 1 });
  });

  it('lose no step of many that run at once through several handles', async () => {
    await Promise.all(Array.from({ length: 120 }, (_, i) => (i % 2 === 0 ? items : elsewhere).update('counter', increment)));
    expect(await items.get('counter')).toBe(120);
  });

  it('of one process share records', async () => {
    await items.update('counter', increment);
    await Promise.all(Array.from({ length: 50 }, () => items.update('counter', increment)));
    const { token } = await items.update('counter', increment);
    expect(await items.get('counter')).toBe(52);
    expect(Number(token?.split('-').at(-1))).toBeLessThan(10);
  });

  it('go on after a compaction, and count the same', async () => {
    for (let round = 1; round <= 4; round++) {
      for (let i = 0; i < 5; i++) await items.update('counter', increment);
      await items.put('blind', round);
      await store.compact();
      expect(await elsewhere.get('counter')).toBe(round * 5);
    }
    const fresh = await here.open();
    expect(await fresh.namespace('items').get('counter')).toBe(20);
    await fresh.close();
  });

  it('never hide a blind write that they did not read, and are hidden by it', async () => {
    await items.put('a', 1);
    const result = await items.update('a', async (n = 0) => {
      await elsewhere.put('a', 100);
      return n + 1;
    });
    expect(result.value).toBe(2);
    expect(await items.get('a')).toBe(100);
  });

  it('hand on what a function throws, and write nothing', async () => {
    await items.put('a', 1);
    const failure = new Error('no');
    await expect(
      items.update('a', () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    await expect(items.update('a', () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await elsewhere.get('a')).toBe(1);
  });

  it('of a group that fail leave the others alone', async () => {
    const results = await Promise.allSettled([
      items.update('a', increment),
      items.update('a', () => {
        throw new Error('no');
      }),
      items.update('a', increment),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await items.get('a')).toBe(2);
  });

  it('end with an error of their own when the function takes too long, and let others go on', async () => {
    const slow = items.update('a', () => new Promise<number>(() => {}), { deadlineMs: 20 });
    const next = items.update('a', increment);
    await expect(slow).rejects.toMatchObject({ code: 'UPDATE_TIMEOUT', key: 'a' });
    expect(await next).toMatchObject({ value: 1 });
  });

  it('end with the reason of their signal, and write nothing', async () => {
    const abort = new AbortController();
    const given = items.update('a', (_, { signal }) => nodeSystem.sleep(60_000, { signal }).then(() => 1), {
      signal: abort.signal,
    });
    setTimeout(() => abort.abort(new Error('enough')), 5);
    await expect(given).rejects.toThrow('enough');
    expect(await items.get('a')).toBeUndefined();
    await expect(items.update('a', increment, { signal: abort.signal })).rejects.toThrow('enough');
  });

  it('from inside the function of another one are an error, and not a deadlock', async () => {
    const again = store.namespace<number>('items');
    for (const inner of [items, again]) {
      const nested = items.update('a', async () => {
        await inner.update('a', increment);
        return 1;
      });
      await expect(nested).rejects.toThrow(TypeError);
    }
    // What the function starts for later is not inside any more.
    let later: Promise<unknown> = Promise.resolve();
    await items.update('a', () => {
      later = nodeSystem.sleep(5).then(() => items.update('b', increment));
      return 1;
    });
    await later;
    expect(await items.get('b')).toBe(1);
  });

  it('keep the expiry of a key, unless another one is given', async () => {
    await items.put('a', 1, { ttlMs: 60_000 });
    const { expiresAtMs } = (await items.getEntry('a')) ?? {};
    await items.update('a', increment);
    expect(await items.getEntry('a')).toMatchObject({ value: 2, expiresAtMs });
    await items.update('a', increment, { ttlMs: Number.POSITIVE_INFINITY });
    expect(await items.getEntry('a')).not.toHaveProperty('expiresAtMs');
    await items.update('a', increment, { expiresAt: 1 });
    expect(await items.get('a')).toBeUndefined();
    expect(await items.update('a', increment)).toMatchObject({ value: 1 });
  });

  it('refuse what can not be stored, and what makes no sense', async () => {
    await expect(items.update('', increment)).rejects.toThrow(RangeError);
    await expect(items.update('a', 1 as never)).rejects.toThrow(TypeError);
    await expect(items.update('a', () => Symbol('x') as never)).rejects.toThrow(TypeError);
    await expect(items.update('a', increment, { deadlineMs: 0 })).rejects.toThrow(RangeError);
    await expect(items.update('a', increment, { deadlineMs: 2 ** 31 })).rejects.toThrow(RangeError);
    await expect(items.putIf('a', undefined as never, { ifAbsent: true })).rejects.toThrow(TypeError);
    await expect(items.updateMany([], () => [])).rejects.toThrow(TypeError);
    await expect(items.updateMany(['a', 'a'], () => [1, 2])).rejects.toThrow(RangeError);
    await expect(items.updateMany(['a', 'b'], () => [1])).rejects.toThrow(TypeError);
    await expect(items.putIf('a', 1, {} as never)).rejects.toThrow(TypeError);
    await expect(items.putIf('a', 1, { ifStamp: 'x' })).rejects.toThrow(TypeError);
    expect(await items.get('a')).toBeUndefined();
  });

  it('are refused where nothing may be written, and after the end', async () => {
    await items.put('a', 1);
    const reader = await here.open({ readOnly: true });
    await expect(reader.namespace<number>('items').update('a', increment)).rejects.toMatchObject({ code: 'READ_ONLY' });
    await reader.close();
    await items.close();
    await expect(items.update('a', increment)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('of a namespace that was dropped say so, and its new life begins with nothing', async () => {
    await items.update('a', increment);
    await store.dropNamespace('items');
    await store.createNamespace('items');
    expect(await elsewhere.get('a')).toBeUndefined();
    expect(await elsewhere.update('a', increment)).toMatchObject({ value: 1 });
    await store.compact();
    expect(await elsewhere.get('a')).toBe(1);
    expect(await elsewhere.update('a', increment)).toMatchObject({ value: 2 });
  });

  it('of a handle whose namespace was dropped say so at once', async () => {
    await elsewhere.update('a', increment);
    await items.update('a', increment);
    await store.dropNamespace('items');
    await expect(items.update('a', increment)).rejects.toMatchObject({ code: 'NAMESPACE_DROPPED' });
    await expect(elsewhere.update('a', increment)).rejects.toMatchObject({ code: 'NAMESPACE_DROPPED' });
  });

  it('never give a stamp twice, not even in another life of the namespace', async () => {
    const stamps = new Set<string>();
    for (let life = 1; life <= 3; life++) {
      const again = store.namespace<number>('items');
      for (let i = 0; i < 3; i++) stamps.add((await again.update('a', increment)).stamp as string);
      await store.compact();
      stamps.add((await again.update('a', increment)).stamp as string);
      expect(stamps.size).toBe(life * 4);
      await again.close();
      await store.dropNamespace('items');
      await store.createNamespace('items');
    }
  });

  it('that were called before the end are made', async () => {
    const update = items.update('a', increment);
    const put = items.putIf('b', 1, { ifAbsent: true });
    await items.close();
    expect((await update).value).toBe(1);
    expect((await put).ok).toBe(true);
  });

  it('put only if the condition holds', async () => {
    expect(await items.putIf('a', 1, { ifAbsent: true })).toMatchObject({ ok: true, value: 1 });
    const taken = await elsewhere.putIf('a', 2, { ifAbsent: true });
    expect(taken).toMatchObject({ ok: false, value: 1 });
    expect(await elsewhere.putIf('a', 2, { ifStamp: taken.stamp as string })).toMatchObject({ ok: true, value: 2 });
    expect(await items.putIf('a', 3, { ifStamp: taken.stamp as string })).toMatchObject({ ok: false, value: 2 });
    expect(await items.putIf('a', 3, { ifValue: 2 })).toMatchObject({ ok: true, value: 3 });
    expect(await items.putIf('a', DELETE, { ifValue: 3 })).toMatchObject({ ok: true, value: undefined, stamp: undefined });
    const { stamp } = await items.putIf('a', 4, { ifAbsent: true });
    await items.put('a', 4, { expiresAt: 1 });
    expect(await items.putIf('a', 5, { ifStamp: stamp as string })).toMatchObject({ ok: false });
    await items.delete('a');
    expect(await items.get('a')).toBeUndefined();
    const things = store.namespace('things');
    await things.put('x', { b: 1, a: [1] });
    expect(await things.putIf('x', 'new', { ifValue: { a: [1], b: 1 } })).toMatchObject({ ok: true });
  });

  it('let one of many that claim a key have it', async () => {
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? items : elsewhere).putIf('job', i, { ifAbsent: true })),
    );
    expect(claims.filter(({ ok }) => ok)).toHaveLength(1);
    expect(await items.get('job')).toBe(claims.findIndex(({ ok }) => ok));
  });

  it('of several keys happen all together', async () => {
    await items.updateMany(KEYS, (values) => values.map(() => 10));
    const transfer = async (from: number, to: number, through: Namespace<number>): Promise<void> => {
      await through.updateMany([KEYS[from] as string, KEYS[to] as string], ([a = 0, b = 0]) => [a - 1, b + 1]);
    };
    const looks = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) {
        const values = await elsewhere.getMany(KEYS);
        expect(values.reduce<number>((sum, value) => sum + (value ?? 0), 0)).toBe(400);
      }
    };
    const work: Promise<unknown>[] = [looks(), store.compact()];
    for (let i = 0; i < 24; i++) work.push(transfer(i % 40, (i * 7 + 3) % 40, i % 2 === 0 ? items : elsewhere));
    await Promise.all(work);
    await looks();
    await store.compact();
    await looks();
  });

  it('of several keys write nothing if the function leaves all of them, or throws', async () => {
    await items.put('a', 1);
    expect(await items.updateMany(['a', 'b', 'c'], () => [undefined, undefined, undefined])).toMatchObject({
      values: [1, undefined, undefined],
      changed: false,
    });
    await expect(
      items.updateMany(['a', 'b'], () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    const { values } = await items.updateMany(['a', 'b', 'c'], ([a = 0]) => [DELETE, a + 1, undefined]);
    expect(values).toEqual([undefined, 2, undefined]);
    expect(await elsewhere.getMany(['a', 'b', 'c'])).toEqual([undefined, 2, undefined]);
  });

  it('can be waited for in another process', async () => {
    const { token } = await items.update('a', increment);
    await elsewhere.waitFor(token as string);
    await store.compact();
    await elsewhere.waitFor(token as string);
    expect(await elsewhere.get('a')).toBe(1);
  });

  it('are seen by snapshots taken later, and not by earlier ones', async () => {
    await items.update('a', increment);
    const before = await elsewhere.snapshot();
    await items.update('a', increment);
    expect(await before.get('a')).toBe(1);
    expect(await (await elsewhere.snapshot()).get('a')).toBe(2);
  });

  it('after which a blind write comes are older than it', async () => {
    await items.update('a', increment);
    await items.put('a', 50);
    expect(await elsewhere.get('a')).toBe(50);
    await items.update('a', increment);
    await elsewhere.get('a');
    await elsewhere.put('a', 7);
    expect(await items.get('a')).toBe(7);
  });

  it('say what failed as an error of the package', async () => {
    const failed = await items.update('a', () => new Promise<number>(() => {}), { deadlineMs: 5 }).catch((error: unknown) => error);
    expect(isPeatError(failed, 'UPDATE_TIMEOUT')).toBe(true);
  });
});
