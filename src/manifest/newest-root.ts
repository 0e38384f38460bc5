/**
 * Rule A1: which root is the newest.
 *
 * List, take the highest number, get it, list again; start over if it was gone or a higher one has appeared. Never probe upwards from
 * a known number: a stalled compactor may put a root again under the number of one that was deleted.
 *
 * The second listing may be left out on a local medium where the first is under 60 s old by both clocks: no root as young as that
 * is ever deleted ("Shortcuts"). So a fast read is one listing and one get, and none at all where a known root is
 * still the highest.
 */
import { PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import { type NamespaceLayout, parseRootName, rootName } from '../format/layout.ts';
import type { Root } from '../format/root.ts';
import { assertRootIs, decodeRoot } from '../format/root-codec.ts';
import { getSteps, listSteps, type Steps } from '../medium/steps.ts';

/** Under this, a root that was the newest when it was read may still be acted on without looking again. */
export const ROOT_TRUST_MS = 60_000;
const ATTEMPTS_MAX = 1000;

/** A point in time on both clocks: a paused machine may miss one of them. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export function now(system: System): Moment {
  return { wallMs: system.wallNowMs(), monotonicMs: system.monotonicNowMs() };
}

/** Milliseconds since `moment` by the clock that shows more; Infinity if the wall clock went back. */
export function elapsedMs(system: System, moment: Moment): number {
  const wall = system.wallNowMs() - moment.wallMs;
  return wall < 0 ? Number.POSITIVE_INFINITY : Math.max(wall, system.monotonicNowMs() - moment.monotonicMs);
}

/** A root that was the newest of its namespace at `readAt`. */
export interface RootReading {
  readonly root: Root;
  /** Taken before the listing that showed it as the newest. */
  readonly readAt: Moment;
}

/** The highest number among the roots; undefined if there is none. */
export function* highestRootNumber(layout: NamespaceLayout): Steps<number | undefined> {
  let highest: number | undefined;
  for (const { name } of yield* listSteps(layout.root)) {
    const number = parseRootName(layout, name);
    if (number !== undefined && (highest === undefined || number > highest)) highest = number;
  }
  return highest;
}

export interface NewestRootOptions {
  /** A reading whose root need not be fetched and decoded again if it is still the newest. */
  readonly known?: RootReading | undefined;
  /** A remote medium goes on while this machine is paused and none of its clocks shows it: the second listing is made. */
  readonly isRemote?: boolean;
}

/**
 * The newest root, or undefined if the namespace has none.
 */
export function* newestRoot(layout: NamespaceLayout, system: System, options: NewestRootOptions = {}): Steps<RootReading | undefined> {
  const { known, isRemote = false } = options;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const readAt = now(system);
    const number = yield* highestRootNumber(layout);
    if (number === undefined) return undefined;
    if (known !== undefined && known.root.number === number) return { root: known.root, readAt };
    const root = yield* readRoot(layout, number);
    if (root === undefined) continue;
    if (!isRemote && elapsedMs(system, readAt) < ROOT_TRUST_MS) return { root, readAt };
    if ((yield* highestRootNumber(layout)) === number) return { root, readAt };
  }
  throw new PeatError('TEMPORARY', `the newest root of ${layout.namespace} changed ${ATTEMPTS_MAX} times while it was being read`, {
    namespace: layout.namespace,
  });
}

/** Root `number`; undefined if it is not there. @throws PeatError `CORRUPT`, `UNSUPPORTED_VERSION`. */
export function* readRoot(layout: NamespaceLayout, number: number): Steps<Root | undefined> {
  const file = rootName(layout, number);
  const bytes = yield* getSteps(file);
  if (bytes === undefined) return undefined;
  const root = decodeRoot(bytes, file);
  assertRootIs(root, { namespace: layout.namespace, number, file });
  return root;
}
