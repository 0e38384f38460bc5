/** Watches: a change is told, or the watch fails; it is never passed over in silence. */

import { open } from '../../src/index.ts';
import { all, del, put } from '../support/ledger.ts';
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import type { SweepWorld } from '../support/sweep-world.ts';

const EFFECT = all(put('x', 1), del('k1'));

/** By a process whose medium works. */
async function changeElsewhere(w: SweepWorld): Promise<void> {
  const other = await open(w.inner, { system: w.system, autoCompact: false });
  await w.write('batch elsewhere', EFFECT, () =>
    other.namespace('runs').batch([
      { type: 'put', key: 'x', value: 1 },
      { type: 'delete', key: 'k1' },
    ]),
  );
  await other.close();
}

let token: string | undefined;

/** Until both changes were told. */
async function collect(w: SweepWorld, from: string | undefined): Promise<void> {
  const wanted = new Set(['put x', 'delete k1']);
  const signal = AbortSignal.any([]);
  for await (const event of w.runs.watch({ pollMs: 200, signal, ...(from === undefined ? {} : { from }) })) {
    if (event.type === 'resync') throw new Error('the watch says resync, though nothing was missed');
    wanted.delete(`${event.type} ${event.key}`);
    if (wanted.size === 0) return;
  }
}

async function keepToken(w: SweepWorld): Promise<void> {
  await w.openStore();
  const events = w.runs.watch({ pollMs: 20 });
  token = undefined;
  const first = events.next().then(({ value }) => {
    token = (value as { token: string }).token;
  });
  // Its code may still have to be loaded, which takes no virtual time.
  for (let i = 0; token === undefined; i++) {
    await w.write('put before', put('before', i), () => w.runs.put('before', i));
    await w.system.sleep(100);
  }
  await first;
  await events.return?.();
}

const OPERATIONS: readonly SweptOperation[] = [
  {
    name: 'watch from now on',
    prepare: keepToken,
    run: async (w) => {
      const watching = w.attempt('watch', () => collect(w, undefined));
      await w.system.sleep(300);
      await changeElsewhere(w);
      await watching;
    },
  },
  {
    name: 'watch from a token',
    prepare: async (w) => {
      await keepToken(w);
      await changeElsewhere(w);
    },
    run: (w) => w.attempt('watch', () => collect(w, token)),
    check: (w) => w.must('watch again', () => collect(w, token)),
  },
  {
    name: 'watch from a token, after a compaction',
    prepare: async (w) => {
      await keepToken(w);
      await changeElsewhere(w);
      await w.store.compact();
      w.system.time.skip(120_000);
      await w.store.compact();
    },
    run: (w) => w.attempt('watch', () => collect(w, token)),
    check: (w) => w.must('watch again', () => collect(w, token)),
  },
];

describeSweep(OPERATIONS);
