/** Compaction: of a tail, with tables to merge, records to absorb, a drain to finish, and files to delete. */
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import type { SweepWorld } from '../support/sweep-world.ts';

const compact = (w: SweepWorld): Promise<boolean> => w.attempt('compact', () => w.store.compact());

/** Failures are events of it; it must end by itself. */
async function runOnce(w: SweepWorld): Promise<void> {
  await w.attempt('runCompactor', () => w.store.runCompactor({ signal: new AbortController().signal, once: true }));
}

async function runAWhile(w: SweepWorld): Promise<void> {
  const end = new AbortController();
  const running = w.must('runCompactor', () => w.store.runCompactor({ signal: end.signal, gatherMs: 100, pollMs: 500 }));
  await w.system.sleep(1500);
  end.abort();
  await running;
}

const OPERATIONS: readonly SweptOperation[] = [
  { name: 'compact', run: compact },
  { name: 'compact, the first time', scene: 'young', run: compact },
  {
    name: 'compact where nothing is to be done',
    prepare: async (w) => {
      await w.openStore();
      await w.store.compact();
    },
    run: compact,
  },
  { name: 'one round of a compactor', run: runOnce },
  { name: 'a compactor that runs on', run: runAWhile },
];

describeSweep(OPERATIONS);
