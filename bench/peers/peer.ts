/** What the benchmark asks of a store, whoever makes it. */
import type { Link } from './link.ts';

export const PEERS = [
  'peat',
  'peat-os',
  'sqlite-full',
  'sqlite-normal',
  'lmdb',
  'lmdb-nosync',
  'classic-level',
  'classic-level-os',
  'json-file',
  'json-shards',
  'raw-sync',
  'raw-write',
  'memory',
] as const;

export type PeerName = (typeof PEERS)[number];

/** Of an index: what a poller keeps of one thing that it has seen. */
export interface Value {
  readonly id: number;
  readonly [field: string]: unknown;
}

export interface Entry {
  readonly key: string;
  readonly value: Value;
}

export interface Peer {
  /** The library with its version, for people. */
  readonly title: string;
  /** How it is set up, in words: what a power cut loses, caches, what is left at its default. */
  readonly setup: string;
  /** Why it can't do a job; nothing if it can. */
  readonly cannot: Partial<Readonly<Record<Job, string>>>;
  /** Loads the library, where that has not happened with this object. */
  readonly load?: () => Promise<unknown>;
  /** Opens what is in a directory, or makes it. */
  open(directory: string, options?: PeerOptions): Promise<PeerStore>;
  /** A process that tends the store while others work. */
  readonly tender?: (directory: string) => Tender;
}

/** For cases that ask for more than a local directory. */
export interface PeerOptions {
  /** What stands between the writer and the store. */
  readonly link?: Link | undefined;
  /** Makes a store that can be used over one. */
  readonly isFramed?: boolean | undefined;
  /** How long a lock file is waited for, where the peer has one. */
  readonly lockTimeoutMs?: number | undefined;
}

/** Jobs that not every peer can do. `link`: to work over one, as many hosts. */
export type Job = 'processes' | 'read' | 'update' | 'scan' | 'link';

export interface Tender {
  readonly program: string;
  readonly args: readonly string[];
}

/** Calls that block give what they give, others a promise: what is measured is each one's own way. */
export interface PeerStore {
  /** One commit. */
  put(key: string, value: Value): unknown;
  /** One commit, all or nothing where the peer can. */
  putMany(entries: readonly Entry[]): unknown;
  /** Blocks until it is committed, where the peer has such a call beside `put`. */
  readonly putBlocking?: (key: string, value: Value) => void;
  /** How many entries to put at once where a store is filled, if not about 1,000. */
  readonly fillBatch?: number;
  remove(keys: readonly string[]): unknown;
  /** Puts and removes; one commit where the peer can. */
  change(entries: readonly Entry[], removed: readonly string[]): unknown;
  get(key: string): Value | undefined | Promise<Value | undefined>;
  getMany(keys: readonly string[]): readonly (Value | undefined)[] | Promise<readonly (Value | undefined)[]>;
  /** Entries in key order, values decoded. With `prefix`, those only. */
  scan(options?: ScanRange): Iterable<Entry> | AsyncIterable<Entry>;
  /** Keys in order, values neither read nor decoded where the peer can leave them. */
  keys(options?: ScanRange): Iterable<string> | AsyncIterable<string>;
  /** A view that does not change, for reads only. */
  snapshot(): PeerSnapshot | Promise<PeerSnapshot>;
  /** Reads and writes one key, with no other update between. */
  update(key: string, next: (value: Value | undefined) => Value): unknown;
  /** As `update`, for several keys that belong together, where the peer has that. */
  readonly updateMany?: (keys: readonly string[], next: (values: readonly (Value | undefined)[]) => Value[]) => unknown;
  /** Takes a lock that has a name, where the peer has such, and gives it back. */
  readonly lockAndUnlock?: (name: string) => unknown;
  /** Brings what was written into its final form: compaction, checkpoint. */
  settle(): unknown;
  close(): unknown;
}

export interface ScanRange {
  readonly prefix?: string;
}

export interface PeerSnapshot {
  get(key: string): Value | undefined | Promise<Value | undefined>;
  close(): void;
}

/** The first key that is greater than all with this prefix. Prefixes of the benchmark are ASCII. */
export function afterPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}
