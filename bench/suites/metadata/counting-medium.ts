/** Counts the calls that the engine makes at its seam to the storage; blocking ones as well. */
import type { AppendFile, BlockingMedium, Medium } from '../../../src/medium/medium.ts';

export class MediumCounts {
  calls = 0;
  /** Those that have to do with locks. */
  locks = 0;

  count(name: string): void {
    this.calls++;
    if (name.startsWith('lock/')) this.locks++;
  }
}

type Call = (...args: unknown[]) => unknown;

/** The same medium, with each call counted; what an append-only file does counts, too. */
export function counting(medium: Medium, counts: MediumCounts): Medium {
  return wrap(medium, counts);
}

function wrap<T extends object>(target: T, counts: MediumCounts): T {
  return new Proxy(target, {
    get: (of, property) => {
      const value: unknown = Reflect.get(of, property, of);
      if (property === 'blocking' && typeof value === 'object' && value !== null) return wrap(value as BlockingMedium, counts);
      if (typeof value !== 'function' || property === 'close') return typeof value === 'function' ? value.bind(of) : value;
      return (...args: unknown[]) => {
        counts.count(nameIn(args));
        return wrapFile((value as Call).apply(of, args), counts);
      };
    },
  });
}

function nameIn([first]: readonly unknown[]): string {
  const name = Array.isArray(first) ? (first[0] as unknown) : first;
  return typeof name === 'string' ? name : '';
}

function wrapFile(result: unknown, counts: MediumCounts): unknown {
  if (result instanceof Promise) return result.then((value: unknown) => wrapFile(value, counts));
  return isAppendFile(result) ? wrap(result, counts) : result;
}

function isAppendFile(value: unknown): value is AppendFile {
  return typeof value === 'object' && value !== null && 'syncBlocking' in value;
}
