/** LMDB by lmdb-js, with its own msgpack encoding and shared structures: property names are kept once for all values. */

import { join } from 'node:path';
import { type Database, open } from 'lmdb';
import type { Durability } from './durability.ts';
import { afterPrefix, type Entry, type Peer, type PeerSnapshot, type PeerStore, type ScanRange, type Value } from './peer.ts';
import { versionOf } from './versions.ts';

const MAP_BYTES = 2 ** 32;

export function lmdb(durability: Durability): Peer {
  return {
    get title() {
      return `LMDB${durability === 'os' ? ' noSync' : ''} (lmdb ${versionOf('lmdb')})`;
    },
    setup:
      durability === 'sync'
        ? 'a sync each commit: separateFlushed and overlapping syncs off, so that a promise that resolves means durable; msgpack encoding with shared structures; put awaits its own commit'
        : 'noSync: the system writes when it likes, a power cut may damage the file; msgpack encoding with shared structures; put awaits its own commit',
    cannot: { link: 'its locks and its memory map do not work over a network' },
    open: async (directory) => {
      const path = join(directory, 'lmdb');
      const encoding = { encoding: 'msgpack', sharedStructuresKey: Symbol.for('structures') } as const;
      const options = { path, ...encoding, mapSize: MAP_BYTES, overlappingSync: false, noSync: durability === 'os' };
      return new LmdbStore(open<Value, string>(options));
    },
  };
}

class LmdbStore implements PeerStore {
  readonly #db: Database<Value, string>;

  constructor(db: Database<Value, string>) {
    this.#db = db;
  }

  put(key: string, value: Value): Promise<unknown> {
    return this.#db.put(key, value);
  }

  putBlocking(key: string, value: Value): void {
    this.#db.putSync(key, value);
  }

  putMany(entries: readonly Entry[]): Promise<unknown> {
    return this.#db.transaction(() => {
      for (const { key, value } of entries) void this.#db.put(key, value);
    });
  }

  remove(keys: readonly string[]): Promise<unknown> {
    return this.#db.transaction(() => {
      for (const key of keys) void this.#db.remove(key);
    });
  }

  change(entries: readonly Entry[], removed: readonly string[]): Promise<unknown> {
    return this.#db.transaction(() => {
      for (const { key, value } of entries) void this.#db.put(key, value);
      for (const key of removed) void this.#db.remove(key);
    });
  }

  get(key: string): Value | undefined {
    return this.#db.get(key);
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return keys.map((key) => this.#db.get(key));
  }

  scan(range: ScanRange = {}): Iterable<Entry> {
    return this.#db.getRange(rangeOf(range));
  }

  keys(range: ScanRange = {}): Iterable<string> {
    return this.#db.getKeys(rangeOf(range));
  }

  /** A read transaction, held open. */
  snapshot(): PeerSnapshot {
    const transaction = this.#db.useReadTransaction();
    return { get: (key) => this.#db.get(key, { transaction }), close: () => transaction.done() };
  }

  update(key: string, next: (value: Value | undefined) => Value): Promise<unknown> {
    return this.#db.transaction(() => {
      void this.#db.put(key, next(this.#db.get(key)));
    });
  }

  settle(): Promise<unknown> {
    return this.#db.flushed;
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}

function rangeOf({ prefix }: ScanRange): { start?: string; end?: string } {
  return prefix === undefined ? {} : { start: prefix, end: afterPrefix(prefix) };
}
