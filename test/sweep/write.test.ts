/** Blind writes, in all their forms, while a call of the medium fails. */
import { all, del, put } from '../support/ledger.ts';
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import type { SweepWorld } from '../support/sweep-world.ts';

const BATCH = [
  { type: 'put', key: 'x', value: 1 },
  { type: 'delete', key: 'k1' },
  { type: 'put', key: 'k2', value: 'new' },
] as const;
const BATCH_EFFECT = all(put('x', 1), del('k1'), put('k2', 'new'));

/** Without waiting for one another; the handle is closed while they are under way. */
async function writeAndClose(w: SweepWorld): Promise<void> {
  const writes = [0, 1, 2, 3].map((i) => w.write(`put ${i}`, put(`x${i % 3}`, i), () => w.runs.put(`x${i % 3}`, i)));
  await Promise.all([...writes, w.close()]);
}

/** Larger than a segment may be: each goes to a new one, and the one before is sealed. */
async function fillSegments(w: SweepWorld): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const value = String(i).repeat(1500);
    await w.write(`put ${i}`, put(`x${i}`, value), () => w.runs.put(`x${i}`, value));
  }
}

const OPERATIONS: readonly SweptOperation[] = [
  { name: 'put, which creates the namespace', scene: 'store', run: (w) => w.write('put', put('x', 1), () => w.runs.put('x', 1)) },
  { name: 'put', run: (w) => w.write('put', put('k1', 1), () => w.runs.put('k1', 1)) },
  {
    name: 'put through a handle that has read and written',
    prepare: async (w) => {
      await w.openStore();
      await w.runs.get('k1');
      await w.write('put before', put('k1', 0), () => w.runs.put('k1', 0));
    },
    run: (w) => w.write('put', put('k1', 1), () => w.runs.put('k1', 1)),
  },
  {
    name: 'put that is not synced',
    prepare: (w) => w.openStore({ durability: 'os' }),
    run: (w) => w.write('put', put('k1', 1), () => w.runs.put('k1', 1)),
  },
  { name: 'delete', run: (w) => w.write('delete', del('k1'), () => w.runs.delete('k1')) },
  { name: 'batch', run: (w) => w.write('batch', BATCH_EFFECT, () => w.runs.batch(BATCH)) },
  { name: 'puts that fill segments', prepare: (w) => w.openStore({ segmentBytesMax: 1024 }), run: fillSegments },
  { name: 'puts, and close before they are done', run: writeAndClose },
  { name: 'putSync', isBlocking: true, run: (w) => w.write('putSync', put('k1', 1), () => w.runs.putSync('k1', 1)) },
  { name: 'deleteSync', isBlocking: true, run: (w) => w.write('deleteSync', del('k1'), () => w.runs.deleteSync('k1')) },
  { name: 'batchSync', isBlocking: true, run: (w) => w.write('batchSync', BATCH_EFFECT, () => w.runs.batchSync(BATCH)) },
  {
    name: 'putSync beside a put',
    isBlocking: true,
    run: async (w) => {
      const earlier = w.write('put', put('k1', 1), () => w.runs.put('k1', 1));
      await w.write('putSync', put('k1', 2), () => w.runs.putSync('k1', 2));
      await earlier;
    },
  },
];

describeSweep(OPERATIONS);
