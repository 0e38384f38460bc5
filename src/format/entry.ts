/** A version of one key, as the log, the tables and the readers pass it on. */
import type { Key } from '../base/key.ts';
import type { Stamp } from '../base/stamp.ts';

export interface Entry {
  readonly key: Key;
  readonly stamp: Stamp;
  /** The packed value (usually a view into a larger buffer); undefined in a tombstone. */
  readonly value: Uint8Array | undefined;
  /** Milliseconds since 1970; 0 = never. A tombstone does not expire. */
  readonly expiresAtMs: number;
  /** The root that absorbed it (rule A11), kept in tables for tombstones and expiring puts; 0 elsewhere. */
  readonly absorbedAt: number;
}

/** True if a reader whose clock shows `nowMs` sees no value. */
export function isGone(entry: Entry, nowMs: number): boolean {
  return entry.value === undefined || (entry.expiresAtMs !== 0 && entry.expiresAtMs <= nowMs);
}
