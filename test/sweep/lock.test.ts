/** Locks of callers: what was not given back because of the medium is given back once that works again. */
import type { NamedLock } from '../../src/index.ts';
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import type { SweepWorld } from '../support/sweep-world.ts';

/** Nobody holds it for ever, and tokens rise. */
async function isFree(w: SweepWorld): Promise<void> {
  for (const name of ['deploy', 'other']) {
    await w.must(`lock ${name} afterwards`, async () => {
      const first = await w.store.lock(name, { maxWaitMs: 120_000 });
      await first.release();
      const second = await w.store.lock(name);
      w.check(second.token > first.token, `token ${second.token} came after ${first.token}`);
      w.check(name !== 'deploy' || first.token > highestToken, `token ${first.token} came after ${highestToken}`);
      await second.release();
    });
  }
  await w.must('exclusive afterwards', async () => (await w.store.exclusive({ maxWaitMs: 120_000 })).release());
  await w.must('listLocks afterwards', async () => {
    const held = (await w.store.listLocks()).filter(({ tickets }) => tickets.length > 0);
    w.check(held.length === 0, `still held: ${held.map(({ kind, name }) => `${kind} ${name}`).join(', ')}`);
  });
}

let highestToken = 0;
let held: NamedLock | undefined;

async function openAndForget(w: SweepWorld): Promise<void> {
  highestToken = 0;
  held = undefined;
  await w.openStore();
}

async function openAndHold(w: SweepWorld): Promise<void> {
  await openAndForget(w);
  held = await w.store.lock('deploy');
  highestToken = held.token;
}

function work(w: SweepWorld, acquire: () => Promise<NamedLock>): Promise<unknown> {
  return w.attempt('lock', async () => {
    const lock = await acquire();
    highestToken = Math.max(highestToken, ...(lock.names.length > 0 ? lock.tokens : [0]));
    await w.system.sleep(20);
    await lock.release();
  });
}

const row = (name: string, run: SweptOperation['run'], prepare = openAndForget): SweptOperation => ({
  name,
  scene: 'young',
  prepare,
  run,
  check: isFree,
});

const OPERATIONS: readonly SweptOperation[] = [
  row('withLock', (w) =>
    w.attempt('withLock', () =>
      w.store.withLock('deploy', async ({ token }) => {
        highestToken = Math.max(highestToken, token);
        await w.system.sleep(20);
      }),
    ),
  ),
  row('lock, and release', (w) => work(w, () => w.store.lock('deploy'))),
  row('a shared lock', (w) => work(w, () => w.store.lock('deploy', { mode: 'shared' }))),
  row('a lock that is kept for longer than a sign of life', (w) =>
    w.attempt('lock', async () => {
      const lock = await w.store.lock('deploy', { leaseMs: 300 });
      await w.system.sleep(250);
      await lock.release();
    }),
  ),
  row('locks of two names', (w) => work(w, () => w.store.locks(['deploy', 'other']))),
  row('exclusive', (w) => work(w, () => w.store.exclusive())),
  row('a lock that another one waits for', (w) =>
    Promise.all([work(w, () => w.store.lock('deploy')), work(w, () => w.store.lock('deploy', { maxWaitMs: 5000 }))]),
  ),
  row(
    'a lock that is not free in time',
    async (w) => {
      await w.attempt('lock', async () => {
        await w.store.lock('deploy', { maxWaitMs: 300 });
        w.check(false, 'a lock that is held was handed out');
      });
      await held?.release();
    },
    openAndHold,
  ),
  row('release', async () => held?.release(), openAndHold),
  row(
    'listLocks',
    async (w) => {
      const holder = async (): Promise<unknown> => (await w.store.listLocks()).find(({ name }) => name === 'deploy')?.tickets.length;
      await w.read('listLocks', holder, 1);
      await held?.release();
    },
    openAndHold,
  ),
  row(
    'breakLock',
    async (w) => {
      await w.attempt('breakLock', () => w.store.breakLock('deploy', { token: highestToken }));
      await held?.release();
    },
    openAndHold,
  ),
];

describeSweep(OPERATIONS);
