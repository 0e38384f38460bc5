/** Latencies in buckets of 1 %, so that a long replay takes no more memory than a short one. */

const GROWTH = Math.log(1.01);

export class Latencies {
  readonly #buckets: number[] = [];
  #count = 0;
  #maxUs = 0;

  add(us: number): void {
    const bucket = Math.round(Math.log(Math.max(1, us)) / GROWTH);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count++;
    if (us > this.#maxUs) this.#maxUs = us;
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
}
