/** What is done to a store in a bucket; each is done once before it is counted, so that what happens but once is not in it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Namespace, Store } from '../../../src/index.ts';
import { NAMESPACE } from '../../peers/peat.ts';
import type { Value } from '../../peers/peer.ts';
import type { entryMaker } from '../../workload.ts';

/** A store that is open, and who else uses it. */
export interface Scene {
  readonly store: Store;
  /** Its entries, by a handle that stays. */
  readonly entries: Namespace<Value>;
  readonly counters: Namespace<number>;
  /** The same entries, by a store of its own. */
  readonly others: Namespace<Value>;
  /** Opens another one, as a process would that starts now. */
  readonly open: () => Promise<Store>;
  readonly entryAt: ReturnType<typeof entryMaker>;
  /** Runs something until all was counted. */
  readonly beside: (run: (signal: AbortSignal) => Promise<unknown>) => void;
  /** How long the compactor of `a second of an idle compactor` runs. */
  readonly idleSeconds: number;
}

export interface Operation {
  /** Uncounted. */
  readonly before?: (scene: Scene, turn: number) => Promise<unknown>;
  readonly step: (scene: Scene, turn: number) => Promise<unknown>;
  /** How many operations one step is. Default 1. */
  readonly weight?: (scene: Scene) => number;
  /** How often it is done; what is told is the mean. */
  readonly repetitions: number;
}

const REPETITIONS = 10;
/** Calls at once, which share a group. */
const AT_ONCE = 64;

const put = async (entries: Namespace<Value>, { entryAt }: Scene, i: number): Promise<unknown> => {
  const { key, value } = entryAt(i);
  return await entries.put(key, value);
};

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  append: { repetitions: REPETITIONS, step: (scene, turn) => put(scene.entries, scene, turn) },
  'append, 64 at once': {
    repetitions: REPETITIONS,
    step: (scene, turn) => Promise.all(Array.from({ length: AT_ONCE }, (_, i) => put(scene.entries, scene, turn * AT_ONCE + i))),
    weight: () => AT_ONCE,
  },
  get: { repetitions: REPETITIONS, step: ({ entries, entryAt }) => entries.get(entryAt(7).key) },
  'get that may be a minute old': {
    repetitions: REPETITIONS,
    step: ({ entries, entryAt }) => entries.get(entryAt(7).key, { maxStalenessMs: 60_000 }),
  },
  'get of news': {
    repetitions: REPETITIONS,
    before: (scene, turn) => put(scene.others, scene, turn),
    step: ({ entries, entryAt }, turn) => entries.get(entryAt(turn).key),
  },
  update: {
    repetitions: REPETITIONS,
    step: ({ counters }) => counters.update('count', (count = 0) => count + 1),
  },
  lock: { repetitions: REPETITIONS, step: async ({ store }) => await (await store.lock('nightly')).release() },
  'open, get, close': {
    repetitions: REPETITIONS,
    step: async ({ open, entryAt }) => {
      await using store = await open();
      await store.namespace(NAMESPACE).get(entryAt(7).key);
    },
  },
  'open, put, close': {
    repetitions: REPETITIONS,
    step: async (scene, turn) => {
      await using store = await scene.open();
      await put(store.namespace<Value>(NAMESPACE), scene, turn);
    },
  },
  scan: {
    repetitions: 1,
    step: async ({ entries }) => {
      for await (const entry of entries.scan()) void entry;
    },
  },
  'a second of an idle compactor': {
    repetitions: 1,
    before: async ({ store, beside }, turn) => {
      if (turn === 0) beside((signal) => store.runCompactor({ signal, namespaces: [NAMESPACE] }));
    },
    // The first time, which does not count, it comes to rest.
    step: ({ idleSeconds }) => delay(idleSeconds * 1000),
    weight: ({ idleSeconds }) => idleSeconds,
  },
};

/** @throws TypeError if there is none of this name */
export function operationNamed(name: string): Operation {
  const operation = OPERATIONS[name];
  if (operation === undefined) throw new TypeError(`there is no operation ${JSON.stringify(name)}`);
  return operation;
}
