/** What is there before a sweep's operation begins. */
import { compactOnce } from '../../compactor/pass.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { open, type Store } from '../../src/index.ts';
import { newestRoot } from '../../src/manifest/newest-root.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { QUICK_CONSTANTS } from './compactor-world.ts';
import { FaultyMedium } from './faulty-medium.ts';
import type { State } from './ledger.ts';
import { newStore } from './new-store.ts';
import type { VirtualSystem } from './virtual-system.ts';

interface Stage {
  readonly medium: Medium;
  readonly system: VirtualSystem;
}

export const NO_STORE = 'nothing';

/** Each returns what reads of the namespace `runs` show. */
export const SCENES = { store: emptyStore, young, busy } as const satisfies Record<string, (stage: Stage) => Promise<State>>;
export type SceneName = keyof typeof SCENES | typeof NO_STORE;

/** A store without a namespace, whose ages a test can wait for. */
async function emptyStore(stage: Stage): Promise<State> {
  await newStore(stage, QUICK_CONSTANTS);
  return new Map();
}

function openQuietly({ medium, system }: Stage): Promise<Store> {
  return open(medium, { system, autoCompact: false });
}

/** A namespace with a short tail, and no table. */
async function young(stage: Stage): Promise<State> {
  await emptyStore(stage);
  const store = await openQuietly(stage);
  const runs = store.namespace('runs');
  await runs.batch(['a', 'b', 'c'].map((key) => ({ type: 'put', key, value: `old ${key}` })));
  await runs.delete('b');
  await runs.update('n', () => 1);
  await store.close();
  await stage.system.advance(2000);
  return new Map<string, unknown>([
    ['a', 'old a'],
    ['c', 'old c'],
    ['n', 1],
  ]);
}

/** In the midst of its life: tables to merge, a drain under way, files to delete, a tail, updates done and left undecided. */
async function busy(stage: Stage): Promise<State> {
  const { medium, system } = stage;
  await emptyStore(stage);
  const layout = namespaceLayout('runs');
  const pass = { medium, system, layout, constants: QUICK_CONSTANTS, log: () => {} };
  const state = new Map<string, unknown>();
  // Its segment is never sealed.
  await (await openQuietly(stage)).namespace('runs').put('silent', 1);
  state.set('silent', 1);
  for (let i = 0; ; i++) {
    const store = await openQuietly(stage);
    const runs = store.namespace('runs');
    const value = `${i}${'x'.repeat(300)}`;
    await runs.batch([
      { type: 'put', key: `k${i % 10}`, value },
      { type: 'put', key: `d${i}`, value: i },
      { type: 'delete', key: `d${i - 1}` },
      { type: 'put', key: 'e', value: i, ttlMs: 30_000 },
    ]);
    await runs.update(`r${i % 3}`, () => i);
    state
      .set(`k${i % 10}`, value)
      .set(`d${i}`, i)
      .set(`r${i % 3}`, i)
      .delete(`d${i - 1}`);
    await store.close();
    await system.advance(61_000);
    await compactOnce(pass);
    const reading = await runAsync(newestRoot(layout, { medium, system }), { medium, system });
    if (reading !== undefined && reading.root.horizon > 0 && reading.root.drain > reading.root.horizon) break;
    if (i > 40) throw new Error('no drain came');
  }
  await writeTail(stage, state);
  await system.advance(61_000);
  return state;
}

async function writeTail(stage: Stage, state: Map<string, unknown>): Promise<void> {
  const faulty = new FaultyMedium(stage.medium, { system: stage.system });
  const store = await openQuietly({ ...stage, medium: faulty });
  const runs = store.namespace('runs');
  await runs.batch([
    { type: 'put', key: 'last', value: 1 },
    { type: 'delete', key: 'k3' },
  ]);
  state.set('last', 1).delete('k3');
  await runs.updateMany(['r0', 'r1'], () => ['whole', 'whole']);
  state.set('r0', 'whole').set('r1', 'whole');
  await store.close();
  await stage.system.advance(100);
  const other = await openQuietly({ ...stage, medium: faulty });
  // The secondary is there, the primary is not.
  faulty.inject({ when: { op: 'putIfAbsent', name: /log\/s/ }, skip: 1 });
  const failure = await other
    .namespace('runs')
    .updateMany(['half a', 'half b'], () => [1, 1])
    .catch((error: unknown) => error);
  if (!(failure instanceof Error)) throw new Error('an update without its primary was made');
  await other.close();
}
