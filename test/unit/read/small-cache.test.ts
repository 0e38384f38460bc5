import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';
import { open } from '../../../src/index.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';

/** A namespace whose stack has three tables that all may have any key. */
async function stacked(blocking: boolean): Promise<MemoryMedium> {
  const medium = new MemoryMedium({ system: nodeSystem, canAppend: true, blocking });
  await using store = await open(medium);
  const entries = store.namespace('test');
  for (const [round, bytes] of [2000, 200, 20].entries()) {
    await entries.batch(Array.from({ length: 50 }, (_, i) => ({ type: 'put', key: `k${i}`, value: `${round}${'x'.repeat(bytes)}` })));
    await store.compact();
  }
  expect((await entries.stats()).tables).toBe(3);
  return medium;
}

describe.each([true, false])('with no memory for a cache, on a medium with blocking calls: %s', (blocking) => {
  it('every read ends, and finds what is there', async () => {
    await using store = await open(await stacked(blocking), { cacheBytes: 0 });
    const entries = store.namespace<string>('test');
    expect((await entries.get('k7'))?.[0]).toBe('2');
    expect(await entries.get('k7x')).toBeUndefined();
    const snapshot = await entries.snapshot();
    expect((await snapshot.getMany(['k1', 'k2', 'k3'])).map((value) => value?.[0])).toEqual(['2', '2', '2']);
    expect((await entries.getMany(['k4', 'k5'])).map((value) => value?.[0])).toEqual(['2', '2']);
    let scanned = 0;
    for await (const { value } of entries.scan()) if (value[0] === '2') scanned++;
    expect(scanned).toBe(50);
    expect((await entries.update('k9', (value) => `${value?.[0]}!`)).value).toBe('2!');
  });
});
