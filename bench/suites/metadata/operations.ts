/** The operations whose calls are counted; each is done once before, so that what happens but once is not among them. */
import type { PeerName, PeerStore } from '../../peers/peer.ts';
import { entryMaker } from '../../workload.ts';

/** How often each is done: what is told is the mean. */
export const REPETITIONS = 10;

export const INITIAL_ENTRIES = 200;

type Step = (turn: number) => unknown;

interface Scene {
  readonly store: PeerStore;
  /** A store of its own on the same directory. */
  readonly other: PeerStore;
  readonly open: () => Promise<PeerStore>;
  readonly seed: number;
}

interface Steps {
  /** What happens before it, uncounted. */
  readonly before?: Step;
  readonly step: Step;
}

export interface Operation {
  readonly peers: readonly PeerName[];
  /** That no lock is taken is a target. */
  readonly isLockFree?: boolean;
  readonly stepsOf: (scene: Scene) => Steps;
}

const PEERS = ['peat', 'sqlite-full', 'lmdb', 'json-file'] as const;

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'append, sync': { peers: PEERS, isLockFree: true, stepsOf: ({ store, seed }) => ({ step: putting(store, { seed, by: 1 }) }) },
  'append, os': {
    peers: ['peat-os', 'sqlite-normal', 'lmdb-nosync'],
    isLockFree: true,
    stepsOf: ({ store, seed }) => ({ step: putting(store, { seed, by: 1 }) }),
  },
  'open, put, close': {
    peers: PEERS,
    isLockFree: true,
    stepsOf: ({ open, seed }) => ({
      step: async (turn) => {
        const store = await open();
        await putting(store, { seed, by: 1 })(turn);
        await store.close();
      },
    }),
  },
  get: { peers: PEERS, isLockFree: true, stepsOf: ({ store, seed }) => ({ step: () => store.get(entryMaker({ seed })(7).key) }) },
  'get of news': {
    peers: PEERS,
    isLockFree: true,
    stepsOf: ({ store, other, seed }) => ({
      before: putting(other, { seed, by: 2 }),
      step: (turn) => store.get(addedAt(turn, { seed, by: 2 }).key),
    }),
  },
  scan: {
    peers: PEERS,
    isLockFree: true,
    stepsOf: ({ store, seed }) => ({
      step: async () => {
        for await (const entry of store.scan({ prefix: entryMaker({ seed })(7).key.slice(0, 14) })) void entry;
      },
    }),
  },
  update: {
    peers: PEERS,
    stepsOf: ({ store, seed }) => ({
      step: (turn) => store.update(entryMaker({ seed })(turn).key, () => addedAt(turn, { seed, by: 3 }).value),
    }),
  },
  'update of two keys': {
    peers: ['peat'],
    stepsOf: ({ store, seed }) => ({
      step: (turn) => {
        const entryAt = entryMaker({ seed });
        const next = () => [addedAt(turn, { seed, by: 3 }).value, addedAt(turn, { seed, by: 4 }).value];
        return store.updateMany?.([entryAt(turn).key, entryAt(turn + 100).key], next);
      },
    }),
  },
  'lock and unlock': { peers: ['peat'], stepsOf: ({ store }) => ({ step: () => store.lockAndUnlock?.('a lock') }) },
  compaction: {
    peers: ['peat', 'sqlite-full'],
    stepsOf: ({ store, seed }) => ({ before: putting(store, { seed, by: 5 }), step: () => store.settle() }),
  },
};

/** @throws RangeError that shows the name */
export function operationNamed(name: string): Operation {
  const operation = OPERATIONS[name];
  if (operation === undefined) throw new RangeError(`there is no operation ${JSON.stringify(name)}`);
  return operation;
}

/** An entry that was not there at first; writers that differ in `by` have their own. */
function addedAt(turn: number, { seed, by }: { seed: number; by: number }) {
  return entryMaker({ seed })(INITIAL_ENTRIES + by * 1000 + turn);
}

function putting(store: PeerStore, { seed, by }: { seed: number; by: number }): Step {
  return (turn) => {
    const { key, value } = addedAt(turn, { seed, by });
    return store.put(key, value);
  };
}
