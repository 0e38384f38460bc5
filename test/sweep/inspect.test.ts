/** Verifying, repairing and copying: what fails leaves the source as it was, and a copy that is whole or no store. */
import { namespaceLayout, STORE_FILE } from '../../src/format/layout.ts';
import { open } from '../../src/index.ts';
import { copyStore } from '../../src/inspect/copy-store.ts';
import { repairStore } from '../../src/inspect/repair.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import { SweepWorld } from '../support/sweep-world.ts';

/** Overwrites a part of an object, past everything. */
async function damage(w: SweepWorld, name: string, bytes: number): Promise<void> {
  const whole = (await w.inner.get(name)) as Buffer;
  for (let i = 0; i < bytes; i++) whole[20 + 3 * i] = (whole[20 + 3 * i] as number) ^ 1;
  await w.inner.delete([name]);
  await w.inner.putIfAbsent(name, whole);
}

async function newestRootName(w: SweepWorld): Promise<string> {
  return `${namespaceLayout('runs').root}${(await w.names('root')).at(-1)}`;
}

const repair = (medium: Medium, w: SweepWorld): Promise<unknown> => repairStore({ medium, system: w.system }, { apply: true });

function repairing(name: string, prepare: (w: SweepWorld) => Promise<unknown>): SweptOperation {
  return {
    name,
    prepare,
    run: (w) => w.attempt('repair', () => repair(w.faulty, w)),
    recover: (w) => repair(w.inner, w),
  };
}

let target: MemoryMedium | undefined;

/** A copy that has its description is whole; another one is no store. */
async function isWholeOrNone(w: SweepWorld): Promise<void> {
  if (target === undefined || (await target.get(STORE_FILE)) === undefined) return;
  const store = await open(target, { system: w.system, readOnly: true });
  await w.judge('in the copy', store, { isLast: false });
  await store.close();
}

let source: SweepWorld | undefined;

const OPERATIONS: readonly SweptOperation[] = [
  {
    name: 'verify',
    prepare: async () => {},
    run: (w) => w.attempt('verify', () => verifyStore({ medium: w.faulty, system: w.system })),
  },
  repairing('repair of what is whole', async () => {}),
  repairing('repair of a root with one wrong byte', async (w) => damage(w, await newestRootName(w), 1)),
  repairing('repair of a root with many wrong bytes', async (w) => damage(w, await newestRootName(w), 8)),
  repairing('repair of the description', (w) => damage(w, STORE_FILE, 1)),
  {
    name: 'copy, from a medium that fails',
    prepare: async (w) => {
      target = new MemoryMedium({ system: w.system, canAppend: w.inner.canAppend });
    },
    run: async (w) => {
      const copy = target;
      if (copy !== undefined) await w.attempt('copy', () => copyStore({ source: w.faulty, target: copy, system: w.system }));
      await isWholeOrNone(w);
    },
  },
  {
    name: 'copy, to a medium that fails',
    scene: 'nothing',
    prepare: async (w) => {
      source = await SweepWorld.open('busy', w.form);
      w.system.time.skip(source.system.wallNowMs() - w.system.wallNowMs());
    },
    run: (w) =>
      w.change(
        'copy',
        (state) => {
          for (const [key, value] of source?.ledger.possible()[0] ?? []) state.set(key, value);
        },
        () => copyStore({ source: (source as SweepWorld).inner, target: w.faulty, system: w.system }),
      ),
    recover: async (w) => {
      await w.faulty.executeLate();
      if ((await w.inner.get(STORE_FILE)) !== undefined) return;
      await w.inner.delete((await w.inner.list('')).map(({ name }) => name));
    },
  },
];

describeSweep(OPERATIONS);
