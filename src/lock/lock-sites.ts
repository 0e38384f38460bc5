/**
 * The places of the engine that acquire a lock: every one of them, each with what the lock guards there and why it is taken. An
 * acquisition has to name its site, so the table is complete; `peat lock audit` and `docs/locks.md` show it.
 */
import type { LockKind } from '../format/layout.ts';

export type LockMode = 'exclusive' | 'shared';

export interface LockSite {
  /** Stands in traces; never used for another site. */
  readonly id: string;
  readonly kind: LockKind;
  readonly mode: LockMode | 'either';
  readonly guards: string;
  readonly why: string;
}

export type LockSiteName =
  | 'compactorElection'
  | 'compactorRound'
  | 'compactOnce'
  | 'autoCompact'
  | 'repair'
  | 'stripeUpdate'
  | 'stripeUpdateMany'
  | 'namedLock'
  | 'namedLocks'
  | 'structuralLock';

const ONE_COMPACTOR = 'the right to compact the namespace';
const SAVES_PASSES = 'Two compactors at once do the same work twice. Nothing is lost without the lock: a root is won by `putIfAbsent`.';

export const LOCK_SITES: Readonly<Record<LockSiteName, LockSite>> = {
  compactorElection: {
    id: 'compactor-election',
    kind: 'compactor',
    mode: 'exclusive',
    guards: ONE_COMPACTOR,
    why: `A standing compactor queues, leads until it is stopped, and is replaced when it dies. ${SAVES_PASSES}`,
  },
  compactorRound: {
    id: 'compactor-round',
    kind: 'compactor',
    mode: 'exclusive',
    guards: ONE_COMPACTOR,
    why: `One round over all namespaces; one that somebody compacts already is passed over, without a wait. ${SAVES_PASSES}`,
  },
  compactOnce: {
    id: 'compact-once',
    kind: 'compactor',
    mode: 'exclusive',
    guards: ONE_COMPACTOR,
    why: `A caller asked for it, and waits for its turn. ${SAVES_PASSES}`,
  },
  autoCompact: {
    id: 'auto-compact',
    kind: 'compactor',
    mode: 'exclusive',
    guards: ONE_COMPACTOR,
    why: `A writer found a long tail and makes one bounded pass, unless somebody compacts already; it never waits. ${SAVES_PASSES}`,
  },
  repair: {
    id: 'repair',
    kind: 'compactor',
    mode: 'exclusive',
    guards: ONE_COMPACTOR,
    why: "A repair puts a root. With a compactor beside it, it would have to start over with each of that one's roots.",
  },
  stripeUpdate: {
    id: 'stripe-update',
    kind: 'stripe',
    mode: 'exclusive',
    guards: 'the next record of the stripe',
    why: 'After a lost race: first come, first served, so that nobody starves, and no work is done in vain. The record is won by `putIfAbsent`.',
  },
  stripeUpdateMany: {
    id: 'stripe-update-many',
    kind: 'stripe',
    mode: 'exclusive',
    guards: 'the next records of several stripes',
    why: 'After a lost race; taken in the order of the stripes, so that two of them never wait for each other. One record decides for all.',
  },
  namedLock: {
    id: 'named-lock',
    kind: 'user',
    mode: 'either',
    guards: 'whatever its name means to the callers',
    why: '`lock()` and `withLock()`: held for as long as the work of a caller takes.',
  },
  namedLocks: {
    id: 'named-locks',
    kind: 'user',
    mode: 'either',
    guards: 'whatever the names mean to the callers',
    why: '`locks()`: several names, taken in their order, all or nothing.',
  },
  structuralLock: {
    id: 'structural-lock',
    kind: 'structural',
    mode: 'exclusive',
    guards: 'the whole store, against every named lock',
    why: '`exclusive()`: waits for each holder of a named lock, and keeps new ones out.',
  },
};
