/**
 * Rule A1: which root is the newest.
 *
 * List, take the highest number, get it, list again; start over if it was gone or a higher one has appeared. Never probe upwards from
 * a known number: a stalled compactor may put a root again under the number of one that was deleted.
 *
 * The second listing is left out where the first is under 60 s old by all clocks: no root as young as that is ever deleted
 * ("Shortcuts", `clocks.ts`). So a fast read is one listing and one get, and no get at all where a known root is
 * still the highest.
 */
import { PeatError } from '../base/errors.ts';
import { type NamespaceLayout, parseRootName, rootName } from '../format/layout.ts';
import type { Root } from '../format/root.ts';
import { assertRootIs, decodeRoot } from '../format/root-codec.ts';
import type { ListedObject } from '../medium/medium.ts';
import { getSteps, listSteps, type Steps } from '../medium/steps.ts';
import { type Clocks, isTrusted, listDated, type Moment } from './clocks.ts';

const ATTEMPTS_MAX = 1000;

/** A root that was the newest of its namespace at `readAt`. */
export interface RootReading {
  readonly root: Root;
  /** When the listing was made that showed it as the newest, or before. */
  readonly readAt: Moment;
}

/** The highest number among the roots; undefined if there is none. */
export function* highestRootNumber(layout: NamespaceLayout): Steps<number | undefined> {
  return highestOf(layout, yield* listSteps(layout.root));
}

function highestOf(layout: NamespaceLayout, objects: readonly ListedObject[]): number | undefined {
  let highest: number | undefined;
  for (const { name } of objects) {
    const number = parseRootName(layout, name);
    if (number !== undefined && (highest === undefined || number > highest)) highest = number;
  }
  return highest;
}

/**
 * The newest root, or undefined if the namespace has none.
 *
 * @param known a reading whose root need not be fetched and decoded again if it is still the newest
 */
export function* newestRoot(layout: NamespaceLayout, clocks: Clocks, known?: RootReading): Steps<RootReading | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { objects, listedAt: readAt } = yield* listDated(clocks, layout.root);
    const number = highestOf(layout, objects);
    if (number === undefined) return undefined;
    if (known !== undefined && known.root.number === number) return { root: known.root, readAt };
    const root = yield* readRoot(layout, number);
    if (root === undefined) continue;
    if (isTrusted(clocks, readAt)) return { root, readAt };
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
