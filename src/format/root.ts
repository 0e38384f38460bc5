/**
 * A root: the numbered, immutable manifest of a namespace. Creating root N+1 is the only commit point of
 * compaction. `docs/format.md` describes each field; this is the same in types.
 */
import type { Key } from '../base/key.ts';
import type { Stamp } from '../base/stamp.ts';
import type { RecordId } from './layout.ts';

/** One sorted table: a slice of a file. */
export interface TableRef {
  /** File under `shard/`, without the prefix. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  /** Where, from the table's start, its filter and index begin: they and the footer are read in one go. */
  readonly indexOffset: number;
  readonly first: Key;
  readonly last: Key;
  readonly entries: number;
  /** How many of the entries are tombstones. */
  readonly tombstones: number;
  /** How many of the entries are puts that expire. */
  readonly expiring: number;
  /** Newest stamp time in the table: what has a newer one need not look here. */
  readonly maxTime: number;
  /** When the last of the expiring puts expires, milliseconds since 1970; 0 if there are none. */
  readonly lastExpiryMs: number;
  /** CRC-32 of the checksums of its filter, index and footer; the index has those of the blocks, so it stands for every byte. */
  readonly checksum: number;
}

/** A key range, from `from` to the next shard's, with its stack of tables, oldest first. The first shard's `from` is "". */
export interface Shard {
  readonly from: Key;
  readonly tables: readonly TableRef[];
}

/** `absorbed[segment]`: rule A7. */
export interface Absorbed {
  /** Bytes of the segment's file, or on media without append its objects, that this root has taken in. */
  readonly offset: number;
  readonly sealed: boolean;
}

/** What a pass took in and gave out; in = out is asserted before a root is written. */
export interface PassCounts {
  /** Frames and deltas newly absorbed. */
  readonly framesIn: number;
  readonly deltasIn: number;
  /** Bytes of frames taken in. */
  readonly logBytesIn: number;
  /** Entries read from tables that were rewritten. */
  readonly entriesRead: number;
  /** Entries in the tables that were written. */
  readonly entriesWritten: number;
  /** Entries that a newer one of the same key replaced. */
  readonly superseded: number;
  /** Tombstones and expired puts dropped for good. */
  readonly dropped: number;
  /** Entries given up by `repair` because their bytes were damaged. */
  readonly salvageLost: number;
  /** Bytes of tables written. */
  readonly tableBytesOut: number;
}

export interface Root {
  readonly namespace: string;
  readonly number: number;
  /** SHA-256 of the bytes of root N-1; null for root 0. */
  readonly previous: string | null;
  readonly nonce: string;
  /** Features that a reader or a writer must know; names that this release does not know make it refuse. */
  readonly readerFeatures: readonly string[];
  readonly writerFeatures: readonly string[];
  readonly state: 'live' | 'dropped';
  /** The compactor's wall clock, for people; nothing decides by it. */
  readonly createdAtMs: number;
  readonly horizon: number;
  readonly drain: number;
  readonly forgot: number;
  readonly maxStamp: Stamp | undefined;
  readonly dropFloor: Stamp | undefined;
  readonly absorbed: ReadonlyMap<string, Absorbed>;
  /** The last read-modify-write record taken in, by stripe; a stripe without one is not there. */
  readonly serialThrough: ReadonlyMap<number, number>;
  /** Nonces of the last records taken in, by stripe; the last one is that of `serialThrough`. "" for a record that took no effect. */
  readonly serialNonces: ReadonlyMap<number, readonly string[]>;
  readonly shards: readonly Shard[];
  /** Files under `shard/` that are no longer named, with the root that dropped them (rule A14). */
  readonly dropped: ReadonlyMap<string, number>;
  readonly counts: PassCounts;
}

/** How many nonces a root keeps a stripe (rule B5). */
export const SERIAL_NONCES_KEPT = 16;

export function serialThrough(root: Root, stripe: number): number {
  return root.serialThrough.get(stripe) ?? 0;
}

/** The nonce of an absorbed record: "" if it took no effect; undefined if the root no longer has it, or has not absorbed the record. */
export function serialNonce(root: Root, { stripe, number }: RecordId): string | undefined {
  const back = number - serialThrough(root, stripe) - 1;
  return back < 0 ? root.serialNonces.get(stripe)?.at(back) : undefined;
}

/** The nonces of a stripe once these of newly absorbed records, in their order, came to those that a root has. */
export function addSerialNonces(known: readonly string[] | undefined, added: readonly string[]): string[] {
  return [...(known ?? []), ...added].slice(-SERIAL_NONCES_KEPT);
}

export const NO_COUNTS: PassCounts = {
  framesIn: 0,
  deltasIn: 0,
  logBytesIn: 0,
  entriesRead: 0,
  entriesWritten: 0,
  superseded: 0,
  dropped: 0,
  salvageLost: 0,
  tableBytesOut: 0,
};

/** The root of a namespace that holds nothing. Below its own number there is no segment. */
export function emptyRoot(namespace: string, facts: Pick<Root, 'number' | 'previous' | 'nonce' | 'createdAtMs'>): Root {
  const { number } = facts;
  return {
    namespace,
    ...facts,
    readerFeatures: [],
    writerFeatures: [],
    state: 'live',
    horizon: number,
    drain: number,
    forgot: number,
    maxStamp: undefined,
    dropFloor: undefined,
    absorbed: new Map(),
    serialThrough: new Map(),
    serialNonces: new Map(),
    shards: [],
    dropped: new Map(),
    counts: NO_COUNTS,
  };
}
