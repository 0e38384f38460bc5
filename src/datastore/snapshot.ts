/**
 * A snapshot: the state of a namespace at one moment, for as long as it is held, up to the retention time. It pins a root,
 * whose tables stay for that time after a newer root dropped them, and holds the tail in memory.
 */
import { PeatError } from '../base/errors.ts';
import { toKey } from '../base/key.ts';
import type { System } from '../base/system.ts';
import type { NamespaceReader, ReadOptions } from '../read/namespace-reader.ts';
import type { State } from '../read/state.ts';
import { TableGoneError } from '../read/table-store.ts';
import { ScanIterator } from './scan-iterator.ts';
import { type ScanOptions, toScan } from './scan-options.ts';
import { type ScanEntry, visibleValue } from './values.ts';

export class Snapshot<T> {
  readonly #reader: NamespaceReader;
  readonly #system: System;
  readonly #retentionMs: number;
  readonly #takenAtMs: number;
  #state: State | undefined;
  /** It has let its state go by itself, and says so each time. */
  #isExpired = false;

  /** @internal */
  constructor(reader: NamespaceReader, options: { state: State; system: System; retentionMs: number }) {
    this.#reader = reader;
    this.#state = options.state;
    this.#system = options.system;
    this.#retentionMs = options.retentionMs;
    this.#takenAtMs = options.system.monotonicNowMs();
  }

  /** The number of the root that is pinned. */
  get root(): number {
    return this.#held().root.number;
  }

  #held(): State {
    if (this.#system.monotonicNowMs() - this.#takenAtMs > this.#retentionMs && this.#state !== undefined) {
      this.#state = undefined;
      this.#isExpired = true;
    }
    if (this.#isExpired) {
      throw new PeatError('SNAPSHOT_EXPIRED', `the snapshot is older than ${this.#retentionMs / 1000} s; take a new one`);
    }
    if (this.#state === undefined) throw new PeatError('CLOSED', 'the snapshot is closed');
    return this.#state;
  }

  /** @throws PeatError `SNAPSHOT_EXPIRED`, `CLOSED`, `CORRUPT` */
  async get(key: string, options: ReadOptions = {}): Promise<T | undefined> {
    const state = this.#held();
    try {
      const found = this.#reader.find(state, toKey(key), options);
      const entry = found instanceof Promise ? await found : found;
      return visibleValue<T>(entry, this.#system.wallNowMs());
    } catch (error) {
      throw error instanceof TableGoneError ? await this.#reader.whyGone(error) : error;
    }
  }

  async getMany(keys: readonly string[], options: ReadOptions = {}): Promise<(T | undefined)[]> {
    return await Promise.all(keys.map((key) => this.get(key, options)));
  }

  async has(key: string, options: ReadOptions = {}): Promise<boolean> {
    return (await this.get(key, options)) !== undefined;
  }

  scan(options: ScanOptions = {}): AsyncIterableIterator<ScanEntry<T>> {
    const scan = toScan(options);
    const chunks = this.#reader.range(scan.range, { reverse: scan.reverse, signal: options.signal, pinned: this.#held() });
    return new ScanIterator<T>(chunks, { scan, system: this.#system });
  }

  /** Lets the memory go. Idempotent. */
  close(): void {
    this.#state = undefined;
    this.#isExpired = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
