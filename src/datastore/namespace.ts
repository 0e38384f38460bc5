/** A handle on one namespace: what users read and write through. */
import { PeatError } from '../base/errors.ts';
import { type Key, show, toKey } from '../base/key.ts';
import type { SeenTime, StampClock } from '../base/stamp.ts';
import type { System } from '../base/system.ts';
import { type Entry, isGone } from '../format/entry.ts';
import { type NamespaceLayout, parseRecordText } from '../format/layout.ts';
import type { StoreConstants } from '../format/store-file.ts';
import type { RootReading } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { requireBlocking } from '../medium/steps.ts';
import { checkMaxStalenessMs, NamespaceReader, type ReadOptions, type RecentReadOptions } from '../read/namespace-reader.ts';
import type { LockPlace, Updater } from '../update/updater.ts';
import { type AppendToken, NamespaceWriter } from '../write/namespace-writer.ts';
import { WriterRoot } from '../write/writer-root.ts';
import { type ExpiryOptions, type Operation, packBatch, packOne } from './batch.ts';
import { count, type ResolvedOptions } from './options.ts';
import { ScanIterator } from './scan-iterator.ts';
import { type RecentScanOptions, toScan } from './scan-options.ts';
import { Snapshot } from './snapshot.ts';
import { type NamespaceStats, namespaceStats } from './stats.ts';
import type {
  Condition,
  Delete,
  PutIfResult,
  StampedEntry,
  UpdateCall,
  Updated,
  UpdateManyResult,
  UpdateOptions,
  UpdatePlace,
  UpdateResult,
} from './update.ts';
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
  /** Where the locks are that updates queue for. */
  readonly locks: () => LockPlace | Promise<LockPlace>;
  readonly onClose: () => Promise<void>;
}

const WAIT_POLL_MS = 25;

/** Loaded when it is needed: most processes only read and append, and should start at once. */
const updates = (): Promise<typeof import('./update.ts')> => import('./update.ts');

export class Namespace<T = unknown> {
  readonly name: string;
  readonly #context: NamespaceContext;
  readonly #reader: NamespaceReader;
  #writer: NamespaceWriter | undefined;
  #updater: Promise<Updater> | undefined;
  readonly #updating = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  #hasUpdated = false;
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
    return this.#appendBlocking(() => packOne({ type: 'put', key, value, ...expiryOf(options) }, this.#nowMs()));
  }

  /** `delete`, blocking. */
  deleteSync(key: string): AppendToken {
    return this.#appendBlocking(() => packOne({ type: 'delete', key }, this.#nowMs()));
  }

  /** `batch`, blocking. */
  batchSync(operations: readonly Operation<T>[]): AppendToken {
    return this.#appendBlocking(() => packBatch(operations, this.#nowMs()));
  }

  async #append(pack: () => Buffer, signal: AbortSignal | undefined): Promise<AppendToken> {
    signal?.throwIfAborted();
    this.#checkOpen();
    this.#checkWritable();
    this.#writer ??= this.#newWriter();
    try {
      return await this.#writer.append(pack, signal);
    } finally {
      this.#reader.view.noteWrite();
    }
  }

  #appendBlocking(pack: () => Buffer): AppendToken {
    this.#checkOpen();
    this.#checkWritable();
    requireBlocking(this.#context.medium);
    this.#writer ??= this.#newWriter();
    try {
      return this.#writer.appendBlocking(pack());
    } finally {
      this.#reader.view.noteWrite();
    }
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
        knownRoot: () => this.#knownRoot(),
        seenTime: () => this.#context.seen.time,
        onSegmentEnd,
      },
    );
  }

  #knownRoot(): RootReading | undefined {
    return this.#isDropNoted ? undefined : this.#reader.view.reading;
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

  // ---- updating

  /**
   * Reads a key, and writes what `fn` makes of it, as one step: no other update comes between. `fn` runs again when one does, so it must
   * do nothing else that counts, and no other update of this namespace. It sees every write acknowledged before the call.
   *
   * @throws PeatError `UPDATE_TIMEOUT`, `LOCK_TIMEOUT`, `TEMPORARY`: nothing was written; `OUTCOME_UNKNOWN`; and whatever `fn` throws
   * @example await runs.update('hits', (hits = 0) => hits + 1);
   */
  async update(
    key: string,
    fn: (value: T | undefined, call: UpdateCall) => Updated<T> | Promise<Updated<T>>,
    options: UpdateOptions = {},
  ): Promise<UpdateResult<T>> {
    return await this.#update(async ({ updateJob, resultOf }, updater) => {
      const committed = await updater.update(updateJob<T>(this.#place, { key, fn }, options));
      const { values, stamps, outcome } = resultOf<T>(this.#place, committed);
      return { value: values[0], stamp: stamps[0], ...outcome };
    });
  }

  /**
   * `update` for several keys: `fn` gets their values in the order of the keys and returns as many. All of it happens, or nothing.
   *
   * @example await accounts.updateMany(['a', 'b'], ([a = 0, b = 0]) => [a - 5, b + 5]);
   */
  async updateMany(
    keys: readonly string[],
    fn: (values: readonly (T | undefined)[], call: UpdateCall) => readonly Updated<T>[] | Promise<readonly Updated<T>[]>,
    options: UpdateOptions = {},
  ): Promise<UpdateManyResult<T>> {
    return await this.#update(async ({ updateManyJob, resultOf }, updater) => {
      const committed = await updater.update(updateManyJob<T>(this.#place, { keys, fn }, options));
      const { values, outcome } = resultOf<T>(this.#place, committed);
      return { values, ...outcome };
    });
  }

  /**
   * Puts a value, or with `DELETE` deletes the key, if the condition holds: compare-and-set. It waits for no lock.
   *
   * @example const { ok } = await runs.putIf('leader', 'me', { ifAbsent: true }, { ttlMs: 60_000 });
   */
  async putIf(key: string, value: T | Delete, condition: Condition<T>, options: UpdateOptions = {}): Promise<PutIfResult<T>> {
    return await this.#update(async ({ putIfJob, resultOf }, updater) => {
      const { job, hasHeld } = putIfJob<T>(this.#place, { key, value, condition }, options);
      const { values, stamps, outcome } = resultOf<T>(this.#place, await updater.updateAtOnce(job));
      return { ok: hasHeld(), value: values[0], stamp: stamps[0], token: outcome.token };
    });
  }

  /** Counts as under way from the call on, although its code may have to be loaded first. */
  async #update<R>(run: (module: typeof import('./update.ts'), updater: Updater) => Promise<R>): Promise<R> {
    this.#checkOpen();
    this.#checkWritable();
    this.#updater ??= this.#newUpdater().catch((error: unknown) => {
      this.#updater = undefined;
      throw error;
    });
    const work = Promise.all([updates(), this.#updater]).then(([module, updater]) => run(module, updater));
    this.#updating.add(work);
    try {
      return await work;
    } finally {
      this.#reader.view.noteWrite();
      this.#updating.delete(work);
    }
  }

  get #place(): UpdatePlace {
    return { namespace: this.name, stripes: this.#context.constants.stripes, nowMs: () => this.#nowMs() };
  }

  async #newUpdater(): Promise<Updater> {
    const { Updater } = await import('../update/updater.ts');
    const { medium, system, layout, storeId, create, constants, onSegmentEnd } = this.#context;
    const root = new WriterRoot(
      { medium, system, layout },
      { create, durable: true, knownRoot: () => this.#knownRoot(), observe: () => {} },
    );
    const { stripes } = constants;
    const locks = await this.#context.locks();
    return new Updater({ medium, system, layout, storeId, reader: this.#reader, root, stripes, locks, onManyRecords: onSegmentEnd });
  }

  // ---- reading

  /**
   * The value of a key; undefined if there is none. Sees every write acknowledged before the call, by any process.
   *
   * @throws PeatError `CORRUPT`, `TEMPORARY`, `STORAGE`, `NAMESPACE_NOT_FOUND`, `CLOSED`
   */
  async get(key: string, options: RecentReadOptions = {}): Promise<T | undefined> {
    return visibleValue<T>(await this.#entry(key, options), this.#nowMs());
  }

  /** The value of a key with its version, which `putIf` can ask for; undefined if there is none. */
  async getEntry(key: string, options: RecentReadOptions = {}): Promise<StampedEntry<T> | undefined> {
    const { stampedEntry } = await updates();
    return stampedEntry<T>(await this.#entry(key, options), this.#nowMs());
  }

  /** The values of several keys, in their order, from one state. */
  async getMany(keys: readonly string[], options: ReadOptions = {}): Promise<(T | undefined)[]> {
    if (!Array.isArray(keys)) throw new TypeError(`keys must be an array, got ${show(keys)}`);
    const snapshot = await this.#snapshot({ signal: options.signal, keys: keys.map((key) => toKey(key)) });
    return await snapshot.getMany(keys, options);
  }

  async has(key: string, options: RecentReadOptions = {}): Promise<boolean> {
    const entry = await this.#entry(key, options);
    return entry !== undefined && !isGone(entry, this.#nowMs());
  }

  #entry(key: string, options: RecentReadOptions): Entry | undefined | Promise<Entry | undefined> {
    this.#checkOpen();
    checkMaxStalenessMs(options.maxStalenessMs);
    return this.#reader.get(toKey(key), options);
  }

  /**
   * Entries in the order of their keys' UTF-8 bytes. The scan sees every write acknowledged before it began, and perhaps
   * later ones; a snapshot's scan sees one moment. Memory stays flat.
   *
   * @example for await (const { key, value } of runs.scan({ prefix: 'run/', limit: 10 })) console.log(key, value);
   */
  scan({ maxStalenessMs, ...options }: RecentScanOptions = {}): AsyncIterableIterator<ScanEntry<T>> {
    this.#checkOpen();
    const scan = toScan(options);
    checkMaxStalenessMs(maxStalenessMs);
    const chunks = this.#reader.range(scan.range, {
      reverse: scan.reverse,
      signal: options.signal,
      maxStalenessMs,
    });
    return new ScanIterator<T>(chunks, { scan, system: this.#context.system });
  }

  /** The state as it is now, for up to the retention time (15 minutes). */
  async snapshot(options: ReadOptions = {}): Promise<Snapshot<T>> {
    return await this.#snapshot({ signal: options.signal });
  }

  /** @param options.keys all that will be asked for: then it holds no more of the tail than that */
  async #snapshot(options: ReadOptions & { keys?: readonly Key[] }): Promise<Snapshot<T>> {
    this.#checkOpen();
    const state = await this.#reader.pinned(options);
    const { system, constants } = this.#context;
    return new Snapshot<T>(this.#reader, { state, system, retentionMs: constants.retentionMs });
  }

  /** Brings this handle up to date, so that a snapshot or the next read finds less to do. Returns the newest root's number. */
  async refresh(options: ReadOptions = {}): Promise<number> {
    this.#checkOpen();
    return (await this.#reader.fresh(options.signal)).root.number;
  }

  /**
   * Waits until reads of this handle see the append or update that returned `token`, in whatever process.
   *
   * @throws PeatError `TEMPORARY` after `timeoutMs` (default 10,000).
   */
  async waitFor(token: AppendToken, options: ReadOptions & { timeoutMs?: number } = {}): Promise<void> {
    const isSeen = this.#seenBy(token, options);
    const { system } = this.#context;
    const startedAtMs = system.monotonicNowMs();
    const timeoutMs = count(options.timeoutMs, 'timeoutMs', { least: 0, fallback: 10_000 });
    while (!(await isSeen())) {
      const waitedMs = Math.round(system.monotonicNowMs() - startedAtMs);
      if (waitedMs > timeoutMs) throw new PeatError('TEMPORARY', `the write ${token} can't be seen after ${waitedMs} ms`, { waitedMs });
      await system.sleep(WAIT_POLL_MS, { signal: options.signal });
    }
  }

  #seenBy(token: AppendToken, options: ReadOptions): () => Promise<boolean> {
    const match = /^(.+):(?:(\d{20}-[0-9a-v]{16}-\d+)@(\d+)|(s\d+-\d{20}))$/.exec(String(token));
    const record = match?.[4] === undefined ? undefined : parseRecordText(match[4]);
    if (match === null || (match[4] !== undefined && record === undefined)) throw new TypeError(`not a token of a write: ${show(token)}`);
    if (match[1] !== this.name) throw new RangeError(`the token is of namespace ${match[1]}, not of ${this.name}: ${show(token)}`);
    return () =>
      record === undefined
        ? this.#reader.covers(match[2] as string, Number(match[3]), options)
        : this.#reader.coversRecord(record, options);
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
      await Promise.all([this.#writer?.close(), Promise.allSettled(this.#updating)]);
      const updater = await this.#updater?.catch(() => undefined);
      await updater?.settle();
      this.#hasUpdated = (updater?.counters.committed ?? 0) > 0;
    } finally {
      await this.#context.onClose();
    }
  }

  /** The store has dropped this namespace: the handle looks again before it writes. @internal */
  noteDrop(): void {
    this.#isDropNoted = true;
    this.#reader.view.noteWrite();
    this.#writer?.forgetRoot();
  }

  /** True if this handle has written; known once it is closed. @internal */
  get hasWritten(): boolean {
    return this.#hasUpdated || (this.#writer?.counters.batches ?? 0) > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function expiryOf({ ttlMs, expiresAt }: ExpiryOptions): ExpiryOptions {
  return { ...(ttlMs === undefined ? {} : { ttlMs }), ...(expiresAt === undefined ? {} : { expiresAt }) };
}
