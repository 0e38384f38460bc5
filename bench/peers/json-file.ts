/** The status quo: an index in one JSON file under one lock. Each write reads all of it, changes it, and replaces it. */
import { join } from 'node:path';
import { fetchJsonMap, inOrder, type JsonMap, keysInOrder, readJsonMap, sendJsonMap, snapshotOf } from './json-map.ts';
import { LOCK_POLL_MS, LOCK_TIMEOUT_MS, withLockFile } from './lock-file.ts';
import type { Entry, Peer, PeerOptions, PeerSnapshot, PeerStore, ScanRange, Value } from './peer.ts';

export const jsonFile: Peer = {
  title: 'one JSON file',
  setup: `the status quo: one file, one lock file (asked for each ${LOCK_POLL_MS} ms, for at most ${LOCK_TIMEOUT_MS / 1000} s); each commit reads and replaces the file, with fsync; each read parses it`,
  cannot: {},
  open: async (directory, options) => new JsonFileStore(join(directory, 'index.json'), options),
};

class JsonFileStore implements PeerStore {
  /** Each commit costs the whole. */
  readonly fillBatch = Number.POSITIVE_INFINITY;
  readonly #path: string;
  readonly #options: PeerOptions;

  constructor(path: string, options: PeerOptions = {}) {
    this.#path = path;
    this.#options = options;
  }

  #change(change: (entries: JsonMap) => void): Promise<void> {
    const { link, lockTimeoutMs } = this.#options;
    const replace = async (): Promise<void> => {
      const entries = await fetchJsonMap(this.#path, link);
      change(entries);
      await sendJsonMap(this.#path, entries, link);
    };
    return withLockFile(`${this.#path}.lock`, replace, lockTimeoutMs);
  }

  put(key: string, value: Value): Promise<void> {
    return this.#change((entries) => entries.set(key, value));
  }

  putMany(added: readonly Entry[]): Promise<void> {
    return this.#change((entries) => {
      for (const { key, value } of added) entries.set(key, value);
    });
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.#change((entries) => {
      for (const key of keys) entries.delete(key);
    });
  }

  change(added: readonly Entry[], removed: readonly string[]): Promise<void> {
    return this.#change((entries) => {
      for (const { key, value } of added) entries.set(key, value);
      for (const key of removed) entries.delete(key);
    });
  }

  get(key: string): Value | undefined {
    return readJsonMap(this.#path).get(key);
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    const entries = readJsonMap(this.#path);
    return keys.map((key) => entries.get(key));
  }

  scan(range?: ScanRange): Iterable<Entry> {
    return inOrder(readJsonMap(this.#path), range);
  }

  keys(range?: ScanRange): Iterable<string> {
    return keysInOrder(readJsonMap(this.#path), range);
  }

  snapshot(): PeerSnapshot {
    return snapshotOf(readJsonMap(this.#path));
  }

  update(key: string, next: (value: Value | undefined) => Value): Promise<void> {
    return this.#change((entries) => entries.set(key, next(entries.get(key))));
  }

  settle(): void {}

  close(): void {}
}
