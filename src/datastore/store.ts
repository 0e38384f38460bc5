/** An open store: its namespaces, and what concerns all of them. */
import type { CompactionSummary, PassContext, RunCompactorOptions } from '../../compactor/index.ts';
import { isPeatError, PeatError } from '../base/errors.ts';
import { clockOffsetMs, SeenTime, StampClock } from '../base/stamp.ts';
import type { System } from '../base/system.ts';
import { checkNamespaceName, isNamespaceName, NAMESPACES_PREFIX, namespaceLayout } from '../format/layout.ts';
import type { StoreFile } from '../format/store-file.ts';
import type { BrokenLock, LockInfo, LockReference } from '../lock/lock-list.ts';
import type { LockTracer } from '../lock/lock-tracer.ts';
import type { NamedLock, NamedLockOptions, StructuralLockOptions } from '../lock/named-lock.ts';
import type { OwedMarkers } from '../lock/owed-markers.ts';
import type { StoreLocks } from '../lock/store-locks.ts';
import type { TicketLock } from '../lock/ticket-lock.ts';
import { listLog } from '../log/log-listing.ts';
import { newestRoot } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import type { Bucket, BucketStats } from '../medium/s3/bucket.ts';
import { runAsync } from '../medium/steps.ts';
import { Namespace } from './namespace.ts';
import { checkCompactorOptions, type NamespaceOptions, type ResolvedOptions, type Warning } from './options.ts';
import type { SyncOptions, SyncReport } from './sync.ts';
import { type TailSize, tailSize } from './tail-size.ts';

export interface CompactOptions {
  /** Only this namespace. Default: all. */
  readonly namespace?: string;
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for another compactor to finish, ms. Default 60,000. */
  readonly maxWaitMs?: number;
}

/** Facts about a store as a whole; those of its namespaces are theirs to tell. */
export interface StoreStats {
  /** What this open store has moved; undefined if it is not in a bucket. */
  readonly bucket?: BucketStats;
}

/** A tail is long, and worth a pass by a writer, beyond either of these: segments and records together, and their bytes. */
const LONG_TAIL_FILES = 256;
const LONG_TAIL_BYTES = 8 * 1024 * 1024;
const NO_TAIL: TailSize = { segments: 0, records: 0, bytes: 0 };

function isLong({ segments, records, bytes }: TailSize): boolean {
  return segments + records >= LONG_TAIL_FILES || bytes >= LONG_TAIL_BYTES;
}

/** What a writer's own pass takes in at most. */
const AUTO_COMPACT_BYTES = 32 * 1024 * 1024;

/** Loaded when it is needed: most processes only read and append, and should start at once. */
const compactor = (): Promise<typeof import('../../compactor/index.ts')> => import('../../compactor/index.ts');

export class Store {
  /** Identity and constants, as `peat.json` has them. */
  readonly file: StoreFile;
  readonly #medium: Medium;
  readonly #ownsMedium: boolean;
  readonly #bucket: Bucket | undefined;
  readonly #system: System;
  readonly #tracer: LockTracer | undefined;
  readonly #options: ResolvedOptions;
  readonly #namespaces = new Set<Namespace<never>>();
  readonly #background = new Set<Promise<void>>();
  readonly #seen = new SeenTime();
  #clock: StampClock | Promise<StampClock> | undefined;
  /** One lock a namespace: what it has seen of a silent holder on another host counts the next time. */
  readonly #locks = new Map<string, TicketLock>();
  #storeLocks: Promise<StoreLocks> | undefined;
  /** Looks at tails that are under way, by namespace. */
  readonly #tails = new Map<string, Promise<void>>();
  #owed: Promise<OwedMarkers> | undefined;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(
    context: {
      medium: Medium;
      bucket?: Bucket | undefined;
      system: System;
      tracer: LockTracer | undefined;
      file: StoreFile;
      ownsMedium: boolean;
    },
    options: ResolvedOptions,
  ) {
    this.#ownsMedium = context.ownsMedium;
    this.#bucket = context.bucket;
    this.file = context.file;
    this.#medium = context.medium;
    this.#system = context.system;
    this.#tracer = context.tracer;
    this.#options = options;
  }

  /** Where the store is, for messages. */
  get description(): string {
    return this.#medium.description;
  }

  /**
   * A handle on a namespace. Nothing is read or written yet. Close it, or the store.
   *
   * @throws TypeError, RangeError for a name that is none.
   * @example const runs = store.namespace<Run>('runs');
   */
  namespace<T = unknown>(name: string, options: NamespaceOptions = {}): Namespace<T> {
    this.#checkOpen();
    const layout = namespaceLayout(checkNamespaceName(name));
    const create = (options.create ?? this.#options.create) && !this.#options.readOnly;
    const namespace: Namespace<T> = new Namespace<T>({
      medium: this.#medium,
      system: this.#system,
      layout,
      storeId: this.file.storeId,
      constants: this.file.constants,
      options: this.#options,
      create,
      clock: () => this.#stampClock(),
      seen: this.#seen,
      compact: async () => {
        await this.#tryCompact(layout.namespace);
      },
      onSegmentEnd: () => this.#inBackground(this.#compactLongTail(layout.namespace)),
      locks: () => this.#stripeLocks(),
      onClose: async () => {
        this.#namespaces.delete(namespace as Namespace<never>);
        if (namespace.hasWritten) await this.#compactLongTail(layout.namespace);
      },
    });
    this.#namespaces.add(namespace as Namespace<never>);
    return namespace;
  }

  /** The names of all namespaces that are there, in order. */
  async namespaces(options: { signal?: AbortSignal } = {}): Promise<string[]> {
    this.#checkOpen();
    const names: string[] = [];
    for (const name of await this.#medium.listFolders(NAMESPACES_PREFIX)) {
      if (isNamespaceName(name) && (await this.#isLive(name, options.signal))) names.push(name);
    }
    return names;
  }

  /** A namespace whose newest root is damaged, or too new for this release, is there all the same. */
  async #isLive(name: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      const newest = newestRoot(namespaceLayout(name), this.#context());
      return (await runAsync(newest, this.#context(signal)))?.root.state === 'live';
    } catch (error) {
      if (isPeatError(error, 'CORRUPT') || isPeatError(error, 'UNSUPPORTED_VERSION')) return true;
      throw error;
    }
  }

  /**
   * What this store has moved so far: for a store in a bucket its requests, bytes, their cost, and what the cache saved. Once it is closed, what it
   * took from beginning to end.
   */
  async stats(): Promise<StoreStats> {
    if (this.#bucket === undefined) return {};
    const { bucketStats } = await import('../medium/s3/bucket.ts');
    return { bucket: bucketStats(this.#bucket) };
  }

  /**
   * Brings this machine's cache level with the newest roots: fetches what it lacks of their tables. A store without a cache has nothing to do.
   *
   * @throws PeatError `NAMESPACE_NOT_FOUND`; `STORAGE` that lists all failures, after everything else was fetched
   * @example const { bytesFetched } = await store.sync({ namespace: 'runs', prefix: 'run/' });
   */
  async sync(options: SyncOptions = {}): Promise<SyncReport> {
    this.#checkOpen();
    const { syncStore } = await import('./sync.ts');
    return await syncStore({ ...this.#context(options.signal), bucket: this.#bucket, namespaces: () => this.namespaces() }, options);
  }

  /** Creates a namespace. True if it was not there. A namespace that was dropped starts empty. */
  async createNamespace(name: string): Promise<boolean> {
    this.#checkWritable();
    const { createNamespace } = await import('../manifest/commit-root.ts');
    return (await createNamespace({ ...this.#context(), layout: namespaceLayout(checkNamespaceName(name)) })) === 'created';
  }

  /**
   * Drops a namespace with all that is in it. True if it was there. Other processes that have it open notice within a minute; what
   * they append until then goes with it. Handles of this store notice at once.
   */
  async dropNamespace(name: string): Promise<boolean> {
    this.#checkWritable();
    const { dropNamespace } = await import('../manifest/commit-root.ts');
    const layout = namespaceLayout(checkNamespaceName(name));
    try {
      return (await dropNamespace({ ...this.#context(), layout })) === 'dropped';
    } finally {
      for (const namespace of this.#namespaces) if (namespace.name === name) namespace.noteDrop();
    }
  }

  /**
   * Compacts until nothing is left to do.
   *
   * @throws PeatError `LOCK_TIMEOUT` if another compactor holds the election for longer than `maxWaitMs`.
   */
  async compact(options: CompactOptions = {}): Promise<CompactionSummary[]> {
    this.#checkWritable();
    const names = options.namespace === undefined ? await this.namespaces() : [checkNamespaceName(options.namespace)];
    const summaries: CompactionSummary[] = [];
    const failures: unknown[] = [];
    for (const name of names) {
      try {
        summaries.push(await this.#compactOne(name, options));
      } catch (error) {
        options.signal?.throwIfAborted();
        // What is wrong with one namespace is no reason to leave the others.
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, `${failures.length} namespaces could not be compacted`);
    return summaries;
  }

  async #compactOne(name: string, options: CompactOptions): Promise<CompactionSummary> {
    const { compactorLeaseMs, compactUntilDone, LOCK_SITES, mayCompact } = await compactor();
    if (!(await mayCompact(this.#passContext(name)))) {
      throw new PeatError('NAMESPACE_NOT_FOUND', `there is no namespace ${name}`, { namespace: name });
    }
    await using held = await (await this.#lock(name)).acquire({
      site: LOCK_SITES.compactOnce,
      leaseMs: compactorLeaseMs(this.#medium),
      maxWaitMs: options.maxWaitMs ?? 60_000,
      signal: options.signal,
      purpose: 'compact()',
    });
    const signal = options.signal === undefined ? held.signal : AbortSignal.any([held.signal, options.signal]);
    return await compactUntilDone(this.#passContext(name), { signal });
  }

  /**
   * Runs a compactor in this process until `options.signal` is aborted: for programs that bring their own compactor process.
   *
   * @example await store.runCompactor({ signal, onEvent: (event) => console.log(JSON.stringify(event)) });
   */
  async runCompactor(options: RunCompactorOptions): Promise<void> {
    this.#checkWritable();
    checkCompactorOptions(options);
    const { runCompactor } = await compactor();
    for (const name of options.namespaces ?? []) checkNamespaceName(name);
    const { constants } = this.file;
    const owed = await this.#owedMarkers();
    await runCompactor({ medium: this.#mergeMedium, system: this.#system, tracer: this.#tracer, owed, constants }, options);
  }

  /**
   * Waits for its turn at a lock that callers name, for work of their own that takes long. First come, first served, among all
   * processes of the store.
   *
   * @throws PeatError `LOCK_TIMEOUT` after `maxWaitMs`; it names the holder. `READ_ONLY`, `MEDIUM_UNSUITABLE`, `STORAGE`, `CLOSED`.
   * @throws TypeError, RangeError for a name or an option that is none; the reason of `signal`.
   * @example
   * await using lock = await store.lock('deploy', { maxWaitMs: 5000 });
   * await deploy({ signal: lock.signal, fence: lock.token });
   */
  async lock(name: string, options: NamedLockOptions = {}): Promise<NamedLock> {
    const called = stackBelow(this, 'lock');
    return await (await this.#lockForWriting()).named.lock(name, { options, called });
  }

  /** Several locks: all of them, or none. They are taken in the order of their names' bytes, so that two callers never wait for each other. */
  async locks(names: readonly string[], options: NamedLockOptions = {}): Promise<NamedLock> {
    const called = stackBelow(this, 'locks');
    return await (await this.#lockForWriting()).named.locks(names, { options, called });
  }

  /** Runs `work` under a lock, and gives it back, however `work` ends. Trouble while giving back never hides what `work` throws. */
  async withLock<T>(name: string, work: (lock: NamedLock) => T | Promise<T>, options: NamedLockOptions = {}): Promise<T> {
    const called = stackBelow(this, 'withLock');
    const lock = await (await this.#lockForWriting()).named.lock(name, { options, called });
    try {
      return await lock.run(() => work(lock));
    } finally {
      await lock.release();
    }
  }

  /** The structural lock: waits for every holder of a named lock, and keeps new ones out. */
  async exclusive(options: StructuralLockOptions = {}): Promise<NamedLock> {
    const called = stackBelow(this, 'exclusive');
    return await (await this.#lockForWriting()).named.exclusive({ options, called });
  }

  /** Every lock that someone holds or waits for, of every kind. A snapshot; it takes no lock, and writes nothing. */
  async listLocks(): Promise<LockInfo[]> {
    this.#checkOpen();
    return await (await this.#loadLocks()).list();
  }

  /**
   * Takes a lock away from the holder of this token, or a waiter its place, as seen in `listLocks`. Takes no lock, waits for nobody, and says what it did.
   * The holder learns it by its `signal`, but not before it writes again: see that it has ended.
   */
  async breakLock(lock: LockReference, options: { token: number }): Promise<BrokenLock> {
    return await (await this.#lockForWriting()).break(lock, options.token);
  }

  /** Where updates find their locks; the locks of callers are not loaded for that, if they can be told without. */
  async #stripeLocks(): Promise<{ medium: Medium; tracer: LockTracer | undefined; owed: OwedMarkers }> {
    const medium = this.file.lockDir === undefined ? this.#medium : (await this.#loadLocks()).medium;
    return { medium, tracer: this.#tracer, owed: await this.#owedMarkers() };
  }

  async #lockForWriting(): Promise<StoreLocks> {
    this.#checkWritable();
    return await this.#loadLocks();
  }

  #loadLocks(): Promise<StoreLocks> {
    this.#storeLocks ??= this.#newStoreLocks();
    return this.#storeLocks;
  }

  async #newStoreLocks(): Promise<StoreLocks> {
    const { StoreLocks } = await import('../lock/store-locks.ts');
    const { readOnly } = this.#options;
    const owed = await this.#owedMarkers();
    return new StoreLocks({ medium: this.#medium, system: this.#system, tracer: this.#tracer, file: this.file, readOnly, owed });
  }

  /** One for the locks of all kinds: closing waits until their tickets are ended. */
  #owedMarkers(): Promise<OwedMarkers> {
    this.#owed ??= import('../lock/owed-markers.ts').then(({ OwedMarkers }) => new OwedMarkers(this.#system));
    return this.#owed;
  }

  /** Waits for everything under way, closes all namespaces, gives locks back, and lets go. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = await Promise.allSettled([...this.#namespaces].map((namespace) => namespace.close()));
    await Promise.allSettled(this.#background);
    // After what was written under them.
    const locks = (await this.#storeLocks) ?? (await this.#owed);
    closed.push(...(await Promise.allSettled([locks?.close()])));
    await this.#tracer?.flush();
    if (this.#ownsMedium) await this.#medium.close();
    const failed = closed.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
    if (failed.length === 1) throw failed[0];
    if (failed.length > 1) throw new AggregateError(failed, `${failed.length} parts of the store could not be closed cleanly`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What compactions read tables from. */
  get #mergeMedium(): Medium {
    return this.#bucket?.mergeMedium ?? this.#medium;
  }

  #context(signal?: AbortSignal): { medium: Medium; system: System; signal: AbortSignal | undefined } {
    return { medium: this.#medium, system: this.#system, signal };
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new PeatError('CLOSED', 'the store is closed');
  }

  #checkWritable(): void {
    this.#checkOpen();
    if (this.#options.readOnly) throw new PeatError('READ_ONLY', 'the store was opened with readOnly');
  }

  /** On a remote medium the clock is corrected to the medium's, which is asked until it has answered once. */
  #stampClock(): StampClock | Promise<StampClock> {
    this.#clock ??= this.#medium.isRemote
      ? this.#measureClock().catch((error: unknown) => {
          this.#clock = undefined;
          throw error;
        })
      : new StampClock(this.#system);
    return this.#clock;
  }

  async #measureClock(): Promise<StampClock> {
    const beforeMs = this.#system.wallNowMs();
    const mediumMs = await this.#medium.nowMs();
    if (mediumMs === undefined) return new StampClock(this.#system);
    return new StampClock(this.#system, clockOffsetMs(mediumMs, { beforeMs, afterMs: this.#system.wallNowMs() }));
  }

  // ---- compaction by writers

  #inBackground(work: Promise<void>): void {
    // What can fail is the program's own listener of warnings. Nobody waits for it here, and it must not end the process.
    const ended = work
      .catch((error: unknown) => process.emitWarning(`onWarning failed: ${String(error)}`, { type: 'PeatWarning' }))
      .finally(() => this.#background.delete(ended));
    this.#background.add(ended);
  }

  /** As `git gc --auto` does: if the tail is long and no compactor lives, one bounded pass, and a warning. Fails only if the listener of that does. */
  #compactLongTail(name: string): Promise<void> {
    if (!this.#options.autoCompact || this.#options.readOnly) return Promise.resolve();
    // Who closes comes right after the seal of its last segment: one look is enough for both.
    let underWay = this.#tails.get(name);
    if (underWay === undefined) {
      underWay = this.#compactIfLong(name).finally(() => this.#tails.delete(name));
      this.#tails.set(name, underWay);
    }
    return underWay;
  }

  async #compactIfLong(name: string): Promise<void> {
    try {
      const tail = await this.#measureTail(name);
      if (!isLong(tail)) return;
      if (await this.#tryCompact(name)) {
        this.#warn(
          'no-compactor',
          name,
          `${name} had a tail of ${tail.segments} segments and ${tail.records} records, ${tail.bytes} bytes, and no live compactor; this process compacted`,
        );
      }
    } catch (error) {
      if (isPeatError(error, 'CLOSED')) return;
      this.#warn('compaction-failed', name, `compacting ${name} failed: ${String(error)}`, error);
    }
  }

  async #measureTail(name: string): Promise<TailSize> {
    const layout = namespaceLayout(name);
    const listing = await runAsync(listLog(layout, { stats: true }), this.#context());
    const most = tailSize(listing);
    // Usually the folder alone tells that there is nothing to do.
    if (!isLong(most)) return most;
    const reading = await runAsync(newestRoot(layout, this.#context()), this.#context());
    return reading === undefined ? NO_TAIL : tailSize(listing, reading.root);
  }

  /** One bounded pass, if nobody else compacts. */
  async #tryCompact(name: string): Promise<boolean> {
    const { compactorLeaseMs, compactUntilDone, mayCompact, tryElection } = await compactor();
    if (!(await mayCompact(this.#passContext(name)))) return false;
    await using held = await tryElection(await this.#lock(name), { site: 'autoCompact', leaseMs: compactorLeaseMs(this.#medium) });
    if (held === undefined) return false;
    const bounds = { signal: held.signal, passesMax: 1, bytesMax: AUTO_COMPACT_BYTES, upkeep: false };
    const { warnings } = await compactUntilDone(this.#passContext(name), bounds);
    for (const message of warnings) this.#warn('damage', name, message);
    return true;
  }

  async #lock(name: string): Promise<TicketLock> {
    const { compactorLock } = await compactor();
    const owed = await this.#owedMarkers();
    let lock = this.#locks.get(name);
    if (lock === undefined) {
      lock = compactorLock({ ...this.#context(), layout: namespaceLayout(name), tracer: this.#tracer, owed });
      this.#locks.set(name, lock);
    }
    return lock;
  }

  #passContext(name: string): PassContext {
    const log = (message: string): void => this.#warn('compaction-failed', name, message);
    return { medium: this.#mergeMedium, system: this.#system, layout: namespaceLayout(name), constants: this.file.constants, log };
  }

  #warn(code: Warning['code'], namespace: string, message: string, cause?: unknown): void {
    this.#options.onWarning({ code, namespace, message, ...(cause === undefined ? {} : { cause }) });
  }
}

/** Where the program has called this function of the store; see `lock/call-site.ts`. */
function stackBelow(store: Store, called: 'lock' | 'locks' | 'withLock' | 'exclusive'): { readonly stack?: unknown } {
  const below: { stack?: unknown } = {};
  Error.captureStackTrace(below, store[called]);
  return below;
}
