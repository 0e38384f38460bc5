/** What a pinned state keeps of the tail, and what that costs the next change. */
import { expect, it } from 'vitest';
import type { Key } from '../../../src/base/key.ts';
import { SeenTime } from '../../../src/base/stamp.ts';
import { decodeValue } from '../../../src/base/value.ts';
import { namespaceLayout } from '../../../src/format/layout.ts';
import { MemoryMedium, type Namespace, open } from '../../../src/index.ts';
import { NamespaceReader } from '../../../src/read/namespace-reader.ts';
import type { State } from '../../../src/read/state.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

async function world(): Promise<{
  items: Namespace<number>;
  reader: NamespaceReader;
  look: (state: State, key: string) => Promise<unknown>;
}> {
  const system = new VirtualSystem(undefined, { seed: 1 });
  const medium = new MemoryMedium({ system, canAppend: true });
  const items = (await open(medium, { system, autoCompact: false })).namespace<number>('items');
  for (let i = 0; i < 20; i++) await items.put(`k${i}`, i);
  const reader = new NamespaceReader(
    { medium, system, layout: namespaceLayout('items'), seen: new SeenTime() },
    { cacheBytes: 1 << 20, emptyIfMissing: false, frozen: false, drainWaitMs: 0, finishDrain: undefined },
  );
  const look = async (state: State, key: string): Promise<unknown> => {
    const value = (await reader.find(state, key as Key))?.value;
    return value === undefined ? undefined : decodeValue(value);
  };
  return { items, reader, look };
}

it('a state that is pinned for some keys has them as they were, and leaves the tail to be changed in place', async () => {
  const { items, reader, look } = await world();
  const pinned = await reader.pinned({ keys: ['k1', 'k2', 'no'] as Key[] });
  const { tail } = reader.view.state;
  await items.put('k1', 100);
  await items.delete('k2');
  await items.put('no', 1);
  const fresh = await reader.fresh();
  expect([await look(fresh, 'k1'), await look(fresh, 'k2'), await look(fresh, 'no')]).toEqual([100, undefined, 1]);
  expect([await look(pinned, 'k1'), await look(pinned, 'k2'), await look(pinned, 'no')]).toEqual([1, 2, undefined]);
  expect(fresh.tail).toBe(tail);
});

it('a state that is pinned as a whole keeps all of it, and the next change is made to a copy', async () => {
  const { items, reader, look } = await world();
  const pinned = await reader.pinned();
  await items.put('k1', 100);
  const fresh = await reader.fresh();
  expect(fresh.tail).not.toBe(pinned.tail);
  expect(await look(pinned, 'k1')).toBe(1);
  expect(await look(pinned, 'k19')).toBe(19);
});
