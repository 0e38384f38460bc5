/**
 * The async iterable of a scan. Entries are made from chunks that were read ahead, so that most steps cost
 * one resolved promise; nothing is read before the first `next`.
 */
import type { System } from '../base/system.ts';
import { type Entry, isGone } from '../format/entry.ts';
import type { Scan } from './scan-options.ts';
import { type ScanEntry, scanEntry } from './values.ts';

export class ScanIterator<T> implements AsyncIterableIterator<ScanEntry<T>> {
  readonly #chunks: AsyncGenerator<Entry[], void>;
  readonly #scan: Scan;
  readonly #system: System;
  #chunk: readonly Entry[] = [];
  #at = 0;
  #left: number;
  #nowMs = 0;

  constructor(chunks: AsyncGenerator<Entry[], void>, options: { scan: Scan; system: System }) {
    this.#chunks = chunks;
    this.#scan = options.scan;
    this.#system = options.system;
    this.#left = options.scan.limit;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ScanEntry<T>, undefined>> {
    const entry = this.#fromChunk();
    return entry === undefined ? this.#refill() : Promise.resolve({ done: false, value: entry });
  }

  async return(): Promise<IteratorResult<ScanEntry<T>, undefined>> {
    this.#left = 0;
    this.#chunk = [];
    await this.#chunks.return();
    return { done: true, value: undefined };
  }

  #fromChunk(): ScanEntry<T> | undefined {
    while (this.#left > 0 && this.#at < this.#chunk.length) {
      const entry = this.#chunk[this.#at++] as Entry;
      if (isGone(entry, this.#nowMs)) continue;
      this.#left--;
      return scanEntry(entry, this.#scan);
    }
    return undefined;
  }

  async #refill(): Promise<IteratorResult<ScanEntry<T>, undefined>> {
    while (this.#left > 0) {
      const { done, value } = await this.#chunks.next();
      if (done === true) break;
      this.#chunk = value as Entry[];
      this.#at = 0;
      this.#nowMs = this.#system.wallNowMs();
      const entry = this.#fromChunk();
      if (entry !== undefined) return { done: false, value: entry };
    }
    return await this.return();
  }
}
