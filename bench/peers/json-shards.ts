/**
 * The status quo, sharded: a JSON file and a lock for each of 64 partitions. A write replaces only what it touches, if it is still
 * what it read (compare-and-set under the partition's lock). Writes of several partitions are not atomic.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { inOrder, type JsonMap, keysInOrder, readJsonMap, snapshotOf, writeJsonMap } from './json-map.ts';
import { withLockFile } from './lock-file.ts';
import type { Entry, Peer, PeerSnapshot, PeerStore, ScanRange, Value } from './peer.ts';

const PARTITIONS = 64;

export const jsonShards: Peer = {
  title: `${PARTITIONS} JSON files`,
  setup: `the status quo, sharded by a hash of the key: ${PARTITIONS} files with a lock file each; a commit reads and replaces those that it touches, with fsync. No batch over partitions is atomic`,
  cannot: {},
  open: async (directory) => {
    mkdirSync(join(directory, 'index'), { recursive: true });
    return new JsonShardsStore(join(directory, 'index'));
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

  constructor(directory: string) {
    this.#directory = directory;
  }

  #path(partition: number): string {
    return join(this.#directory, `${partition}.json`);
  }

  #change(partition: number, change: (entries: JsonMap) => void): Promise<void> {
    const path = this.#path(partition);
    return withLockFile(`${path}.lock`, () => {
      const entries = readJsonMap(path);
      change(entries);
      writeJsonMap(path, entries);
    });
  }

  put(key: string, value: Value): Promise<void> {
    return this.#change(partitionOf(key), (entries) => entries.set(key, value));
  }

  async putMany(added: readonly Entry[]): Promise<void> {
    for (const [partition, those] of byPartition(added, ({ key }) => key)) {
      await this.#change(partition, (entries) => {
        for (const { key, value } of those) entries.set(key, value);
      });
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const [partition, those] of byPartition(keys, (key) => key)) {
      await this.#change(partition, (entries) => {
        for (const key of those) entries.delete(key);
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

function byPartition<T>(items: readonly T[], keyOf: (item: T) => string): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const partition = partitionOf(keyOf(item));
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [item]);
    else group.push(item);
  }
  return groups;
}
