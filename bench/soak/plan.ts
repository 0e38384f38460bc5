/** Who takes part in a soak, how many of each, and how often one is killed. */

/** What a process of the soak does; see the file of that name in `roles/`. */
export type Role = 'poller' | 'updater' | 'holder' | 'collector' | 'watchman' | 'shell';

/** What is given to a process when it is started. */
export interface Assignment {
  readonly role: Role;
  /** Of all lives of this actor; `poller-1`. Its keys and its journal bear it. */
  readonly name: string;
  readonly store: string;
  /** Where the journals are. */
  readonly journals: string;
  readonly seed: number;
  /** How often it reports. */
  readonly reportMs: number;
}

export const NAMESPACE = 'soak';

export const ACTORS: Readonly<Record<Role, number>> = { poller: 4, updater: 2, holder: 3, collector: 1, watchman: 1, shell: 1 };

/** The names of all actors of a role. */
export function namesOf(role: Role): string[] {
  return Array.from({ length: ACTORS[role] }, (_, i) => `${role}-${i}`);
}

/** Of these one is killed with -9 at each kill, and started again. Compactors count, too. */
export const KILLED: readonly Role[] = ['poller', 'updater', 'holder'];
export const COMPACTORS = 2;

/** Between two kills, milliseconds, at random. */
export const KILL_EVERY_MS: readonly [number, number] = [3000, 15_000];

/** Keys that a poller puts and deletes again and again. */
export const POLLER_KEYS = 400;
/** Entries that a poller adds and the collector deletes: it leaves the newest of each poller. */
export const RUNS_KEPT = 300;

export const COUNTERS = 8;
export const ACCOUNTS = 10;
/** What all accounts hold together, at any moment. */
export const ACCOUNTS_TOTAL = 1000;

export const LONG_LOCK = 'soak/long';
export const HOLD_MS_MAX = 5000;

export const counterKey = (i: number): string => `counter/${i}`;
export const accountKey = (i: number): string => `account/${i}`;
export const pollerPrefix = (name: string): string => `state/${name}/`;
export const runPrefix = (name: string): string => `run/${name}/`;
/** In the order of their numbers. */
export const runKey = (name: string, n: number): string => `${runPrefix(name)}${String(n).padStart(9, '0')}`;
