/** Opening a store, namespaces that come and go, and closing. */
import { put } from '../support/ledger.ts';
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import type { SweepWorld } from '../support/sweep-world.ts';

const nothing = async (): Promise<void> => {};

async function create(w: SweepWorld): Promise<void> {
  await w.attempt('createNamespace', () => w.store.createNamespace('runs'));
}

async function isThere(w: SweepWorld): Promise<void> {
  await w.must('createNamespace again', () => w.store.createNamespace('runs'));
  await w.must('namespaces', async () => {
    const names = await w.store.namespaces();
    w.check(names.includes('runs'), `what was created is not among ${names.join(', ')}`);
  });
}

const OPERATIONS: readonly SweptOperation[] = [
  { name: 'open, which creates the store', scene: 'nothing', prepare: nothing, run: (w) => w.attempt('open', () => w.openStore()) },
  { name: 'open', prepare: nothing, run: (w) => w.attempt('open', () => w.openStore()) },
  { name: 'createNamespace', scene: 'store', run: create, check: isThere },
  {
    name: 'createNamespace of one that was dropped',
    prepare: async (w) => {
      await w.openStore();
      await w.change(
        'dropNamespace',
        (state) => state.clear(),
        () => w.store.dropNamespace('runs'),
      );
    },
    run: create,
    check: isThere,
  },
  {
    name: 'createNamespace of one that is there',
    run: (w) => w.read('createNamespace', () => w.store.createNamespace('runs'), false),
  },
  {
    name: 'dropNamespace',
    endsHandle: true,
    run: (w) =>
      w.change(
        'dropNamespace',
        (state) => state.clear(),
        () => w.store.dropNamespace('runs'),
      ),
  },
  {
    name: 'dropNamespace under a handle that has written',
    endsHandle: true,
    prepare: async (w) => {
      await w.openStore();
      await w.write('put before', put('x', 1), () => w.runs.put('x', 1));
    },
    run: (w) =>
      w.change(
        'dropNamespace',
        (state) => state.clear(),
        () => w.store.dropNamespace('runs'),
      ),
  },
  { name: 'namespaces', run: (w) => w.read('namespaces', () => w.store.namespaces(), ['runs']) },
  {
    name: 'close after writes',
    prepare: async (w) => {
      await w.openStore();
      await w.write('put before', put('x', 1), () => w.runs.put('x', 1));
    },
    run: (w) => w.close(),
  },
];

describeSweep(OPERATIONS);
