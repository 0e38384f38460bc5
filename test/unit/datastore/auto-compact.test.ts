import { describe, expect, it, vi } from 'vitest';
import { compactorLeaseMs, compactorLock, tryElection } from '../../../compactor/index.ts';
import { newNonce } from '../../../src/base/system.ts';
import { namespaceLayout, recordName } from '../../../src/format/layout.ts';
import { encodeRecord } from '../../../src/format/record.ts';
import { MemoryMedium, nodeSystem, type OpenOptions, open, type Store, type Warning } from '../../../src/index.ts';

/** Leaves a tail of many segments, as short-lived processes do. */
async function longTail(medium: MemoryMedium, segments: number, options: OpenOptions = {}): Promise<void> {
  for (let i = 0; i < segments; i++) {
    const store = await open(medium, options);
    await store.namespace('items').put(`k${i}`, i);
    await store.close();
  }
}

async function stats(store: Store): Promise<{ root: number; keys: number }> {
  const { root, tail } = await store.namespace('items').stats();
  return { root, keys: tail.keys };
}

describe('a writer that closes', () => {
  it('compacts a long tail, once and bounded, and says so in a way that programs can read', async () => {
    const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
    const warnings: Warning[] = [];
    await longTail(medium, 300, { onWarning: (warning) => warnings.push(warning) });
    expect(warnings.map(({ code, namespace }) => ({ code, namespace }))).toEqual([{ code: 'no-compactor', namespace: 'items' }]);
    const store = await open(medium, { readOnly: true });
    expect(await stats(store)).toEqual({ root: 1, keys: 44 });
  });

  it('ends neither the process nor its writes where the listener of warnings throws', async () => {
    const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
    await longTail(medium, 300, { autoCompact: false });
    const told: string[] = [];
    const listen = ({ message }: Error): void => void told.push(message);
    process.on('warning', listen);
    const onWarning = (): void => {
      throw new Error('nobody listens');
    };
    const store = await open(medium, { segmentBytesMax: 1024, onWarning });
    const items = store.namespace('items');
    for (let i = 0; i < 3; i++) await items.put('large', 'x'.repeat(1000));
    await vi.waitFor(() => expect(told).toContain('onWarning failed: Error: nobody listens'), 30_000);
    process.off('warning', listen);
    expect(await items.has('large')).toBe(true);
    await store.close();
    await expect(open(medium, { onWarning: 'shout' as never })).rejects.toThrow(/onWarning .*shout/);
  });

  it('counts records with segments, as long as no root has absorbed them', async () => {
    const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
    await longTail(medium, 1);
    const layout = namespaceLayout('items');
    const put = async (from: number, to: number): Promise<void> => {
      for (let number = from; number <= to; number++) {
        const id = { stripe: number % 2, number: Math.ceil(number / 2) };
        const bytes = encodeRecord(layout, { id, nonce: newNonce(nodeSystem), root: 0, kind: 'single', links: [], entries: [] });
        expect(await medium.putIfAbsent(recordName(layout, id), bytes)).toBe(true);
      }
    };
    const close = async (): Promise<string[]> => {
      const messages: string[] = [];
      await longTail(medium, 1, { onWarning: ({ message }) => messages.push(message) });
      return messages;
    };
    await put(1, 253);
    expect(await close()).toEqual([]);
    await put(254, 254);
    expect(await close()).toEqual([expect.stringContaining('a tail of 3 segments and 254 records')]);
    // They are still there, as their files go with the next root only.
    expect((await medium.list(layout.log)).length).toBeGreaterThan(254);
    expect(await close()).toEqual([]);
  });

  it('leaves a short tail, and any tail where it is told to', async () => {
    const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
    await longTail(medium, 100);
    await longTail(medium, 300, { autoCompact: false });
    expect(await stats(await open(medium, { readOnly: true }))).toEqual({ root: 0, keys: 300 });
  });

  it('leaves it to a compactor that is alive', async () => {
    const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
    const held = await tryElection(compactorLock({ medium, system: nodeSystem, layout: namespaceLayout('items') }), {
      site: 'compactorRound',
      leaseMs: compactorLeaseMs(medium),
    });
    expect(held).toBeDefined();
    await longTail(medium, 300);
    expect(await stats(await open(medium, { readOnly: true }))).toEqual({ root: 0, keys: 300 });
    await held?.release();
  });

  it('only warns if the compaction fails, for its own writes are safe', async () => {
    const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
    await longTail(medium, 255);
    const full = Object.assign(Object.create(medium) as MemoryMedium, {
      putIfAbsent: async (name: string, bytes: Uint8Array) => {
        if (name.includes('/shard/')) throw new Error('no space left');
        return await medium.putIfAbsent(name, bytes);
      },
      get: (name: string, range?: { offset: number; length: number }) => medium.get(name, range),
      list: (prefix: string, options?: object) => medium.list(prefix, options),
      delete: (names: string[]) => medium.delete(names),
      openAppend: (name: string) => medium.openAppend(name),
    });
    const warnings: Warning[] = [];
    const store = await open(full, { onWarning: (warning) => warnings.push(warning) });
    await store.namespace('items').put('last', 1);
    await store.close();
    expect(warnings).toEqual([expect.objectContaining({ code: 'compaction-failed', message: expect.stringContaining('no space left') })]);
    expect(await stats(await open(medium, { readOnly: true }))).toEqual({ root: 0, keys: 256 });
  });
});
