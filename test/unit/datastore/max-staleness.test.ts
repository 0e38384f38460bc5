/** Reads that may be a little old: no request where the handle is recent enough, and never less than its own writes. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryMedium, type Namespace, open } from '../../../src/index.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

describe.each([
  { kind: 'a medium across a network', form: { canAppend: false, blocking: false, isRemote: true } },
  { kind: 'a medium on this machine', form: { canAppend: true, blocking: true, isRemote: false } },
])('a read with maxStalenessMs on $kind', ({ form }) => {
  let system: VirtualSystem;
  let inner: MemoryMedium;
  let medium: FaultyMedium;
  let mine: Namespace<number>;
  let others: Namespace<number>;

  const reads = (): number => medium.counts.list + medium.counts.get + medium.counts.watermark;

  async function callsOf(run: () => Promise<unknown>): Promise<number> {
    const before = reads();
    await run();
    return reads() - before;
  }

  beforeEach(async () => {
    system = new VirtualSystem();
    inner = new MemoryMedium({ ...form, system });
    medium = new FaultyMedium(inner, { system });
    mine = (await open(medium, { system, autoCompact: false })).namespace('items');
    others = (await open(inner, { system, autoCompact: false })).namespace('items');
    await others.put('a', 1);
    await mine.get('a');
  });

  it('asks the medium for nothing within that time, and sees what is new after it', async () => {
    await others.put('a', 2);
    await system.advance(4999);
    expect(await callsOf(async () => expect(await mine.get('a', { maxStalenessMs: 5000 })).toBe(1))).toBe(0);
    expect(await callsOf(async () => expect(await mine.has('b', { maxStalenessMs: 5000 })).toBe(false))).toBe(0);
    const scanned = async (): Promise<unknown[]> => {
      const values: unknown[] = [];
      for await (const { value } of mine.scan({ maxStalenessMs: 5000 })) values.push(value);
      return values;
    };
    expect(await callsOf(async () => expect(await scanned()).toEqual([1]))).toBe(0);
    await system.advance(1);
    expect(await mine.getEntry('a', { maxStalenessMs: 5000 })).toMatchObject({ value: 2 });
  });

  it('is fresh without it, and with 0', async () => {
    await others.put('a', 2);
    expect(await mine.get('a', { maxStalenessMs: 0 })).toBe(2);
    await others.put('a', 3);
    expect(await mine.get('a')).toBe(3);
    await others.put('a', 4);
    expect(await mine.get('a', { maxStalenessMs: 1000 })).toBe(3);
  });

  it('sees what this handle has written, by an append or an update', async () => {
    await mine.put('a', 2);
    expect(await mine.get('a', { maxStalenessMs: 1_000_000 })).toBe(2);
    await mine.update('a', (count = 0) => count + 1);
    expect(await mine.get('a', { maxStalenessMs: 1_000_000 })).toBe(3);
    await mine.delete('a');
    expect(await mine.has('a', { maxStalenessMs: 1_000_000 })).toBe(false);
    if (!form.blocking) return;
    mine.putSync('a', 4);
    expect(await mine.get('a', { maxStalenessMs: 1_000_000 })).toBe(4);
  });

  it('does not bring back a namespace that an earlier read has shown to be dropped', async () => {
    const store = await open(inner, { system, autoCompact: false });
    const strict = (await open(medium, { system, autoCompact: false })).namespace('items', { create: false });
    expect(await strict.get('a')).toBe(1);
    await store.dropNamespace('items');
    expect(await mine.get('a', { maxStalenessMs: 5000 })).toBe(1);
    expect(await mine.get('a')).toBeUndefined();
    expect(await mine.get('a', { maxStalenessMs: 5000 })).toBeUndefined();
    await expect(strict.get('a')).rejects.toMatchObject({ code: 'NAMESPACE_DROPPED' });
    await expect(strict.get('a', { maxStalenessMs: 5000 })).rejects.toMatchObject({ code: 'NAMESPACE_DROPPED' });
  });

  it('is no older than that where the wall clock was set back', async () => {
    await others.put('a', 2);
    system.wallOffsetMs -= 1;
    expect(await mine.get('a', { maxStalenessMs: 1_000_000 })).toBe(2);
  });

  it('refuses what is no time', async () => {
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(mine.get('a', { maxStalenessMs: value })).rejects.toThrow(`maxStalenessMs must be finite, and at least 0, got ${value}`);
      expect(() => mine.scan({ maxStalenessMs: value })).toThrow(RangeError);
    }
    await expect(mine.has('a', { maxStalenessMs: '5' as unknown as number })).rejects.toThrow(TypeError);
  });

  it.runIf(form.isRemote)('never trusts what a refresh has taken in part: not while it runs, and not after it failed', async () => {
    const third = (await open(inner, { system, autoCompact: false })).namespace('items');
    await third.put('b', 2);
    await others.put('a', 2);
    // Of two segments with something new the first is read, and the second can't be.
    medium.inject({ when: { op: 'get', name: /\/log\// }, skip: 1 });
    const failing = mine.get('a');
    await expect(failing).rejects.toMatchObject({ code: 'STORAGE' });
    expect(await callsOf(async () => expect(await mine.get('b', { maxStalenessMs: 1_000_000 })).toBe(2))).toBeGreaterThan(0);
    expect(await mine.get('a', { maxStalenessMs: 1_000_000 })).toBe(2);
  });

  it.runIf(form.isRemote)('is not served by a refresh that began before a write of the handle was acknowledged', async () => {
    medium.inject({ when: { op: 'list', name: /root\/$/ }, effect: 'delay', delayMs: 1000 });
    const slow = mine.get('a');
    await system.advance(1);
    await mine.put('a', 2);
    await system.advance(1000);
    await slow;
    expect(await mine.get('a', { maxStalenessMs: 1_000_000 })).toBe(2);
  });
});
