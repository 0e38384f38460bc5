/** The life of a snapshot, on a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import { open, type Snapshot, type Store } from '../../../src/index.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { VirtualTime } from '../../support/virtual-system.ts';

async function takeSnapshot(): Promise<{ time: VirtualTime; store: Store; snapshot: Snapshot<number> }> {
  const time = new VirtualTime();
  const system = time.system();
  const store = await open(new MemoryMedium({ system, canAppend: true }), { autoCompact: false, system });
  const items = store.namespace<number>('items');
  await items.put('a', 1);
  return { time, store, snapshot: await items.snapshot() };
}

describe('a snapshot that is older than the retention', () => {
  it('says so at each look, and not that somebody has closed it', async () => {
    const { time, store, snapshot } = await takeSnapshot();
    const { retentionMs } = store.file.constants;
    await time.advance(retentionMs);
    expect(await snapshot.get('a')).toBe(1);
    await time.advance(1);
    for (let look = 0; look < 3; look++) await expect(snapshot.get('a')).rejects.toMatchObject({ code: 'SNAPSHOT_EXPIRED' });
    await expect(snapshot.getMany(['a', 'b'])).rejects.toMatchObject({ code: 'SNAPSHOT_EXPIRED' });
    expect(() => snapshot.scan()).toThrow(expect.objectContaining({ code: 'SNAPSHOT_EXPIRED' }));
    expect(() => snapshot.root).toThrow(expect.objectContaining({ code: 'SNAPSHOT_EXPIRED' }));
    await store.close();
  });

  it('is closed where its owner has closed it, before that or after', async () => {
    const { time, store, snapshot } = await takeSnapshot();
    await time.advance(store.file.constants.retentionMs + 1);
    await expect(snapshot.get('a')).rejects.toMatchObject({ code: 'SNAPSHOT_EXPIRED' });
    snapshot.close();
    await expect(snapshot.get('a')).rejects.toMatchObject({ code: 'CLOSED' });
    const early = await store.namespace<number>('items').snapshot();
    early.close();
    await time.advance(store.file.constants.retentionMs + 1);
    await expect(early.get('a')).rejects.toMatchObject({ code: 'CLOSED' });
    await store.close();
  });
});
