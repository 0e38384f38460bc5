/** Peat itself, as its users get it: the bundled library, and its compactor from the bundled command line. */
import { fileURLToPath } from 'node:url';
import type { Namespace, Operation, Store } from '../../src/index.ts';
import type { Durability } from './durability.ts';
import { LinkMedium } from './link-medium.ts';
import type { Entry, Peer, PeerSnapshot, PeerStore, ScanRange, Value } from './peer.ts';

const LIBRARY = new URL('../../lib/peatlog.js', import.meta.url).href;
/** The command `peat`. */
export const COMMAND: string = fileURLToPath(new URL('../../lib/peat.js', import.meta.url));

/** Where the benchmark keeps its entries. */
export const NAMESPACE = 'bench';

/** The library as it is shipped; where it is imported from is decided at run time, so the types are said here. */
export function library(): Promise<typeof import('../../src/index.ts')> {
  return import(LIBRARY) as Promise<typeof import('../../src/index.ts')>;
}

export function peat(durability: Durability): Peer {
  return {
    title: 'Peat',
    setup: `durability '${durability}' (${durability === 'sync' ? 'one fdatasync a group of appends' : 'survives the process, not the machine'}), defaults otherwise; updates always sync`,
    cannot: {},
    load: library,
    open: async (directory, { link, isFramed = false } = {}) => {
      const { open } = await library();
      const options = { durability, autoCompact: false };
      if (link === undefined) return new PeatStore(await open(directory, isFramed ? { ...options, segments: 'framed' } : options));
      const { FileMedium } = await import('../../src/medium/file-medium.ts');
      const medium = FileMedium.open(directory, { create: true, canAppend: false, blocking: false, remote: true });
      return new PeatStore(await open(new LinkMedium(medium, link), options));
    },
    tender: (directory) => ({ program: COMMAND, args: ['compactor', directory, '--json'] }),
  };
}

export class PeatStore implements PeerStore {
  readonly #store: Store;
  readonly #entries: Namespace<Value>;

  constructor(store: Store) {
    this.#store = store;
    this.#entries = store.namespace<Value>(NAMESPACE);
  }

  put(key: string, value: Value): Promise<unknown> {
    return this.#entries.put(key, value);
  }

  putMany(entries: readonly Entry[]): Promise<unknown> {
    return this.#entries.batch(entries.map(({ key, value }): Operation<Value> => ({ type: 'put', key, value })));
  }

  putBlocking(key: string, value: Value): void {
    this.#entries.putSync(key, value);
  }

  remove(keys: readonly string[]): Promise<unknown> {
    return this.#entries.batch(keys.map((key) => ({ type: 'delete', key })));
  }

  change(entries: readonly Entry[], removed: readonly string[]): Promise<unknown> {
    const puts = entries.map(({ key, value }): Operation<Value> => ({ type: 'put', key, value }));
    return this.#entries.batch([...puts, ...removed.map((key): Operation<Value> => ({ type: 'delete', key }))]);
  }

  get(key: string): Promise<Value | undefined> {
    return this.#entries.get(key);
  }

  getMany(keys: readonly string[]): Promise<(Value | undefined)[]> {
    return this.#entries.getMany(keys);
  }

  scan(range: ScanRange = {}): AsyncIterable<Entry> {
    return this.#entries.scan(range);
  }

  async *keys(range: ScanRange = {}): AsyncIterable<string> {
    for await (const { key } of this.#entries.scan({ ...range, values: false })) yield key;
  }

  snapshot(): Promise<PeerSnapshot> {
    return this.#entries.snapshot();
  }

  update(key: string, next: (value: Value | undefined) => Value): Promise<unknown> {
    return this.#entries.update(key, next);
  }

  updateMany(keys: readonly string[], next: (values: readonly (Value | undefined)[]) => Value[]): Promise<unknown> {
    return this.#entries.updateMany(keys, next);
  }

  async lockAndUnlock(name: string): Promise<void> {
    await (await this.#store.lock(name)).release();
  }

  settle(): Promise<unknown> {
    return this.#store.compact();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
