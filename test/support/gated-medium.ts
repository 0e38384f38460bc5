/**
 * A medium whose calls wait where a test says so. `gate` hears of each call before it is made: the method, and the first name that it is about
 * ("" where there is none); what it returns is waited for. A call of an append-only file goes by the file's name; its `write` can't wait.
 */
import type { AppendFile, Medium } from '../../src/medium/medium.ts';

export type Gate = (method: string, name: string) => Promise<void> | undefined;

type Call = (...args: unknown[]) => unknown;

/** Those that ask the storage for something. What else a medium tells, it knows by itself. */
const CALLS: ReadonlySet<string | symbol> = new Set<keyof Medium>([
  'putIfAbsent',
  'get',
  'list',
  'listFolders',
  'delete',
  'openAppend',
  'syncNames',
  'nowMs',
]);

/** Without blocking calls, which could not wait. */
export function gated(medium: Medium, gate: Gate): Medium {
  return new Proxy(medium, {
    get: (of, property) => {
      const value: unknown = Reflect.get(of, property, of);
      if (property === 'blocking') return undefined;
      if (typeof value !== 'function') return value;
      if (!CALLS.has(property)) return value.bind(of) as unknown;
      return async (...args: unknown[]) => {
        const name = nameIn(args);
        await gate(String(property), name);
        const result = await (value as Call).apply(of, args);
        return property === 'openAppend' ? gatedFile(result as AppendFile, { name, gate }) : result;
      };
    },
  });
}

function gatedFile(file: AppendFile, { name, gate }: { name: string; gate: Gate }): AppendFile {
  return {
    write: (bytes) => {
      void gate('write', name);
      file.write(bytes);
    },
    sync: async () => {
      await gate('sync', name);
      await file.sync();
    },
    syncBlocking: () => file.syncBlocking(),
    close: () => file.close(),
  };
}

function nameIn([first]: readonly unknown[]): string {
  const name = Array.isArray(first) ? (first[0] as unknown) : first;
  return typeof name === 'string' ? name : '';
}

/** Lets nobody through before so many have come. */
export class Barrier {
  readonly #count: number;
  #arrived = 0;
  /** Resolves when enough have come. */
  readonly opened: Promise<void>;
  #open: () => void = () => undefined;

  constructor(count: number) {
    this.#count = count;
    this.opened = new Promise((open) => {
      this.#open = open;
    });
  }

  /** How many have come, those that came late included. */
  get arrived(): number {
    return this.#arrived;
  }

  pass(): Promise<void> {
    if (++this.#arrived === this.#count) this.#open();
    return this.opened;
  }
}
