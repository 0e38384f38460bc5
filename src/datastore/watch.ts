/** `watch`: the changes of a namespace as an async iterable. */
import { isPeatError } from '../base/errors.ts';
import { fromKey, type Key, show, toBound } from '../base/key.ts';
import type { SeenTime } from '../base/stamp.ts';
import type { System } from '../base/system.ts';
import { decodeValue } from '../base/value.ts';
import type { Entry } from '../format/entry.ts';
import type { NamespaceLayout } from '../format/layout.ts';
import type { StoreConstants } from '../format/store-file.ts';
import type { Medium } from '../medium/medium.ts';
import { NamespaceReader } from '../read/namespace-reader.ts';
import type { Position } from '../read/watcher.ts';
import { count } from './options.ts';

export interface WatchOptions {
  /** Only keys that begin with this. */
  readonly prefix?: string;
  /** Go on after this event, instead of with what happens from now on: that is, after the first look, which follows the first call of `next`. */
  readonly from?: string;
  /** How often to look where no events come, ms. Default 250. */
  readonly pollMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A change. `resync` says that changes may have been missed, because the token was older than the retention: read the namespace
 * anew; the events after it go on from a state at least as new.
 */
export type WatchEvent<T> =
  | { readonly type: 'put'; readonly key: string; readonly value: T; readonly expiresAtMs: number; readonly token: string }
  | { readonly type: 'delete'; readonly key: string; readonly token: string }
  | { readonly type: 'resync'; readonly token: string };

export interface WatchContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  readonly storeId: string;
  readonly seen: SeenTime;
  readonly constants: StoreConstants;
  readonly cacheBytes: number;
  readonly emptyIfMissing: boolean;
  /** Aborted when the namespace is closed: the watch ends. */
  readonly closed: AbortSignal;
}

const KNOWN = new Set(['prefix', 'from', 'pollMs', 'signal']);

/** Even where events come, some get lost: look again after this long. */
const WITH_EVENTS_MS = 2000;

export function watchNamespace<T>(context: WatchContext, options: WatchOptions): AsyncIterableIterator<WatchEvent<T>> {
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) throw new TypeError(`watch has no option ${show(name)}`);
  const prefix = toBound(options.prefix ?? '', 'prefix');
  const pollMs = count(options.pollMs, 'pollMs', { least: 1, most: 3_600_000, fallback: 250 });
  const from = options.from === undefined ? undefined : parseToken(options.from, context);
  return untilClosed(run<T>(context, { prefix, from, pollMs, signal: options.signal }), context.closed);
}

/** Ends, instead of failing, when the namespace is closed. */
async function* untilClosed<T>(events: AsyncIterable<T>, closed: AbortSignal): AsyncGenerator<T, void> {
  try {
    yield* events;
  } catch (error) {
    if (!closed.aborted) throw error;
  }
}

async function* run<T>(
  context: WatchContext,
  options: { prefix: Key; from: Position | undefined; pollMs: number; signal: AbortSignal | undefined },
): AsyncGenerator<WatchEvent<T>, void> {
  // Few processes watch, and those that don't start sooner without this.
  const [{ Waker }, { Watcher }] = await Promise.all([import('../medium/waker.ts'), import('../read/watcher.ts')]);
  const { medium, system, layout, closed } = context;
  const signal = options.signal === undefined ? closed : AbortSignal.any([closed, options.signal]);
  const reader = new NamespaceReader(context, {
    cacheBytes: context.cacheBytes,
    emptyIfMissing: context.emptyIfMissing,
    frozen: false,
    drainWaitMs: 10_000,
    finishDrain: undefined,
  });
  const watched = { medium, system, layout, reader, segmentGraceMs: context.constants.segmentGraceMs };
  const waker = await Waker.open(
    { medium, system, prefixes: [layout.root, layout.log] },
    { withEventsMs: WITH_EVENTS_MS, pollMs: options.pollMs },
  );
  try {
    const start = options.from ?? (await Watcher.now(watched));
    let watcher = new Watcher(watched, start);
    let token = toToken(context, start);
    for (;;) {
      signal.throwIfAborted();
      try {
        const { entries, position } = await watcher.next(signal);
        const wanted = entries.filter(({ key }) => key.startsWith(options.prefix));
        const last = wanted.pop();
        // Who resumes from an event in the middle gets the others of its look again, rather than never.
        for (const entry of wanted) yield toEvent<T>(entry, token);
        token = toToken(context, position);
        if (last !== undefined) yield toEvent<T>(last, token);
      } catch (error) {
        if (!isPeatError(error, 'RESYNC_REQUIRED')) throw error;
        const position = await Watcher.now(watched);
        watcher = new Watcher(watched, position);
        token = toToken(context, position);
        yield { type: 'resync', token };
      }
      await waker.wait({ signal });
    }
  } finally {
    await waker.close();
  }
}

function toEvent<T>(entry: Entry, token: string): WatchEvent<T> {
  const key = fromKey(entry.key);
  if (entry.value === undefined) return { type: 'delete', key, token };
  return { type: 'put', key, value: decodeValue(entry.value) as T, expiresAtMs: entry.expiresAtMs, token };
}

/** A token is a position as text, with the store that it belongs to. */
function toToken({ layout, storeId }: WatchContext, { root, offsets, stripes }: Position): string {
  return Buffer.from(JSON.stringify([1, storeId, layout.namespace, root, offsets, stripes])).toString('base64url');
}

/** @throws TypeError, RangeError. A token of another store, a copy of this one, say, resumes nothing: its position lies beyond every root. */
function parseToken(token: unknown, { layout, storeId }: WatchContext): Position {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(String(token), 'base64url').toString('utf8'));
  } catch {
    parsed = undefined;
  }
  if (!isTokenContent(parsed)) throw new TypeError(`not a watch token: ${show(token)}`);
  // Tokens of releases that knew no updates end before the stripes: nothing of these was told.
  const [, store, namespace, root, offsets, stripes = {}] = parsed;
  if (namespace !== layout.namespace) throw new RangeError(`the token is of namespace ${namespace}, not of ${layout.namespace}`);
  return store === storeId ? { root, offsets, stripes } : { root: Number.MAX_SAFE_INTEGER, offsets: {}, stripes: {} };
}

const isCount = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && (value as number) >= least;

type TokenContent = [1, string, string, number, Record<string, number>, Record<string, number>?];

function isTokenContent(parsed: unknown): parsed is TokenContent {
  if (!Array.isArray(parsed) || parsed.length < 5 || parsed.length > 6) return false;
  const [version, store, namespace, root, offsets, stripes = {}] = parsed as unknown[];
  if (version !== 1 || typeof store !== 'string' || typeof namespace !== 'string' || !isCount(root, -1)) return false;
  return areCounts(offsets) && areCounts(stripes);
}

function areCounts(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((count) => isCount(count, 0));
}
