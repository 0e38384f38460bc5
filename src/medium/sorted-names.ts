/** The names of what a medium in memory holds, in order, and how often those of each folder have changed. */
import type { Watermark } from './medium.ts';

export class SortedNames {
  #names: string[] = [];
  /** How often the names directly under a prefix have changed. */
  readonly #changes = new Map<string, number>();

  get all(): readonly string[] {
    return this.#names;
  }

  /** It must not be there. */
  add(name: string): void {
    this.#names.splice(this.#indexOf(name), 0, name);
    this.#noteChange(name);
  }

  /** It must be there. */
  delete(name: string): void {
    this.#names.splice(this.#indexOf(name), 1);
    this.#noteChange(name);
  }

  /** Other names take the place of all. */
  reset(names: Iterable<string>): void {
    this.#names = [...names].sort();
  }

  /** Those that start with `prefix` and come after `after`. */
  *under(prefix: string, after = ''): Generator<string, void> {
    for (let i = this.#indexOf(after > prefix ? after : prefix); i < this.#names.length; i++) {
      const name = this.#names[i] as string;
      if (!name.startsWith(prefix)) return;
      if (name !== after) yield name;
    }
  }

  watermark(prefix: string): Watermark {
    return String(this.#changes.get(prefix) ?? 0);
  }

  #noteChange(name: string): void {
    const prefix = name.slice(0, name.lastIndexOf('/') + 1);
    this.#changes.set(prefix, (this.#changes.get(prefix) ?? 0) + 1);
  }

  /** Where a name stands, or would stand. */
  #indexOf(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] as string) < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
