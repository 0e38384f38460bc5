/** Read-modify-writes: each takes effect once, or not at all. */
import { DELETE, type Namespace, type Store } from '../../src/index.ts';
import { all, del, type Effect, put } from '../support/ledger.ts';
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import type { SweepWorld } from '../support/sweep-world.ts';

const added =
  (key: string): Effect =>
  (state) => {
    state.set(key, Number(state.get(key) ?? 0) + 1);
  };

const add = (runs: Namespace, key: string): Promise<unknown> => runs.update(key, (n) => Number(n ?? 0) + 1);

async function putIfAsRead(w: SweepWorld): Promise<void> {
  let stamp = '';
  if (!(await w.attempt('getEntry', async () => ({ stamp } = (await w.runs.getEntry('silent')) ?? { stamp })))) return;
  await w.write('putIf', put('silent', 2), async () => {
    const { ok } = await w.runs.putIf('silent', 2, { ifStamp: stamp });
    w.check(ok, 'a condition that holds was refused');
  });
}

let other: Store | undefined;

/** Two processes that lose races to each other, and queue for the stripe's lock. */
async function race(w: SweepWorld): Promise<void> {
  if (other === undefined) throw new Error('the other store was not opened');
  const handles = [w.runs, other.namespace('runs')];
  const turns = Array.from({ length: 6 }, (_, i) => handles[i % 2] as Namespace);
  await Promise.all(turns.map((runs, i) => w.write(`update ${i}`, added('silent'), () => add(runs, 'silent'))));
  await w.attempt('close elsewhere', async () => other?.close());
}

const OPERATIONS: readonly SweptOperation[] = [
  { name: 'update', run: (w) => w.write('update', added('silent'), () => add(w.runs, 'silent')) },
  { name: 'update, which creates the namespace', scene: 'store', run: (w) => w.write('update', added('n'), () => add(w.runs, 'n')) },
  {
    name: 'update after another one',
    prepare: async (w) => {
      await w.openStore();
      await w.write('update before', added('silent'), () => add(w.runs, 'silent'));
    },
    run: (w) => w.write('update', added('silent'), () => add(w.runs, 'silent')),
  },
  { name: 'update that deletes', run: (w) => w.write('update', del('k1'), () => w.runs.update('k1', () => DELETE)) },
  {
    name: 'update that changes nothing',
    run: (w) =>
      w.write(
        'update',
        () => {},
        () => w.runs.update('k1', () => undefined),
      ),
  },
  {
    name: 'updates that share a record',
    run: (w) => Promise.all([0, 1, 2].map((i) => w.write(`update ${i}`, added('silent'), () => add(w.runs, 'silent')))),
  },
  {
    name: 'updates of two processes',
    prepare: async (w) => {
      await w.openStore();
      other = await w.openAnother();
    },
    run: race,
  },
  { name: 'putIf of what is absent', run: (w) => w.write('putIf', put('x', 1), () => w.runs.putIf('x', 1, { ifAbsent: true })) },
  {
    name: 'putIf of what is there',
    run: (w) =>
      w.write(
        'putIf',
        () => {},
        () => w.runs.putIf('k1', 1, { ifAbsent: true }),
      ),
  },
  { name: 'getEntry and putIf', run: putIfAsRead },
  {
    name: 'updateMany of two stripes',
    run: (w) => w.write('updateMany', all(put('k1', 'a'), put('k2', 'b')), () => w.runs.updateMany(['k1', 'k2'], () => ['a', 'b'])),
  },
  {
    name: 'updateMany of five stripes',
    run: (w) => {
      const keys = ['k1', 'k2', 'k4', 'x', 'y'];
      const effect = all(...keys.map((key) => put(key, `new ${key}`)));
      return w.write('updateMany', effect, () => w.runs.updateMany(keys, () => keys.map((key) => `new ${key}`)));
    },
  },
  {
    name: 'updateMany behind one that was left undecided',
    run: (w) => {
      const keys = ['half a', 'half b'];
      return w.write('updateMany', all(put('half a', 2), put('half b', 2)), () => w.runs.updateMany(keys, () => [2, 2]));
    },
  },
  {
    name: 'updateMany, and close before it is done',
    run: async (w) => {
      const made = w.write('updateMany', all(added('silent'), put('k2', 'b')), () =>
        w.runs.updateMany(['silent', 'k2'], ([n]) => [Number(n) + 1, 'b']),
      );
      await Promise.all([made, w.close()]);
    },
  },
];

describeSweep(OPERATIONS);
