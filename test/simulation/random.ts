/** Random numbers from a seed; each actor draws from a stream of its own, so that leaving one out does not change what the others do. */
import { randomFrom } from '../support/random.mjs';

function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

export class Random {
  readonly #seed: number;
  /** From 0 up to 1. */
  readonly next: () => number;

  constructor(seed: number) {
    this.#seed = seed >>> 0;
    this.next = randomFrom(seed);
    // Neighbouring seeds begin alike.
    for (let i = 0; i < 4; i++) this.next();
  }

  /** Another stream, always the same for the same name. */
  fork(name: string): Random {
    return new Random(this.#seed ^ hash(name));
  }

  /** A whole number from 0 to `n` - 1. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Some of the items, at least one, in their order. */
  some<T>(items: readonly T[]): T[] {
    const chosen = items.filter(() => this.chance(0.5));
    return chosen.length > 0 ? chosen : [this.pick(items)];
  }

  /** Most often near `least`, seldom up to `most`: each tenfold is as likely as the next. */
  spread(least: number, most: number): number {
    return least * (most / least) ** this.next();
  }

  bytes(count: number): Uint8Array {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)));
  }
}
