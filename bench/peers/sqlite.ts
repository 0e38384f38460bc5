/** SQLite by better-sqlite3: one table without rowids, values in msgpack. */

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Packr } from 'msgpackr';
import { afterPrefix, type Entry, type Peer, type PeerSnapshot, type PeerStore, type ScanRange, type Value } from './peer.ts';
import { versionOf } from './versions.ts';

/** How long a writer waits for another. SQLite's lock is not fair: with few ms, some never get it. */
const BUSY_TIMEOUT_MS = 60_000;

export function sqlite(synchronous: 'FULL' | 'NORMAL'): Peer {
  return {
    get title() {
      return `SQLite ${synchronous} (better-sqlite3 ${versionOf('better-sqlite3')})`;
    },
    setup:
      `journal_mode WAL, synchronous ${synchronous} (${synchronous === 'FULL' ? 'a sync each commit' : 'a power cut may lose the last commits'}), ` +
      `busy_timeout ${BUSY_TIMEOUT_MS / 1000} s, 32 MiB page cache, 256 MiB mmap; key TEXT PRIMARY KEY, value BLOB (msgpack), WITHOUT ROWID; statements prepared once`,
    cannot: { link: 'its locks and its shared memory do not work over a network' },
    open: async (directory) => new SqliteStore(new Database(join(directory, 'index.db'), { timeout: BUSY_TIMEOUT_MS }), synchronous),
  };
}

interface Row {
  readonly key: string;
  readonly value: Buffer;
}

class SqliteStore implements PeerStore {
  readonly #db: Database.Database;
  readonly #packr = new Packr({ useRecords: false });
  readonly #put: Database.Statement<[string, Buffer]>;
  readonly #get: Database.Statement<[string], Buffer>;
  readonly #remove: Database.Statement<[string]>;
  readonly #getAll: (keys: readonly string[]) => (Value | undefined)[];
  readonly #putAll: (entries: readonly Entry[]) => void;
  readonly #changeAll: (entries: readonly Entry[], removed: readonly string[]) => void;
  readonly #removeAll: (keys: readonly string[]) => void;
  readonly #update: (key: string, next: (value: Value | undefined) => Value) => void;

  constructor(db: Database.Database, synchronous: 'FULL' | 'NORMAL') {
    this.#db = db;
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${synchronous}`);
    db.pragma('cache_size = -32768');
    db.pragma('mmap_size = 268435456');
    db.exec('CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID');
    this.#put = db.prepare('INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value');
    this.#get = db.prepare<[string], Buffer>('SELECT value FROM entries WHERE key = ?').pluck();
    this.#remove = db.prepare('DELETE FROM entries WHERE key = ?');
    this.#getAll = db.transaction((keys: readonly string[]) => keys.map((key) => this.get(key)));
    this.#putAll = this.#immediate((entries: readonly Entry[]) => {
      for (const { key, value } of entries) this.put(key, value);
    });
    this.#removeAll = this.#immediate((keys: readonly string[]) => {
      for (const key of keys) this.#remove.run(key);
    });
    this.#changeAll = this.#immediate((entries: readonly Entry[], removed: readonly string[]) => {
      for (const { key, value } of entries) this.put(key, value);
      for (const key of removed) this.#remove.run(key);
    });
    this.#update = this.#immediate((key: string, next: (value: Value | undefined) => Value) => this.put(key, next(this.get(key))));
  }

  /** Takes the lock at once: a transaction that reads first can't always get it later. */
  #immediate<A extends unknown[]>(work: (...args: A) => void): (...args: A) => void {
    const transaction = this.#db.transaction(work);
    return (...args) => transaction.immediate(...args);
  }

  put(key: string, value: Value): void {
    this.#put.run(key, this.#packr.pack(value));
  }

  putBlocking(key: string, value: Value): void {
    this.put(key, value);
  }

  putMany(entries: readonly Entry[]): void {
    this.#putAll(entries);
  }

  remove(keys: readonly string[]): void {
    this.#removeAll(keys);
  }

  change(entries: readonly Entry[], removed: readonly string[]): void {
    this.#changeAll(entries, removed);
  }

  get(key: string): Value | undefined {
    const bytes = this.#get.get(key);
    return bytes === undefined ? undefined : (this.#packr.unpack(bytes) as Value);
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    return this.#getAll(keys);
  }

  *scan(range: ScanRange = {}): Iterable<Entry> {
    for (const { key, value } of this.#select<Row>('key, value', range)) yield { key, value: this.#packr.unpack(value) as Value };
  }

  *keys(range: ScanRange = {}): Iterable<string> {
    for (const { key } of this.#select<{ readonly key: string }>('key', range)) yield key;
  }

  #select<R>(columns: string, { prefix }: ScanRange): Iterable<R> {
    if (prefix === undefined) return this.#db.prepare<[], R>(`SELECT ${columns} FROM entries ORDER BY key`).iterate();
    const sql = `SELECT ${columns} FROM entries WHERE key >= ? AND key < ? ORDER BY key`;
    return this.#db.prepare<[string, string], R>(sql).iterate(prefix, afterPrefix(prefix));
  }

  /** A read transaction, held open. */
  snapshot(): PeerSnapshot {
    this.#db.exec('BEGIN');
    return { get: (key) => this.get(key), close: () => void this.#db.exec('COMMIT') };
  }

  update(key: string, next: (value: Value | undefined) => Value): void {
    this.#update(key, next);
  }

  settle(): void {
    this.#db.pragma('wal_checkpoint(TRUNCATE)');
  }

  close(): void {
    this.#db.close();
  }
}
