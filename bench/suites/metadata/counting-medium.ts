/** Counts the calls that the engine makes at its seam to the storage; blocking ones as well. */
import type { AppendFile, BlockingMedium, Medium } from '../../../src/medium/medium.ts';

/** By method, of the medium and of its append-only files. */
const KIND_OF: Readonly<Record<string, SeamKind>> = {
  putIfAbsent: 'puts',
  get: 'gets',
  list: 'lists',
  listFolders: 'lists',
  openAppend: 'opens',
  write: 'writes',
  sync: 'syncs',
  syncBlocking: 'syncs',
  syncNames: 'syncs',
  delete: 'deletes',
  watermark: 'looks',
  nowMs: 'looks',
};

export const SEAM_KINDS = ['puts', 'gets', 'lists', 'opens', 'writes', 'syncs', 'deletes', 'looks', 'locks', 'all'] as const;
/** `looks` are at watermarks and at the medium's clock; `locks` are those among the others that have to do with locks. */
export type SeamKind = (typeof SEAM_KINDS)[number];

export class SeamCounts {
  readonly #counts = new Map<SeamKind, number>();
  /** Nothing is counted until then. */
  isOn = false;

  count(method: string, name: string): void {
    const kind = KIND_OF[method];
    // Closing gives back what this process has, and asks the storage for nothing.
    if (!this.isOn || kind === undefined) return;
    this.#raise(kind);
    this.#raise('all');
    if (name.startsWith('lock/')) this.#raise('locks');
  }

  #raise(kind: SeamKind): void {
    this.#counts.set(kind, this.of(kind) + 1);
  }

  of(kind: SeamKind): number {
    return this.#counts.get(kind) ?? 0;
  }
}

type Call = (...args: unknown[]) => unknown;

/** The same medium, with each call counted; what an append-only file does counts, too. */
export function counting(medium: Medium, counts: SeamCounts): Medium {
  return wrap(medium, counts);
}

function wrap<T extends object>(target: T, counts: SeamCounts): T {
  return new Proxy(target, {
    get: (of, property) => {
      const value: unknown = Reflect.get(of, property, of);
      if (property === 'blocking' && typeof value === 'object' && value !== null) return wrap(value as BlockingMedium, counts);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        counts.count(String(property), nameIn(args));
        return wrapFile((value as Call).apply(of, args), counts);
      };
    },
  });
}

function nameIn([first]: readonly unknown[]): string {
  const name = Array.isArray(first) ? (first[0] as unknown) : first;
  return typeof name === 'string' ? name : '';
}

function wrapFile(result: unknown, counts: SeamCounts): unknown {
  if (result instanceof Promise) return result.then((value: unknown) => wrapFile(value, counts));
  return isAppendFile(result) ? wrap(result, counts) : result;
}

function isAppendFile(value: unknown): value is AppendFile {
  return typeof value === 'object' && value !== null && 'syncBlocking' in value;
}
