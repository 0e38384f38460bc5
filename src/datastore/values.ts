/** Entries as callers see them. */
import { fromKey } from '../base/key.ts';
import { decodeValue } from '../base/value.ts';
import { type Entry, isGone } from '../format/entry.ts';
import type { Scan } from './scan-options.ts';

/** An entry of a scan. `key` is undefined if `keys: false`, `value` if `values: false` was asked for. */
export interface ScanEntry<T> {
  readonly key: string;
  readonly value: T;
  /** When the key will read as missing, milliseconds since 1970; absent if it stays. */
  readonly expiresAtMs?: number;
}

/** The value that a reader sees; undefined for no entry, a tombstone, or an expired one. */
export function visibleValue<T>(entry: Entry | undefined, nowMs: number): T | undefined {
  return entry === undefined || isGone(entry, nowMs) ? undefined : (decodeValue(entry.value as Uint8Array) as T);
}

export function scanEntry<T>(entry: Entry, scan: Scan): ScanEntry<T> {
  const shown = visibleEntry<T>(entry, scan);
  return entry.expiresAtMs === 0 ? shown : { ...shown, expiresAtMs: entry.expiresAtMs };
}

function visibleEntry<T>(entry: Entry, scan: Scan): ScanEntry<T> {
  return {
    key: scan.keys ? fromKey(entry.key) : (undefined as unknown as string),
    value: scan.values ? (decodeValue(entry.value as Uint8Array) as T) : (undefined as T),
  };
}
