/** Updates as callers see them: keys, values and conditions, checked, and turned into what `update/` works with. */
import { isDeepStrictEqual } from 'node:util';
import { fromKey, type Key, show, toKey } from '../base/key.ts';
import type { Stamp } from '../base/stamp.ts';
import { TIMER_MS_MAX } from '../base/system.ts';
import { decodeValue, encodeValue } from '../base/value.ts';
import { type Entry, isGone } from '../format/entry.ts';
import { recordText } from '../format/layout.ts';
import { stripeOf } from '../format/record.ts';
import type { Change, Committed, JobOptions } from '../update/job.ts';
import type { AppendToken } from '../write/namespace-writer.ts';
import { type ExpiryOptions, expiry } from './batch.ts';
import { count } from './options.ts';
import { visibleValue } from './values.ts';

/** What the function of an update returns to delete the key. */
export const DELETE: unique symbol = Symbol.for('peatlog.delete');
export type Delete = typeof DELETE;

export interface UpdateOptions extends ExpiryOptions {
  /** How long one run of the function may take, ms; then `UPDATE_TIMEOUT`, and others go on. Default 10,000. */
  readonly deadlineMs?: number;
  /** How long to wait behind other updates, ms; then `LOCK_TIMEOUT`. Default 60,000. */
  readonly maxWaitMs?: number;
  /** How often the function may run, when others were faster; then `TEMPORARY`. Default 100. */
  readonly attemptsMax?: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a function that is being run may want to know. */
export interface UpdateCall {
  readonly keys: readonly string[];
  /** Aborted when nobody waits for the result any more: the deadline has passed, or the caller gave up. */
  readonly signal: AbortSignal;
}

/** The new value; `undefined` to leave the key as it is; `DELETE` to delete it. */
export type Updated<T> = T | Delete | undefined;

export type UpdateResult<T> = Outcome & {
  /** The value that it left there; undefined if there is none. */
  readonly value: T | undefined;
  /** The version of that value, for `putIf`; undefined if there is none. */
  readonly stamp: string | undefined;
};

/** Whether anything was changed; if so, `token` is for `waitFor`, in any process. */
type Outcome = { readonly changed: true; readonly token: AppendToken } | { readonly changed: false; readonly token: undefined };

export type UpdateManyResult<T> = Outcome & {
  readonly values: readonly (T | undefined)[];
};

/** What must hold for `putIf` to put; exactly one of these. */
export type Condition<T> =
  | { readonly ifAbsent: true; readonly ifStamp?: never; readonly ifValue?: never }
  /** The version that `getEntry`, `update` or an earlier `putIf` told. */
  | { readonly ifStamp: string; readonly ifAbsent?: never; readonly ifValue?: never }
  /** Equal in every part; the order of properties does not matter. */
  | { readonly ifValue: T; readonly ifAbsent?: never; readonly ifStamp?: never };

export interface PutIfResult<T> {
  /** Whether the condition held, and the value was put. */
  readonly ok: boolean;
  /** The value that is there now: the one that was put, or the one that was in the way. */
  readonly value: T | undefined;
  readonly stamp: string | undefined;
  readonly token: AppendToken | undefined;
}

/** An entry with its version. */
export interface StampedEntry<T> {
  readonly key: string;
  readonly value: T;
  /** Tells this version from every other one of the key; for `putIf`. */
  readonly stamp: string;
  /** When the key will read as missing, milliseconds since 1970; absent if it stays. */
  readonly expiresAtMs?: number;
}

/** What a call needs of its namespace. */
export interface UpdatePlace {
  readonly namespace: string;
  readonly stripes: number;
  readonly nowMs: () => number;
}

export function stampText({ time, writer, sub }: Stamp): string {
  return `${time}-${writer}-${sub}`;
}

const STAMP = /^\d{1,16}-[0-9a-v]{16}-\d{1,16}$/;

export function stampedEntry<T>(entry: Entry | undefined, nowMs: number): StampedEntry<T> | undefined {
  if (entry === undefined || isGone(entry, nowMs)) return undefined;
  const { key, stamp, expiresAtMs } = entry;
  const shown = { key: fromKey(key), value: visibleValue<T>(entry, nowMs) as T, stamp: stampText(stamp) };
  return expiresAtMs === 0 ? shown : { ...shown, expiresAtMs };
}

export function updateJob<T>(
  place: UpdatePlace,
  update: { key: string; fn: (value: T | undefined, call: UpdateCall) => Updated<T> | Promise<Updated<T>> },
  options: UpdateOptions,
): JobOptions {
  const { key, fn } = update;
  if (typeof fn !== 'function') throw new TypeError(`the function of an update must be a function, got ${show(fn)}`);
  return jobOf<T>(place, { keys: [toKey(key)], options }, ([value], signal) => {
    const updated = fn(value, { keys: [key], signal });
    return isThenable(updated) ? Promise.resolve(updated).then((result) => [result]) : [updated];
  });
}

export function updateManyJob<T>(
  place: UpdatePlace,
  update: {
    keys: readonly string[];
    fn: (values: readonly (T | undefined)[], call: UpdateCall) => readonly Updated<T>[] | Promise<readonly Updated<T>[]>;
  },
  options: UpdateOptions,
): JobOptions {
  const { keys, fn } = update;
  if (!Array.isArray(keys) || keys.length === 0) throw new TypeError(`keys must be an array with at least one key, got ${show(keys)}`);
  if (typeof fn !== 'function') throw new TypeError(`the function of an update must be a function, got ${show(fn)}`);
  const bytes = keys.map(toKey);
  const seen = new Set<Key>();
  const twice = keys.find((_, i) => seen.size === seen.add(bytes[i] as Key).size);
  if (twice !== undefined) throw new RangeError(`each key may stand once, got ${show(twice)} twice`);
  const check = (results: readonly Updated<T>[]): readonly Updated<T>[] => {
    if (Array.isArray(results) && results.length === keys.length) return results;
    throw new TypeError(`the function must return an array of ${keys.length} values, one a key, got ${show(results)}`);
  };
  return jobOf<T>(place, { keys: bytes, options }, (values, signal) => {
    const updated = fn(values, { keys, signal });
    return isThenable(updated) ? Promise.resolve(updated).then(check) : check(updated);
  });
}

export function putIfJob<T>(
  place: UpdatePlace,
  put: { key: string; value: T | Delete; condition: Condition<T> },
  options: UpdateOptions,
): { job: JobOptions; hasHeld: () => boolean } {
  const holds = toPredicate(put.condition);
  // Refused whatever the condition says, undefined too: `DELETE` deletes.
  if (put.value !== DELETE) encodeValue(put.value);
  let held = false;
  const job = jobOf<T>(place, { keys: [toKey(put.key)], options }, ([value], _, [entry]) => {
    held = holds(value, entry);
    return [held ? put.value : undefined];
  });
  return { job, hasHeld: () => held };
}

function toPredicate<T>(condition: Condition<T>): (value: T | undefined, entry: Entry | undefined) => boolean {
  const given: Partial<Record<'ifAbsent' | 'ifStamp' | 'ifValue', unknown>> = condition ?? {};
  const [name, ...others] = Object.keys(given);
  if (typeof condition === 'object' && others.length === 0) {
    if (name === 'ifAbsent' && given.ifAbsent === true) return (value) => value === undefined;
    if (name === 'ifStamp') return isOfStamp(given.ifStamp);
    if (name === 'ifValue') {
      // As it would read back.
      const wanted = decodeValue(encodeValue(given.ifValue));
      return (value) => isDeepStrictEqual(value, wanted);
    }
  }
  throw new TypeError(`a condition is one of {ifAbsent: true}, {ifStamp} and {ifValue}, got ${show(condition)}`);
}

function isOfStamp(stamp: unknown): (value: unknown, entry: Entry | undefined) => boolean {
  if (typeof stamp !== 'string' || !STAMP.test(stamp))
    throw new TypeError(`ifStamp must be a stamp as getEntry tells it, got ${show(stamp)}`);
  return (value, entry) => value !== undefined && entry !== undefined && stampText(entry.stamp) === stamp;
}

type DecideValues<T> = (
  values: readonly (T | undefined)[],
  signal: AbortSignal,
  entries: readonly (Entry | undefined)[],
) => readonly Updated<T>[] | Promise<readonly Updated<T>[]>;

function jobOf<T>(
  place: UpdatePlace,
  { keys, options }: { keys: readonly Key[]; options: UpdateOptions },
  decide: DecideValues<T>,
): JobOptions {
  const { ttlMs, expiresAt, signal } = options;
  const hasExpiry = ttlMs !== undefined || expiresAt !== undefined;
  // Refused before anything is waited for.
  if (hasExpiry) expiry(options, place.nowMs());
  return {
    keys,
    stripes: [...new Set(keys.map((key) => stripeOf(key, place.stripes)))].sort((a, b) => a - b),
    deadlineMs: count(options.deadlineMs, 'deadlineMs', { least: 1, most: TIMER_MS_MAX, fallback: 10_000 }),
    maxWaitMs: count(options.maxWaitMs, 'maxWaitMs', { least: 0, most: TIMER_MS_MAX, fallback: 60_000 }),
    attemptsMax: count(options.attemptsMax, 'attemptsMax', { least: 1, fallback: 100 }),
    signal,
    decide: (entries, abort) => {
      const nowMs = place.nowMs();
      const toChanges = (results: readonly Updated<T>[]): (Change | undefined)[] =>
        results.map((result, i) => {
          const entry = entries[i];
          if (result === undefined) return undefined;
          // There is nothing to delete, and a tombstone would say so at length.
          if (result === DELETE) return entry?.value === undefined ? undefined : { value: undefined, expiresAtMs: 0 };
          const kept = entry === undefined || isGone(entry, nowMs) ? 0 : entry.expiresAtMs;
          return { value: encodeValue(result), expiresAtMs: hasExpiry ? expiry(options, nowMs) : kept };
        });
      const values = entries.map((entry) => visibleValue<T>(entry, nowMs));
      const results = decide(values, abort, entries);
      return isThenable(results) ? Promise.resolve(results).then(toChanges) : toChanges(results);
    },
  };
}

function isThenable<V>(value: V | Promise<V>): value is Promise<V> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}

/** The results' part that all kinds of updates share. */
export function resultOf<T>(
  place: UpdatePlace,
  { entries, record }: Committed,
): { values: (T | undefined)[]; stamps: (string | undefined)[]; outcome: Outcome } {
  const nowMs = place.nowMs();
  return {
    values: entries.map((entry) => visibleValue<T>(entry, nowMs)),
    stamps: entries.map((entry) => (entry === undefined || isGone(entry, nowMs) ? undefined : stampText(entry.stamp))),
    outcome:
      record === undefined ? { changed: false, token: undefined } : { changed: true, token: `${place.namespace}:${recordText(record)}` },
  };
}
