/**
 * The status quo, sharded: a JSON file and a lock for each of 64 partitions. A write replaces only what it touches, if it is still
 * what it read (compare-and-set under the partition's lock). Writes of several partitions are not atomic.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchJsonMap, inOrder, type JsonMap, keysInOrder, readJsonMap, sendJsonMap, snapshotOf } from './json-map.ts';
import { withLockFile } from './lock-file.ts';
import type { Entry, Peer, PeerOptions, PeerSnapshot, PeerStore, ScanRange, Value } from './peer.ts';

const PARTITIONS = 64;

export const jsonShards: Peer = {
  title: `${PARTITIONS} JSON files`,
  setup: `the status quo, sharded by a hash of the key: ${PARTITIONS} files with a lock file each; a commit reads and replaces those that it touches, with fsync. No batch over partitions is atomic`,
  cannot: {},
  open: async (directory, options) => {
    mkdirSync(join(directory, 'index'), { recursive: true });
    return new JsonShardsStore(join(directory, 'index'), options);
  },
};

/** FNV-1a. */
function partitionOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % PARTITIONS;
}

class JsonShardsStore implements PeerStore {
  /** Each commit costs the whole. */
  readonly fillBatch = Number.POSITIVE_INFINITY;
  readonly #directory: string;
  readonly #options: PeerOptions;

  constructor(directory: string, options: PeerOptions = {}) {
    this.#directory = directory;
    this.#options = options;
  }

  #path(partition: number): string {
    return join(this.#directory, `${partition}.json`);
  }

  #change(partition: number, change: (entries: JsonMap) => void): Promise<void> {
    const path = this.#path(partition);
    const { link, lockTimeoutMs } = this.#options;
    const replace = async (): Promise<void> => {
      const entries = await fetchJsonMap(path, link);
      change(entries);
      await sendJsonMap(path, entries, link);
    };
    return withLockFile(`${path}.lock`, replace, lockTimeoutMs);
  }

  put(key: string, value: Value): Promise<void> {
    return this.#change(partitionOf(key), (entries) => entries.set(key, value));
  }

  putMany(added: readonly Entry[]): Promise<void> {
    return this.change(added, []);
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.change([], keys);
  }

  async change(added: readonly Entry[], removed: readonly string[]): Promise<void> {
    const changes = [...added, ...removed.map((key) => ({ key, value: undefined }))];
    for (const [partition, those] of byPartition(changes)) {
      await this.#change(partition, (entries) => {
        for (const { key, value } of those) {
          if (value === undefined) entries.delete(key);
          else entries.set(key, value);
        }
      });
    }
  }

  get(key: string): Value | undefined {
    return readJsonMap(this.#path(partitionOf(key))).get(key);
  }

  getMany(keys: readonly string[]): (Value | undefined)[] {
    const read = new Map<number, JsonMap>();
    return keys.map((key) => {
      const partition = partitionOf(key);
      const entries = read.get(partition) ?? readJsonMap(this.#path(partition));
      read.set(partition, entries);
      return entries.get(key);
    });
  }

  #all(): JsonMap {
    const all: JsonMap = new Map();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (const [key, value] of readJsonMap(this.#path(partition))) all.set(key, value);
    }
    return all;
  }

  scan(range?: ScanRange): Iterable<Entry> {
    return inOrder(this.#all(), range);
  }

  keys(range?: ScanRange): Iterable<string> {
    return keysInOrder(this.#all(), range);
  }

  snapshot(): PeerSnapshot {
    return snapshotOf(this.#all());
  }

  update(key: string, next: (value: Value | undefined) => Value): Promise<void> {
    return this.#change(partitionOf(key), (entries) => entries.set(key, next(entries.get(key))));
  }

  settle(): void {}

  close(): void {}
}

function byPartition<T extends { readonly key: string }>(items: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const partition = partitionOf(item.key);
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [item]);
    else group.push(item);
  }
  return groups;
}
