/** What to scan: bounds as callers give them, and the half-open range that the engine goes through. */
import { type Key, prefixEnd, show, toBound } from '../base/key.ts';
import type { RecentReadOptions } from '../read/namespace-reader.ts';
import type { KeyRange } from '../read/scan.ts';
import { count } from './options.ts';

export interface ScanOptions {
  /** Only keys that begin with this. */
  readonly prefix?: string;
  /** Only keys after, from, before, up to this one, in the order of their UTF-8 bytes. */
  readonly gt?: string;
  readonly gte?: string;
  readonly lt?: string;
  readonly lte?: string;
  /** From the last key to the first. Default false. */
  readonly reverse?: boolean;
  /** At most this many entries. Default: all. */
  readonly limit?: number;
  /** False leaves `key` out. Default true. */
  readonly keys?: boolean;
  /** False leaves `value` out, and does not decode it. Default true. */
  readonly values?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Of a namespace, not of a snapshot, which is as old as it is. */
export interface RecentScanOptions extends ScanOptions, Pick<RecentReadOptions, 'maxStalenessMs'> {}

/** A checked scan. */
export interface Scan {
  readonly range: KeyRange;
  readonly reverse: boolean;
  readonly limit: number;
  readonly keys: boolean;
  readonly values: boolean;
}

/** @throws TypeError, RangeError */
export function toScan(options: ScanOptions): Scan {
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) throw new TypeError(`scan has no option ${show(name)}`);
  const range = toRange(options);
  return {
    range,
    reverse: options.reverse ?? false,
    limit: count(options.limit, 'limit', { least: 0, fallback: Number.MAX_SAFE_INTEGER }),
    keys: options.keys ?? true,
    values: options.values ?? true,
  };
}

const KNOWN = new Set(['prefix', 'gt', 'gte', 'lt', 'lte', 'reverse', 'limit', 'keys', 'values', 'signal']);

function toRange(options: Pick<ScanOptions, 'prefix' | 'gt' | 'gte' | 'lt' | 'lte'>): KeyRange {
  const from: Key[] = ['' as Key];
  const to: Key[] = [];
  if (options.prefix !== undefined) {
    const prefix = toBound(options.prefix, 'prefix');
    from.push(prefix);
    const end = prefixEnd(prefix);
    if (end !== undefined) to.push(end);
  }
  // The least key after K is K and a zero byte.
  if (options.gt !== undefined) from.push(`${toBound(options.gt, 'gt')}\0` as Key);
  if (options.gte !== undefined) from.push(toBound(options.gte, 'gte'));
  if (options.lt !== undefined) to.push(toBound(options.lt, 'lt'));
  if (options.lte !== undefined) to.push(`${toBound(options.lte, 'lte')}\0` as Key);
  return {
    from: from.reduce((high, key) => (key > high ? key : high)),
    to: to.length === 0 ? undefined : to.reduce((low, key) => (key < low ? key : low)),
  };
}
