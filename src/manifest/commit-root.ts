/**
 * Rule A2: the commit of a root, and how namespaces begin and end.
 *
 * Order of the steps: read the newest root and its bytes → make all that the next root names durable (the caller) →
 * `putIfAbsent` root n+1 → list the roots. Only if n+1 is the highest then is it committed. Otherwise the outcome is unknown: it
 * may be a true root that others have built on already, or one that was put again under the number of a root deleted long ago.
 * Who finds that starts over, and acts on nothing that rests on it.
 *
 * Each root holds the SHA-256 of the one before, so one whose own bytes can't be read is never built on.
 */
import { createHash } from 'node:crypto';
import { PeatError } from '../base/errors.ts';
import { maxStamp, NO_WRITER, type Stamp } from '../base/stamp.ts';
import { newNonce, type System } from '../base/system.ts';
import { checkWriterFeatures } from '../format/features.ts';
import { type NamespaceLayout, parseRootName, rootName } from '../format/layout.ts';
import { emptyRoot, NO_COUNTS, type Root } from '../format/root.ts';
import { assertRootIs, decodeRoot, rootToJson } from '../format/root-codec.ts';
import type { Medium } from '../medium/medium.ts';
import { getSteps, runAsync, type Steps } from '../medium/steps.ts';
import { type Clocks, isTrusted, listDated, type Moment } from './clocks.ts';
import { highestRootNumber, type RootReading } from './newest-root.ts';

const ATTEMPTS_MAX = 100;

export interface RootContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
}

/** The newest root, with what is needed to build the next one on it. */
export interface RootBase extends RootReading {
  /** SHA-256 of its bytes, in hex. */
  readonly sha256: string;
  /** How many roots the listing that found it showed. */
  readonly rootsListed: number;
}

/**
 * Rule A1 once more, this time with the root's bytes: the newest root, or undefined if the namespace has none.
 *
 * @param known a base that need not be fetched and decoded again if it is still the newest
 * @throws PeatError `CORRUPT`, and `UNSUPPORTED_VERSION` if this release must not build on it.
 */
export function* readRootBase(layout: NamespaceLayout, clocks: Clocks, known?: RootBase): Steps<RootBase | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { numbers, listedAt: readAt } = yield* listRootNumbers(layout, clocks);
    const number = numbers.at(-1);
    if (number === undefined) return undefined;
    if (known?.root.number === number) return { ...known, readAt, rootsListed: numbers.length };
    const file = rootName(layout, number);
    const bytes = yield* getSteps(file);
    if (bytes === undefined) continue;
    if (!isTrusted(clocks, readAt) && (yield* highestRootNumber(layout)) !== number) continue;
    const root = decodeRoot(bytes, file);
    assertRootIs(root, { namespace: layout.namespace, number, file });
    checkWriterFeatures(root, file);
    return { root, readAt, sha256: sha256Of(bytes), rootsListed: numbers.length };
  }
  throw new PeatError('TEMPORARY', `the newest root of ${layout.namespace} changed ${ATTEMPTS_MAX} times while it was being read`, {
    namespace: layout.namespace,
  });
}

function* listRootNumbers(layout: NamespaceLayout, clocks: Clocks): Steps<{ numbers: number[]; listedAt: Moment }> {
  const { objects, listedAt } = yield* listDated(clocks, layout.root);
  const numbers: number[] = [];
  for (const { name } of objects) {
    const number = parseRootName(layout, name);
    if (number !== undefined) numbers.push(number);
  }
  return { numbers, listedAt };
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Root 0 of a namespace, or an empty one at a higher number. */
export function newRoot(namespace: string, context: { system: System; number?: number; previous?: string | null }): Root {
  const { system, number = 0, previous = null } = context;
  return emptyRoot(namespace, { number, previous, nonce: newNonce(system), createdAtMs: system.wallNowMs() });
}

/** The root after `base`: the same but for `changes`. */
export function nextRoot(base: RootBase, system: System, changes: Partial<Root>): Root {
  return {
    ...base.root,
    number: base.root.number + 1,
    previous: base.sha256,
    nonce: newNonce(system),
    createdAtMs: system.wallNowMs(),
    counts: NO_COUNTS,
    ...changes,
  };
}

/**
 * `committed`: it is the newest root · `lost`: another root has its number · `unknown`: it was put, but is not the
 * newest. In the last two cases start over.
 */
export type CommitOutcome = 'committed' | 'lost' | 'unknown';

export interface Commit {
  readonly outcome: CommitOutcome;
  /** The root as the base of the next one; only once it is committed. */
  readonly base: RootBase | undefined;
  readonly bytes: number;
}

/** Puts a root. All that it names must be durable. After an error, as after `unknown`, it may or may not be there. */
export async function commitRoot({ medium, system, layout }: RootContext, root: Root): Promise<Commit> {
  const { encodeCheckedJson } = await import('../format/checked-json-encode.ts');
  const bytes = encodeCheckedJson(rootToJson(root));
  if (!(await medium.putIfAbsent(rootName(layout, root.number), bytes))) return { outcome: 'lost', base: undefined, bytes: bytes.length };
  const { numbers, listedAt: readAt } = await runAsync(listRootNumbers(layout, { medium, system }), { medium, system });
  if (numbers.at(-1) !== root.number) return { outcome: 'unknown', base: undefined, bytes: bytes.length };
  const base = { root, readAt, sha256: sha256Of(bytes), rootsListed: numbers.length };
  return { outcome: 'committed', base, bytes: bytes.length };
}

/** Creates the namespace if it has no root, or was dropped. Of many that race, at most one is told `created`. */
export async function createNamespace(context: RootContext): Promise<'created' | 'exists'> {
  const { system, layout } = context;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const base = await runAsync(readRootBase(layout, context), context);
    if (base?.root.state === 'live') return 'exists';
    const commit = await commitRoot(context, base === undefined ? newRoot(layout.namespace, { system }) : rebornRoot(base, system));
    if (commit.outcome === 'committed') return 'created';
  }
  throw raceError(layout);
}

/**
 * After a drop: everything of the former life lies below the horizon. What is still to be deleted is handed on, and so are the stamps.
 */
function rebornRoot(base: RootBase, system: System): Root {
  const number = base.root.number + 1;
  return nextRoot(base, system, { state: 'live', horizon: number, drain: number, forgot: number });
}

/** Drops the namespace: a root without tables, and a horizon above every segment that there can be. */
export async function dropNamespace(context: RootContext): Promise<'dropped' | 'absent'> {
  const { system, layout } = context;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const base = await runAsync(readRootBase(layout, context), context);
    if (base === undefined || base.root.state === 'dropped') return 'absent';
    if ((await commitRoot(context, droppedRoot(base, system))).outcome === 'committed') return 'dropped';
  }
  throw raceError(layout);
}

function droppedRoot(base: RootBase, system: System): Root {
  const number = base.root.number + 1;
  const dropped = new Map(base.root.dropped);
  for (const { tables } of base.root.shards) for (const { file } of tables) dropped.set(file, number);
  return nextRoot(base, system, {
    state: 'dropped',
    horizon: number,
    drain: number,
    // What was absorbed is forgotten at once, so a writer that still waits for its answer can't tell any more (rule A9).
    forgot: number,
    absorbed: new Map(),
    shards: [],
    // Numbers of records are never used twice; what of the former life comes late is void by its root (docs/protocol.md).
    serialNonces: new Map(),
    dropFloor: stampAbove(maxStamp(base.root.maxStamp, base.root.dropFloor)),
    dropped,
  });
}

/** More than any key was updated between two roots: no stamp of the former life is given out again, so `ifStamp` can't be deceived. */
const STAMPS_SKIPPED = 2 ** 32;

function stampAbove({ time, writer, sub }: Stamp = { time: 0, writer: NO_WRITER, sub: 0 }): Stamp {
  return { time, writer, sub: sub + STAMPS_SKIPPED };
}

function raceError(layout: NamespaceLayout): PeatError {
  return new PeatError('TEMPORARY', `${ATTEMPTS_MAX} attempts to put a root of ${layout.namespace} lost their race`, {
    namespace: layout.namespace,
  });
}
