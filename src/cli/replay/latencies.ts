/** Latencies in buckets of 1 %, so that a long replay takes no more memory than a short one. */

const GROWTH = Math.log(1.01);

/** What {@link Latencies.toJSON} gives: the buckets that hold samples, as `[bucket, count]` in order. */
export interface LatencyCounts {
  readonly buckets: readonly (readonly [number, number])[];
  readonly maxUs: number;
}

export class Latencies {
  readonly #buckets: number[] = [];
  #count = 0;
  #maxUs = 0;

  add(us: number): void {
    this.#raise(Math.round(Math.log(Math.max(1, us)) / GROWTH), 1);
    if (us > this.#maxUs) this.#maxUs = us;
  }

  /** Adds what another one has counted, of another process for example. */
  merge({ buckets, maxUs }: LatencyCounts): void {
    for (const [bucket, count] of buckets) this.#raise(bucket, count);
    this.#maxUs = Math.max(this.#maxUs, maxUs);
  }

  #raise(bucket: number, by: number): void {
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + by;
    this.#count += by;
  }

  get count(): number {
    return this.#count;
  }

  /** What this share of the samples did not exceed, to 1 %; 0 without samples. */
  quantileMs(share: number): number {
    let left = Math.ceil(this.#count * share);
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count ?? 0;
      if (left <= 0 && count !== undefined) return Math.min(Math.exp(bucket * GROWTH), this.#maxUs) / 1000;
    }
    return 0;
  }

  get maxMs(): number {
    return this.#maxUs / 1000;
  }

  toJSON(): LatencyCounts {
    return { buckets: [...this.#buckets.entries()].filter(([, count]) => count !== undefined), maxUs: this.#maxUs };
  }
}

/** The middle of a bucket of {@link LatencyCounts}, µs. */
export const bucketUs = (bucket: number): number => Math.exp(bucket * GROWTH);
