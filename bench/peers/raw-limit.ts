/** What no store can beat: a file of each process's own, and nothing but the bytes of its entries appended to it; or memory. */

import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Packr } from 'msgpackr';
import type { Durability } from './durability.ts';
import type { Entry, Peer, PeerStore, Value } from './peer.ts';

const TITLES: Readonly<Record<Durability | 'memory', string>> = {
  sync: 'raw: write + fdatasync',
  os: 'raw: write',
  memory: 'memory: encode and copy',
};
const ONLY_WRITES = 'it only writes';
const MEMORY_BYTES = 64 * 2 ** 20;

export function rawLimit(kind: Durability | 'memory'): Peer {
  return {
    title: TITLES[kind],
    setup: 'blocking calls on one file a process; an entry is its key and its value in msgpack. Not a store: nothing can be found again',
    cannot: { read: ONLY_WRITES, update: ONLY_WRITES, scan: ONLY_WRITES, link: ONLY_WRITES },
    open: async (directory) =>
      new RawStore(kind === 'memory' ? new MemorySink() : new FileSink(join(directory, `raw-${process.pid}`), kind)),
  };
}

interface Sink {
  append(bytes: Uint8Array): void;
  close(): void;
}

class FileSink implements Sink {
  readonly #fd: number;
  readonly #isSynced: boolean;

  constructor(path: string, kind: Durability) {
    this.#fd = openSync(path, 'ax');
    this.#isSynced = kind === 'sync';
  }

  append(bytes: Uint8Array): void {
    writeSync(this.#fd, bytes);
    if (this.#isSynced) fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Starts over when it is full. */
class MemorySink implements Sink {
  readonly #memory = Buffer.alloc(MEMORY_BYTES);
  #end = 0;

  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > MEMORY_BYTES) this.#end = 0;
    this.#memory.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  close(): void {}
}

class RawStore implements PeerStore {
  readonly #packr = new Packr({ useRecords: false });
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  put(key: string, value: Value): void {
    this.#sink.append(this.#packr.pack([key, value]));
  }

  putBlocking(key: string, value: Value): void {
    this.put(key, value);
  }

  putMany(entries: readonly Entry[]): void {
    this.#sink.append(this.#packr.pack(entries.map(({ key, value }) => [key, value])));
  }

  settle(): void {}

  close(): void {
    this.#sink.close();
  }

  readonly get = onlyWrites;
  readonly getMany = onlyWrites;
  readonly scan = onlyWrites;
  readonly keys = onlyWrites;
  readonly snapshot = onlyWrites;
  readonly remove = onlyWrites;
  readonly change = onlyWrites;
  readonly update = onlyWrites;
}

function onlyWrites(): never {
  throw new Error(ONLY_WRITES);
}
