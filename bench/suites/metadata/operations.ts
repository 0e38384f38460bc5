/** The operations whose calls are counted; each is done once before, so that what happens but once is not among them. */
import type { PeerStore } from '../../peers/peer.ts';
import { entryMaker } from '../../workload.ts';

/** How often each is done: what is told is the mean. */
export const REPETITIONS = 10;

export const OPERATIONS = ['append', 'get', 'get of news', 'scan', 'update', 'settle'] as const;
export type Operation = (typeof OPERATIONS)[number];

export const INITIAL_ENTRIES = 200;

type Step = (turn: number) => unknown;

/** What an operation does, and what happens before it, uncounted. `other` is a store of its own on the same directory. */
export function stepsOf(
  operation: Operation,
  { store, other, seed }: { store: PeerStore; other: PeerStore; seed: number },
): { before?: Step; step: Step } {
  const entryAt = entryMaker({ seed });
  const added = (turn: number, by: number) => entryAt(INITIAL_ENTRIES + by * 1000 + turn);
  const put =
    (to: PeerStore, by: number): Step =>
    (turn) => {
      const { key, value } = added(turn, by);
      return to.put(key, value);
    };
  switch (operation) {
    case 'append':
      return { step: put(store, 1) };
    case 'get':
      return { step: () => store.get(entryAt(7).key) };
    case 'get of news':
      return { before: put(other, 2), step: (turn) => store.get(added(turn, 2).key) };
    case 'scan':
      return {
        step: async () => {
          for await (const entry of store.scan({ prefix: entryAt(7).key.slice(0, 14) })) void entry;
        },
      };
    case 'update':
      return { step: (turn) => store.update(entryAt(turn).key, () => added(turn, 3).value) };
    case 'settle':
      return { before: put(store, 4), step: () => store.settle() };
  }
}
