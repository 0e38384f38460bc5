import { describe, expect, it } from 'vitest';
import { nodeSystem, open } from '../../../src/index.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';

describe('a caller that outruns the disk', () => {
  it('has its calls taken in one after the other, packed only when there is room', async () => {
    const inner = new MemoryMedium({ system: nodeSystem, canAppend: true });
    const store = await open(inner, { pendingBytesMax: 10_000, autoCompact: false });
    const items = store.namespace('items');
    let packed = 0;
    const value = {
      get text(): string {
        packed++;
        return 'x'.repeat(1000);
      },
    };
    const writes = Array.from({ length: 200 }, (_, i) =>
      items.put(`k${i % 3}`, { ...Object.defineProperty({}, 'text', { enumerable: true, get: () => value.text }), i }),
    );
    void writes;
    await Promise.all(writes);
    expect(packed).toBeGreaterThanOrEqual(200);
    expect(await items.get('k1')).toMatchObject({ i: 199 });
    await store.close();
  });

  it('can give up waiting, and loses no order by that', async () => {
    const inner = new MemoryMedium({ system: nodeSystem, canAppend: false, blocking: false });
    const slow = new FaultyMedium(inner);
    const store = await open(slow, { pendingBytesMax: 1, autoCompact: false });
    const items = store.namespace('items');
    await items.put('first', 0);
    slow.inject({ when: { op: 'putIfAbsent' }, effect: 'delay', delayMs: 20, times: 3 });
    const controller = new AbortController();
    const a = items.put('a', 1);
    const b = items.put('a', 2);
    const c = items.put('a', 3, { signal: controller.signal });
    const d = items.put('a', 4);
    controller.abort(new Error('enough'));
    await expect(c).rejects.toThrow('enough');
    await Promise.all([a, b, d]);
    expect(await items.get('a')).toBe(4);
    await store.close();
  });

  it('is waited for when the namespace is closed', async () => {
    const inner = new MemoryMedium({ system: nodeSystem, canAppend: true });
    const store = await open(inner, { pendingBytesMax: 100, autoCompact: false });
    const items = store.namespace('items');
    const writes = Array.from({ length: 50 }, (_, i) => items.put(`k${i}`, 'x'.repeat(100)));
    await items.close();
    await Promise.all(writes);
    const keys: string[] = [];
    for await (const { key } of store.namespace('items').scan()) keys.push(key);
    expect(keys).toHaveLength(50);
    await store.close();
  });
});
