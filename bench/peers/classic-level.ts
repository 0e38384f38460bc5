/** LevelDB by classic-level: one process only. */

import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { Packr } from 'msgpackr';
import type { Durability } from './durability.ts';
import { afterPrefix, type Entry, type Peer, type PeerSnapshot, type PeerStore, type ScanRange, type Value } from './peer.ts';
import { versionOf } from './versions.ts';

export function classicLevel(durability: Durability): Peer {
  return {
    get title() {
      return `LevelDB${durability === 'os' ? ' no sync' : ''} (classic-level ${versionOf('classic-level')})`;
    },
    setup: `sync: ${durability === 'sync'}, 32 MiB block cache, 4 MiB write buffer (its default), Snappy (its default), values in msgpack`,
    cannot: {
      processes: 'LevelDB locks its directory for one process',
      link: 'LevelDB locks its directory for one process',
      update: 'LevelDB has no transactions that read',
    },
    open: async (directory) => {
      const options = { keyEncoding: 'utf8', valueEncoding: 'buffer', cacheSize: 32 * 2 ** 20 } as const;
      const db = new ClassicLevel<string, Buffer>(join(directory, 'level'), options);
      await db.open();
      return new LevelStore(db, durability === 'sync');
    },
  };
}

class LevelStore implements PeerStore {
  readonly #db: ClassicLevel<string, Buffer>;
  readonly #options: { readonly sync: boolean };
  readonly #packr = new Packr({ useRecords: false });

  constructor(db: ClassicLevel<string, Buffer>, sync: boolean) {
    this.#db = db;
    this.#options = { sync };
  }

  put(key: string, value: Value): Promise<void> {
    return this.#db.put(key, this.#packr.pack(value), this.#options);
  }

  putMany(entries: readonly Entry[]): Promise<void> {
    return this.#db.batch(
      entries.map(({ key, value }) => ({ type: 'put', key, value: this.#packr.pack(value) })),
      this.#options,
    );
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.#db.batch(
      keys.map((key) => ({ type: 'del', key })),
      this.#options,
    );
  }

  change(entries: readonly Entry[], removed: readonly string[]): Promise<void> {
    const puts = entries.map(({ key, value }) => ({ type: 'put', key, value: this.#packr.pack(value) }) as const);
    return this.#db.batch([...puts, ...removed.map((key) => ({ type: 'del', key }) as const)], this.#options);
  }

  /** Its blocking call, which is several times faster than the other one. */
  get(key: string): Value | undefined {
    return this.#decode(this.#db.getSync(key));
  }

  async getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    return (await this.#db.getMany([...keys])).map((bytes) => this.#decode(bytes));
  }

  #decode(bytes: Buffer | undefined): Value | undefined {
    return bytes === undefined ? undefined : (this.#packr.unpack(bytes) as Value);
  }

  async *scan(range: ScanRange = {}): AsyncIterable<Entry> {
    for await (const [key, value] of this.#db.iterator(rangeOf(range))) yield { key, value: this.#packr.unpack(value) as Value };
  }

  keys(range: ScanRange = {}): AsyncIterable<string> {
    return this.#db.keys(rangeOf(range));
  }

  snapshot(): PeerSnapshot {
    const snapshot = this.#db.snapshot();
    return { get: (key) => this.#decode(this.#db.getSync(key, { snapshot })), close: () => void snapshot.close() };
  }

  update(): never {
    throw new Error('LevelDB has no transactions that read');
  }

  settle(): Promise<void> {
    return this.#db.compactRange('', '\uffff');
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}

function rangeOf({ prefix }: ScanRange): { gte?: string; lt?: string } {
  return prefix === undefined ? {} : { gte: prefix, lt: afterPrefix(prefix) };
}
