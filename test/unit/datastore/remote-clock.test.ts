/** The clock of a remote medium, which the first write asks for. */
import { expect, it } from 'vitest';
import { MemoryMedium, open } from '../../../src/index.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

it('is asked again by the next write if it could not be told', async () => {
  const system = new VirtualSystem();
  const faulty = new FaultyMedium(new MemoryMedium({ canAppend: false, isRemote: true, system }), { system });
  const store = await open(faulty, { system, autoCompact: false });
  const entries = store.namespace('entries');
  faulty.inject({ when: { op: 'nowMs' } });
  await expect(entries.put('a', 1)).rejects.toMatchObject({ code: 'STORAGE' });
  await entries.put('a', 2);
  await store.namespace('others').put('b', 3);
  expect(await entries.get('a')).toBe(2);
  expect(faulty.counts.nowMs).toBe(2);
  await store.close();
});

it('is compared anew once the clock of this machine was set', async () => {
  const system = new VirtualSystem();
  const medium = new MemoryMedium({ canAppend: false, isRemote: true, system });
  const slow = new VirtualSystem(system.time, { wallOffsetMs: -3_600_000 });
  const store = await open(medium, { system: slow, autoCompact: false });
  const entries = store.namespace('entries');
  await expect(entries.put('a', 1)).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
  slow.wallOffsetMs = 0;
  await entries.put('a', 2);
  expect(await entries.get('a')).toBe(2);
  await store.close();
});
