/**
 * Reads of one namespace by one handle: brings the view up to date, looks keys up, goes through ranges.
 *
 * A read is fresh: it sees every write acknowledged before it began. Where the medium has blocking calls all of it runs
 * without a promise, which for cached data is several times faster; `FairTurn` keeps that from starving the process.
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import { FairTurn } from '../base/fair-turn.ts';
import { type Key, show } from '../base/key.ts';
import type { SeenTime } from '../base/stamp.ts';
import type { System } from '../base/system.ts';
import type { Entry } from '../format/entry.ts';
import type { NamespaceLayout } from '../format/layout.ts';
import { parseSegmentId, type RecordId } from '../format/layout.ts';
import { emptyRoot, serialThrough } from '../format/root.ts';
import { NO_TAILS } from '../log/record-log.ts';
import { newestRoot } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { runAsync, runBlocking, type Steps } from '../medium/steps.ts';
import { type KeyRange, RangeReader } from './scan.ts';
import { find, lookup, type State, sortedTail } from './state.ts';
import { snapshotExpired, TableGoneError, TableStore } from './table-store.ts';
import { type Freshness, View } from './view.ts';

const START_OVER_MAX = 100;
const DRAIN_POLL_MS = 25;
/** Rounds in search of one moment. A round takes microseconds on a local disk. */
const PIN_ROUNDS_MAX = 200;

export interface NamespaceReaderOptions {
  readonly cacheBytes: number;
  /** A namespace that is not there reads as empty instead of failing. */
  readonly emptyIfMissing: boolean;
  /** Nobody writes any more: the first state is the last. */
  readonly frozen: boolean;
  /** How long a read waits for a drain to be finished. */
  readonly drainWaitMs: number;
  /** Finishes a drain that a compactor left; undefined for handles that may not write. */
  readonly finishDrain: (() => Promise<void>) | undefined;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface RecentReadOptions extends ReadOptions {
  /**
   * How old what is read may be, in milliseconds by this process's clocks. Where the handle was brought up to date within that time, the read asks
   * the medium for nothing but tables. It sees the handle's own writes, and all that earlier reads of the handle have seen. Default 0: every write acknowledged before the call is seen.
   */
  readonly maxStalenessMs?: number | undefined;
}

/** @throws TypeError, RangeError */
export function checkMaxStalenessMs(value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'number') throw new TypeError(`maxStalenessMs must be a number, got ${show(value)}`);
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`maxStalenessMs must be finite, and at least 0, got ${value}`);
}

/** What a namespace that does not exist reads as. */
function emptyState(namespace: string): State {
  return {
    root: emptyRoot(namespace, { number: -1, previous: null, nonce: '', createdAtMs: 0 }),
    shards: [],
    tail: new Map(),
    stripes: NO_TAILS,
  };
}

export class NamespaceReader {
  readonly view: View;
  readonly tables: TableStore;
  readonly #medium: Medium;
  readonly #system: System;
  readonly #layout: NamespaceLayout;
  readonly #options: NamespaceReaderOptions;
  readonly #fair: FairTurn;
  readonly #sortedTails = new WeakMap<State, readonly Entry[]>();
  /** One refresh at a time; those who come meanwhile need one that begins after they came. */
  #refreshing: Promise<State | undefined> | undefined;
  #frozenState: State | undefined;

  constructor(context: { medium: Medium; system: System; layout: NamespaceLayout; seen: SeenTime }, options: NamespaceReaderOptions) {
    const { medium, system, layout, seen } = context;
    this.#medium = medium;
    this.#system = system;
    this.#layout = layout;
    this.#options = options;
    this.#fair = new FairTurn(system);
    this.tables = new TableStore(medium, layout, { cacheBytes: options.cacheBytes });
    this.view = new View({ medium, system, layout, tables: this.tables, seen });
  }

  /** A state that has every write acknowledged before the call. A promise only where something must be waited for. */
  fresh(signal?: AbortSignal): State | Promise<State> {
    return this.#recent({ signal });
  }

  /** A state that is no older than the options allow. */
  #recent({ signal, maxStalenessMs = 0 }: RecentReadOptions): State | Promise<State> {
    signal?.throwIfAborted();
    if (this.#frozenState !== undefined) return this.#frozenState;
    const turn = this.#fair.due();
    if (turn !== undefined) return turn.then(() => this.#refreshUnless(maxStalenessMs, signal));
    return this.#refreshUnless(maxStalenessMs, signal);
  }

  #refreshUnless(maxStalenessMs: number, signal: AbortSignal | undefined): State | Promise<State> {
    if (maxStalenessMs > 0 && this.view.isFreshWithin(maxStalenessMs)) return this.view.state;
    return this.#refresh(signal);
  }

  #refresh(signal: AbortSignal | undefined): State | Promise<State> {
    if (this.#medium.blocking === undefined) return this.#refreshAsync(signal);
    const done = this.#orMissing(() => runBlocking(this.view.refresh(), { medium: this.#medium, system: this.#system }));
    if (done === 'draining' && !this.#options.frozen) return this.#awaitDrain(signal);
    return this.#settled(done);
  }

  /**
   * A fresh state that is one moment's, and stays as it is. Segments are read one after the other, so a single round may hold a later
   * write of one writer and lack an earlier one of another; when a whole round has found nothing new, what was read before it is what
   * stood there between the two. Beside writers that never pause, the rounds are bounded, and the last one counts.
   *
   * @param options.keys all that will be looked up in it; default: any, and ranges
   */
  async pinned({ keys, signal }: ReadOptions & { keys?: readonly Key[] } = {}): Promise<State> {
    for (;;) {
      const first = await this.fresh(signal);
      // A namespace that is not there, or where nobody writes any more, is one moment's as it is.
      if (first.root.number < 0 || this.#frozenState !== undefined) return first;
      const context = { medium: this.#medium, system: this.#system };
      const pinned = this.#medium.blocking === undefined ? await this.#pinAsync(keys, signal) : runBlocking(this.#pinSteps(keys), context);
      if (pinned !== undefined) return pinned;
    }
  }

  /** Undefined if a drain must be waited for. */
  *#pinSteps(keys: readonly Key[] | undefined): Steps<State | undefined> {
    for (let round = 0; round < PIN_ROUNDS_MAX; round++) {
      const before = this.view.changes;
      if ((yield* this.view.refresh()) === 'draining') return undefined;
      if (this.view.changes === before) break;
    }
    return this.view.pin(keys);
  }

  async #pinAsync(keys: readonly Key[] | undefined, signal: AbortSignal | undefined): Promise<State | undefined> {
    while (this.#refreshing !== undefined) await this.#refreshing.catch(() => undefined);
    const pinning = runAsync(this.#pinSteps(keys), { medium: this.#medium, system: this.#system, signal });
    // Others wait meanwhile, so that nobody changes the view between the last round and the pin.
    this.#refreshing = pinning;
    try {
      return await pinning;
    } finally {
      this.#refreshing = undefined;
    }
  }

  #settled(done: Freshness | State): State {
    const state = typeof done === 'string' ? this.view.state : done;
    if (this.#options.frozen) this.#frozenState = state;
    return state;
  }

  async #refreshAsync(signal: AbortSignal | undefined): Promise<State> {
    while (this.#refreshing !== undefined) await this.#refreshing.catch(() => undefined);
    const refreshing = this.#refreshOnce(signal);
    this.#refreshing = refreshing;
    try {
      return await refreshing;
    } finally {
      this.#refreshing = undefined;
    }
  }

  async #refreshOnce(signal: AbortSignal | undefined): Promise<State> {
    let done: Freshness | State;
    try {
      done = await runAsync(this.view.refresh(), { medium: this.#medium, system: this.#system, signal });
    } catch (error) {
      done = this.#missingState(error);
    }
    if (done === 'draining' && !this.#options.frozen) return await this.#awaitDrain(signal);
    return this.#settled(done);
  }

  #orMissing(refresh: () => Freshness): Freshness | State {
    try {
      return refresh();
    } catch (error) {
      return this.#missingState(error);
    }
  }

  #missingState(error: unknown): State {
    const missing = isPeatError(error, 'NAMESPACE_NOT_FOUND') || isPeatError(error, 'NAMESPACE_DROPPED');
    if (!missing || !this.#options.emptyIfMissing) throw error;
    return emptyState(this.#layout.namespace);
  }

  /** Rule A13: who can write finishes the drain; who can't waits, up to a deadline. */
  async #awaitDrain(signal: AbortSignal | undefined): Promise<State> {
    const startedAtMs = this.#system.monotonicNowMs();
    for (;;) {
      await this.#options.finishDrain?.();
      // Another process may hold the election, and be at it.
      await this.#system.sleep(DRAIN_POLL_MS, { signal });
      const done = await runAsync(this.view.refresh(), { medium: this.#medium, system: this.#system, signal });
      if (done === 'fresh') return this.view.state;
      const waitedMs = Math.round(this.#system.monotonicNowMs() - startedAtMs);
      if (waitedMs > this.#options.drainWaitMs) {
        throw new PeatError('TEMPORARY', `a drain of ${this.#layout.namespace} was not finished within ${waitedMs} ms; try again`, {
          namespace: this.#layout.namespace,
          waitedMs,
        });
      }
    }
  }

  /** The entry of a key in a fresh state; tombstones and expired entries included. */
  get(key: Key, options: RecentReadOptions = {}): Entry | undefined | Promise<Entry | undefined> {
    const state = this.#recent(options);
    if (state instanceof Promise) return this.#getAsync(key, state, options);
    try {
      const looked = lookup(state, this.tables, key);
      if (looked.missing === undefined) return looked.entry;
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return this.#getAsync(key, state, options);
  }

  async #getAsync(key: Key, first: State | Promise<State>, options: ReadOptions): Promise<Entry | undefined> {
    let state = await first;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.find(state, key, options);
      } catch (error) {
        if (!(error instanceof TableGoneError)) throw error;
        if (attempt >= START_OVER_MAX) throw this.#restless(error);
        this.view.invalidate();
        state = await this.fresh(options.signal);
      }
    }
  }

  #restless(error: TableGoneError): PeatError {
    return new PeatError('CORRUPT', `${error.file} is named by the newest root of ${this.#layout.namespace}, but is not there`, {
      file: error.file,
      namespace: this.#layout.namespace,
    });
  }

  /**
   * What the caller of a pinned state is told when a table of it is gone. Tables that the newest root names are never deleted: one of those is
   * lost, and no newer snapshot would have it.
   */
  async whyGone(error: TableGoneError): Promise<PeatError> {
    const context = { medium: this.#medium, system: this.#system };
    const reading = await runAsync(newestRoot(this.#layout, context), context);
    const isNamed = reading?.root.shards.some(({ tables }) => tables.some(({ file }) => this.#layout.shard + file === error.file));
    return isNamed === true ? this.#restless(error) : snapshotExpired(error);
  }

  /** The entry of a key in a state; a promise only where something must be loaded. @throws TableGoneError if the state is older than the retention. */
  find(state: State, key: Key, options: ReadOptions = {}): Entry | undefined | Promise<Entry | undefined> {
    return find(state, this.tables, { key, signal: options.signal });
  }

  /** The tail of a state in key order; sorted once a state. */
  #sorted(state: State): readonly Entry[] {
    let sorted = this.#sortedTails.get(state);
    if (sorted === undefined) {
      sorted = sortedTail(state.tail);
      this.#sortedTails.set(state, sorted);
    }
    return sorted;
  }

  /**
   * The entries of a range, tombstones and expired ones included. A fresh range starts over behind its last key where tables
   * vanish under it; one of a pinned state fails with `SNAPSHOT_EXPIRED`.
   */
  async *range(range: KeyRange, options: RecentReadOptions & { reverse: boolean; pinned?: State }): AsyncGenerator<Entry[], void> {
    const { reverse, signal, pinned } = options;
    let { maxStalenessMs } = options;
    let { from, to } = range;
    let restarts = 0;
    for (;;) {
      const state = pinned ?? (await this.#recent({ signal, maxStalenessMs }));
      const reader = new RangeReader(state, { tables: this.tables, sorted: this.#sorted(state), range: { from, to }, reverse });
      try {
        for (;;) {
          signal?.throwIfAborted();
          const chunk = await this.#chunk(reader);
          if (chunk.length === 0) return;
          yield chunk;
          restarts = 0;
          const last = (chunk.at(-1) as Entry).key;
          if (reverse) to = last;
          else from = `${last}\0` as Key;
          await this.#fair.due();
        }
      } catch (error) {
        if (!(error instanceof TableGoneError)) throw error;
        if (pinned !== undefined) throw await this.whyGone(error);
        if (++restarts > START_OVER_MAX) throw this.#restless(error);
        maxStalenessMs = 0;
        this.view.invalidate();
      }
    }
  }

  async #chunk(reader: RangeReader): Promise<Entry[]> {
    const chunk: Entry[] = [];
    let bytes = 0;
    while (chunk.length < CHUNK_ENTRIES && bytes < CHUNK_BYTES) {
      const next = reader.next();
      const entry = next instanceof Promise ? await next : next;
      if (entry === undefined) break;
      chunk.push(entry);
      bytes += entry.value?.length ?? 0;
    }
    return chunk;
  }

  /** True if a fresh state covers what `token`'s segment holds up to `end`. */
  async covers(segment: string, end: number, options: ReadOptions = {}): Promise<boolean> {
    const { root } = await this.fresh(options.signal);
    const id = parseSegmentId(segment);
    if (id === undefined) throw new TypeError(`not an append token: ${segment}`);
    const absorbed = root.absorbed.get(segment);
    if (absorbed !== undefined && absorbed.offset >= end) return true;
    const position = this.view.positions().get(segment);
    if (position !== undefined) return position >= end;
    // Acknowledged and no longer in the log: absorbed and deleted. Not yet in the log: the root would be older than the token's.
    return root.number >= id.root;
  }

  /** True if a fresh state covers the record that an update's token names. Once it was acknowledged it is listed, or absorbed. */
  async coversRecord({ stripe, number }: RecordId, options: ReadOptions = {}): Promise<boolean> {
    const { root, stripes } = await this.fresh(options.signal);
    return Math.max(serialThrough(root, stripe), stripes.highest.get(stripe) ?? 0) >= number;
  }
}

const CHUNK_ENTRIES = 256;
const CHUNK_BYTES = 1024 * 1024;
