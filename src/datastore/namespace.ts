/** A handle on one namespace: what users read and write through. */
import { PeatError } from '../base/errors.ts';
import { show, toKey } from '../base/key.ts';
import type { SeenTime, StampClock } from '../base/stamp.ts';
import type { System } from '../base/system.ts';
import { type Entry, isGone } from '../format/entry.ts';
import type { NamespaceLayout } from '../format/layout.ts';
import type { StoreConstants } from '../format/store-file.ts';
import type { Medium } from '../medium/medium.ts';
import { requireBlocking } from '../medium/steps.ts';
import { NamespaceReader, type ReadOptions } from '../read/namespace-reader.ts';
import { type AppendToken, NamespaceWriter } from '../write/namespace-writer.ts';
import { type ExpiryOptions, type Operation, packBatch, packOne } from './batch.ts';
import { count, type ResolvedOptions } from './options.ts';
import { ScanIterator } from './scan-iterator.ts';
import { type ScanOptions, toScan } from './scan-options.ts';
import { Snapshot } from './snapshot.ts';
import { type NamespaceStats, namespaceStats } from './stats.ts';
import { type ScanEntry, visibleValue } from './values.ts';
import { type WatchEvent, type WatchOptions, watchNamespace } from './watch.ts';

export interface WriteOptions extends ReadOptions {}

/** What a store hands to the namespaces that it opens. */
export interface NamespaceContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  readonly storeId: string;
  readonly constants: StoreConstants;
  readonly options: ResolvedOptions;
  readonly create: boolean;
  /** The clock of the stamps; one for all writers of the store's handle, so that their writes keep their order. */
  readonly clock: () => StampClock | Promise<StampClock>;
  /** What any reader of the store's handle has seen. */
  readonly seen: SeenTime;
  /** Runs a bounded pass; for drains that must be finished, and for tails that grew long. */
  readonly compact: () => Promise<void>;
  readonly onSegmentEnd: () => void;
  readonly onClose: () => Promise<void>;
}

const WAIT_POLL_MS = 25;

export class Namespace<T = unknown> {
  readonly name: string;
  readonly #context: NamespaceContext;
  readonly #reader: NamespaceReader;
  #writer: NamespaceWriter | undefined;
  #closing: Promise<void> | undefined;
  /** The namespace was dropped through this store: what the reader knew of it counts no more. */
  #isDropNoted = false;
  readonly #abort = new AbortController();

  /** @internal */
  constructor(context: NamespaceContext) {
    const { options, medium, system, layout } = context;
    this.name = layout.namespace;
    this.#context = context;
    this.#reader = new NamespaceReader(
      { medium, system, layout, seen: context.seen },
      {
        cacheBytes: options.cacheBytes,
        emptyIfMissing: context.create,
        frozen: options.frozen,
        drainWaitMs: options.drainWaitMs,
        finishDrain: options.readOnly ? undefined : context.compact,
      },
    );
  }

  // ---- writing

  /**
   * Puts a value. Resolves when the put is durable, with a token that another process can wait for. The value
   * must not be changed before.
   *
   * @throws TypeError, RangeError for a key or value that can't be stored.
   * @throws PeatError `OUTCOME_UNKNOWN`, `STORAGE`, `READ_ONLY`, `CLOSED`, `NAMESPACE_NOT_FOUND`, `NAMESPACE_DROPPED` ...
   * @example await runs.put('run/42', { state: 'done' }, { ttlMs: 86_400_000 });
   */
  put(key: string, value: T, options: ExpiryOptions & WriteOptions = {}): Promise<AppendToken> {
    return this.#append(() => packOne({ type: 'put', key, value, ...expiryOf(options) }, this.#nowMs()), options.signal);
  }

  /** Deletes a key, whether it is there or not. */
  delete(key: string, options: WriteOptions = {}): Promise<AppendToken> {
    return this.#append(() => packOne({ type: 'delete', key }, this.#nowMs()), options.signal);
  }

  /** Puts and deletes that take effect together or not at all. Of two operations on one key the later one counts. */
  batch(operations: readonly Operation<T>[], options: WriteOptions = {}): Promise<AppendToken> {
    return this.#append(() => packBatch(operations, this.#nowMs()), options.signal);
  }

  /** `put`, blocking. On local file systems only. @throws PeatError `MEDIUM_UNSUITABLE` elsewhere. */
  putSync(key: string, value: T, options: ExpiryOptions = {}): AppendToken {
    return this.#blockingWriter().appendBlocking(packOne({ type: 'put', key, value, ...expiryOf(options) }, this.#nowMs()));
  }

  /** `delete`, blocking. */
  deleteSync(key: string): AppendToken {
    return this.#blockingWriter().appendBlocking(packOne({ type: 'delete', key }, this.#nowMs()));
  }

  /** `batch`, blocking. */
  batchSync(operations: readonly Operation<T>[]): AppendToken {
    return this.#blockingWriter().appendBlocking(packBatch(operations, this.#nowMs()));
  }

  async #append(pack: () => Buffer, signal: AbortSignal | undefined): Promise<AppendToken> {
    signal?.throwIfAborted();
    this.#checkOpen();
    this.#checkWritable();
    this.#writer ??= this.#newWriter();
    return await this.#writer.append(pack, signal);
  }

  #blockingWriter(): NamespaceWriter {
    this.#checkOpen();
    this.#checkWritable();
    requireBlocking(this.#context.medium);
    this.#writer ??= this.#newWriter();
    return this.#writer;
  }

  #newWriter(): NamespaceWriter {
    const { medium, system, layout, options, create, clock, onSegmentEnd } = this.#context;
    return new NamespaceWriter(
      { medium, system, layout },
      {
        durability: options.durability,
        segmentBytesMax: options.segmentBytesMax,
        pendingBytesMax: options.pendingBytesMax,
        clock,
        create,
        knownRoot: () => (this.#isDropNoted ? undefined : this.#reader.view.reading),
        seenTime: () => this.#context.seen.time,
        onSegmentEnd,
      },
    );
  }

  #nowMs(): number {
    return this.#context.system.wallNowMs();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new PeatError('CLOSED', `namespace ${this.name} is closed`, { namespace: this.name });
  }

  #checkWritable(): void {
    if (this.#context.options.readOnly) {
      throw new PeatError('READ_ONLY', `the store was opened with readOnly, so ${this.name} can't be written to`, { namespace: this.name });
    }
  }

  // ---- reading

  /**
   * The value of a key; undefined if there is none. Sees every write acknowledged before the call, by any process.
   *
   * @throws PeatError `CORRUPT`, `TEMPORARY`, `STORAGE`, `NAMESPACE_NOT_FOUND`, `CLOSED`
   */
  async get(key: string, options: ReadOptions = {}): Promise<T | undefined> {
    return visibleValue<T>(await this.#entry(key, options), this.#nowMs());
  }

  /** The values of several keys, in their order, from one state. */
  async getMany(keys: readonly string[], options: ReadOptions = {}): Promise<(T | undefined)[]> {
    if (!Array.isArray(keys)) throw new TypeError(`keys must be an array, got ${show(keys)}`);
    const snapshot = await this.snapshot(options);
    return await snapshot.getMany(keys, options);
  }

  async has(key: string, options: ReadOptions = {}): Promise<boolean> {
    const entry = await this.#entry(key, options);
    return entry !== undefined && !isGone(entry, this.#nowMs());
  }

  #entry(key: string, options: ReadOptions): Entry | undefined | Promise<Entry | undefined> {
    this.#checkOpen();
    return this.#reader.get(toKey(key), options);
  }

  /**
   * Entries in the order of their keys' UTF-8 bytes. The scan sees every write acknowledged before it began, and perhaps
   * later ones; a snapshot's scan sees one moment. Memory stays flat.
   *
   * @example for await (const { key, value } of runs.scan({ prefix: 'run/', limit: 10 })) console.log(key, value);
   */
  scan(options: ScanOptions = {}): AsyncIterableIterator<ScanEntry<T>> {
    this.#checkOpen();
    const scan = toScan(options);
    const chunks = this.#reader.range(scan.range, { reverse: scan.reverse, signal: options.signal });
    return new ScanIterator<T>(chunks, { scan, system: this.#context.system });
  }

  /** The state as it is now, for up to the retention time (15 minutes). */
  async snapshot(options: ReadOptions = {}): Promise<Snapshot<T>> {
    this.#checkOpen();
    const state = await this.#reader.pinned(options.signal);
    const { system, constants } = this.#context;
    return new Snapshot<T>(this.#reader, { state, system, retentionMs: constants.retentionMs });
  }

  /** Brings this handle up to date, so that a snapshot or the next read finds less to do. Returns the newest root's number. */
  async refresh(options: ReadOptions = {}): Promise<number> {
    this.#checkOpen();
    return (await this.#reader.fresh(options.signal)).root.number;
  }

  /**
   * Waits until reads of this handle see the append that returned `token`, in whatever process.
   *
   * @throws PeatError `TEMPORARY` after `timeoutMs` (default 10,000).
   */
  async waitFor(token: AppendToken, options: ReadOptions & { timeoutMs?: number } = {}): Promise<void> {
    const match = /^(.+):(\d{20}-[0-9a-v]{16}-\d+)@(\d+)$/.exec(String(token));
    if (match === null) throw new TypeError(`not an append token: ${show(token)}`);
    if (match[1] !== this.name) throw new RangeError(`the token is of namespace ${match[1]}, not of ${this.name}: ${show(token)}`);
    const { system } = this.#context;
    const startedAtMs = system.monotonicNowMs();
    const timeoutMs = count(options.timeoutMs, 'timeoutMs', { least: 0, fallback: 10_000 });
    while (!(await this.#reader.covers(match[2] as string, Number(match[3]), options))) {
      const waitedMs = Math.round(system.monotonicNowMs() - startedAtMs);
      if (waitedMs > timeoutMs) throw new PeatError('TEMPORARY', `the append ${token} can't be seen after ${waitedMs} ms`, { waitedMs });
      await system.sleep(WAIT_POLL_MS, { signal: options.signal });
    }
  }

  /**
   * Committed changes as they come, from now on or from a token: each at least once, the last event of a key being its
   * state. Expiry makes no event.
   *
   * @example for await (const event of runs.watch({ prefix: 'run/' })) console.log(event.type, event.key);
   */
  watch(options: WatchOptions = {}): AsyncIterableIterator<WatchEvent<T>> {
    this.#checkOpen();
    const { medium, system, layout, options: opened, create } = this.#context;
    const { seen, constants, storeId } = this.#context;
    const context = {
      medium,
      system,
      layout,
      storeId,
      seen,
      constants,
      cacheBytes: opened.cacheBytes,
      emptyIfMissing: create,
      closed: this.#abort.signal,
    };
    return watchNamespace<T>(context, options);
  }

  /** Facts about the namespace and this handle. */
  async stats(options: ReadOptions = {}): Promise<NamespaceStats> {
    this.#checkOpen();
    const state = await this.#reader.fresh(options.signal);
    return namespaceStats(state, { reader: this.#reader, writer: this.#writer });
  }

  /** Waits for writes under way, seals, and may compact (see `autoCompact`). Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#abort.abort();
    try {
      await this.#writer?.close();
    } finally {
      await this.#context.onClose();
    }
  }

  /** The store has dropped this namespace: the handle looks again before it writes. @internal */
  noteDrop(): void {
    this.#isDropNoted = true;
    this.#writer?.forgetRoot();
  }

  /** True if this handle has written. @internal */
  get hasWritten(): boolean {
    return (this.#writer?.counters.batches ?? 0) > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function expiryOf({ ttlMs, expiresAt }: ExpiryOptions): ExpiryOptions {
  return { ...(ttlMs === undefined ? {} : { ttlMs }), ...(expiresAt === undefined ? {} : { expiresAt }) };
}
