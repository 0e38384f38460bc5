/**
 * Appends batches of one namespace: group commit, rotation, post-check, retry.
 *
 * What always holds:
 * 1. Batches take effect in the order of the calls. One group is under way at a time; what is called meanwhile forms the next one.
 * 2. A promise resolves only after the batch is durable (as `durability` says) and its fate is known (rule A6).
 * 3. A batch that is dead is appended again; one whose fate is unknown never is.
 *
 * On the fast path an append is one write and one sync, or one put: the root was read under 30 s before, so that under 60 s
 * have passed when the sync returns or the put is answered, and no horizon can have reached the segment meanwhile.
 */
import { assert, isPeatError, PeatError } from '../base/errors.ts';
import type { StampClock } from '../base/stamp.ts';
import { newWriterId, type System } from '../base/system.ts';
import { type NamespaceLayout, segmentIdText } from '../format/layout.ts';
import { openSegmentWriter, type SegmentWriter } from '../log/segment-writer.ts';
import { type Clocks, elapsedMs, isTrusted, type Moment } from '../manifest/clocks.ts';
import type { RootReading } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { requireBlocking, runAsync, runBlocking, type Steps, sleepSteps } from '../medium/steps.ts';
import { type Fate, fateOf } from './post-check.ts';
import { WriterRoot } from './writer-root.ts';

/** A segment is left when its root was read longer ago, so that no horizon comes near it. */
const SEGMENT_AGE_MAX_MS = 5 * 60_000;
/** A group takes no more batches beyond this; a single batch may be larger. */
const GROUP_BYTES_MAX = 4 * 1024 * 1024;
const RETRIES_MAX = 5;
const DRAIN_POLL_MS = 20;
const DRAIN_WAIT_MS = 30_000;

export type Durability = 'sync' | 'os';

export interface NamespaceWriterOptions {
  readonly durability: Durability;
  readonly segmentBytesMax: number;
  /** Bytes that may wait for the disk before further calls wait to be taken in. */
  readonly pendingBytesMax: number;
  /** The clock that all writers of a process share. A promise only where the medium's clock must be asked first. */
  readonly clock: () => StampClock | Promise<StampClock>;
  /** Create the namespace if it is not there. */
  readonly create: boolean;
  /** A root just read by the reader of the same handle, to spare a reading; undefined if it has none. */
  readonly knownRoot: () => RootReading | undefined;
  /** Newest stamp time that any reader of the store's handle has seen: what is written next must be newer (rule A5). */
  readonly seenTime: () => number;
  /** Called when a segment was left, and at the end. */
  readonly onSegmentEnd?: () => void;
}

/** Where an appended batch stands: `<namespace>:<segment>@<end>`. Another process can wait until it sees it. */
export type AppendToken = string;

interface Pending {
  readonly payload: Uint8Array;
  readonly resolve: (token: AppendToken) => void;
  readonly reject: (error: unknown) => void;
  time: number;
}

interface Group {
  batches: Pending[];
  segment: SegmentWriter | undefined;
  /** Stamped, and on its way to the medium: what is called from now on comes after it. */
  isWritten: boolean;
}

export class NamespaceWriter {
  readonly #medium: Medium;
  readonly #system: System;
  readonly #clocks: Clocks;
  readonly #layout: NamespaceLayout;
  readonly #options: NamespaceWriterOptions;
  readonly #writerId: string;
  #clock: StampClock | undefined;
  readonly #root: WriterRoot;
  #segment: SegmentWriter | undefined;
  #segmentReadAt: Moment | undefined;
  #sequence = 0;
  #queue: Pending[] = [];
  #queuedBytes = 0;
  #underWay: Group | undefined;
  #loop: Promise<void> | undefined;
  #spaceWaiters: (() => void)[] = [];
  /** Calls that wait to be taken in, and the last of them: they are taken in one after the other. */
  #waiting = 0;
  #lastAdmission: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Facts for `stats()`. */
  readonly #counters = { batches: 0, groups: 0, bytes: 0, segments: 0, postChecks: 0, retries: 0 };

  constructor(context: { medium: Medium; system: System; layout: NamespaceLayout }, options: NamespaceWriterOptions) {
    this.#medium = context.medium;
    this.#system = context.system;
    this.#clocks = context;
    this.#layout = context.layout;
    this.#options = options;
    this.#writerId = newWriterId(context.system);
    this.#root = new WriterRoot(context, {
      create: options.create,
      durable: options.durability === 'sync',
      knownRoot: options.knownRoot,
      observe: (time) => this.#clock?.observe(time),
    });
  }

  /**
   * Appends a batch; resolves when it is acknowledged. While too much waits for the disk the call waits for its turn, and
   * `pack`, which makes the payload, is not called before.
   */
  append(pack: () => Uint8Array, signal?: AbortSignal): Promise<AppendToken> {
    if (this.#closed) return Promise.reject(this.#closedError());
    return this.#waiting === 0 && !this.#isFull ? this.#enqueue(pack()) : this.#appendInTurn(pack, signal);
  }

  async #appendInTurn(pack: () => Uint8Array, signal: AbortSignal | undefined): Promise<AppendToken> {
    this.#waiting++;
    const admission = this.#lastAdmission.then(async () => {
      try {
        await this.#space(signal);
        // Wrapped, so that the next in turn does not wait for this one's disk.
        return { done: this.#enqueue(pack()) };
      } finally {
        this.#waiting--;
      }
    });
    this.#lastAdmission = admission.catch(() => undefined);
    return await (await admission).done;
  }

  get #isFull(): boolean {
    return this.#queuedBytes >= this.#options.pendingBytesMax;
  }

  async #space(signal: AbortSignal | undefined): Promise<void> {
    while (this.#isFull && signal?.aborted !== true) {
      await new Promise<void>((resolve) => {
        this.#spaceWaiters.push(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    signal?.throwIfAborted();
  }

  #enqueue(payload: Uint8Array): Promise<AppendToken> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ payload, resolve, reject, time: 0 });
      this.#queuedBytes += payload.length;
      this.#loop ??= this.#run();
    });
  }

  /**
   * Appends a batch and blocks until it is acknowledged. Batches that were called before and still wait are
   * written with it, in order.
   */
  appendBlocking(payload: Uint8Array): AppendToken {
    if (this.#closed) throw this.#closedError();
    requireBlocking(this.#medium);
    const outcome: { token?: AppendToken; error?: unknown } = {};
    const mine: Pending = {
      payload,
      time: 0,
      resolve: (token) => {
        outcome.token = token;
      },
      reject: (error) => {
        outcome.error = error;
      },
    };
    // What was called before and is not on its way yet goes along, in its order.
    const underWay = this.#underWay;
    const earlier = underWay?.isWritten === false ? underWay.batches.splice(0) : [];
    const batches = [...earlier, ...this.#queue.splice(0), mine];
    this.#queuedBytes = 0;
    this.#commitBlocking({ batches, segment: undefined, isWritten: false });
    this.#wakeSpace();
    if (outcome.token === undefined) throw outcome.error;
    return outcome.token;
  }

  get counters(): Readonly<Record<'batches' | 'groups' | 'bytes' | 'segments' | 'postChecks' | 'retries' | 'rootReads', number>> {
    return { ...this.#counters, rootReads: this.#root.reads };
  }

  /** The namespace was dropped, or may have been: the root is read again before the next append. */
  forgetRoot(): void {
    this.#root.doubt();
  }

  /** Waits for everything that was called, seals, and takes nothing more. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#loop !== undefined || this.#waiting > 0) await Promise.all([this.#loop, this.#lastAdmission]);
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment !== undefined) await this.#leave(segment);
  }

  #closedError(): PeatError {
    return new PeatError('CLOSED', `namespace ${this.#layout.namespace} is closed`, { namespace: this.#layout.namespace });
  }

  #wakeSpace(): void {
    for (const wake of this.#spaceWaiters.splice(0)) wake();
  }

  // ---- the loop: group after group

  async #run(): Promise<void> {
    try {
      // Calls of one turn of the event loop join one group.
      await Promise.resolve();
      while (this.#queue.length > 0) {
        const group: Group = { batches: this.#takeGroup(), segment: undefined, isWritten: false };
        this.#underWay = group;
        await this.#commit(group);
        this.#underWay = undefined;
        this.#wakeSpace();
      }
    } finally {
      this.#underWay = undefined;
      this.#loop = undefined;
    }
  }

  #takeGroup(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const { payload } of this.#queue) {
      if (count > 0 && bytes + payload.length > GROUP_BYTES_MAX) break;
      bytes += payload.length;
      count++;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  async #commit(group: Group): Promise<void> {
    const context = { medium: this.#medium, system: this.#system };
    try {
      for (let attempt = 0; attempt <= RETRIES_MAX; attempt++) {
        this.#clock ??= await this.#options.clock();
        await this.#root.prepare();
        await this.#leaveOldSegment();
        if (group.batches.length === 0) return;
        const segment = this.#currentSegment();
        group.segment = segment;
        const ends = await this.#append(segment, group, (batches, durable) => segment.append(batches, durable));
        const fates = this.#isFast(segment) ? undefined : await runAsync(this.#postCheck(segment, ends), context).catch(this.#unchecked);
        const done = this.#settle(group, { segment, ends, fates });
        if (this.#segment !== segment) await this.#leave(segment);
        if (done) return;
      }
      throw this.#retriesError();
    } catch (error) {
      for (const { reject } of group.batches) reject(error);
    }
  }

  #commitBlocking(group: Group): void {
    try {
      for (let attempt = 0; attempt <= RETRIES_MAX; attempt++) {
        const clock = this.#clock ?? this.#options.clock();
        assert(!(clock instanceof Promise), "the clock of a blocking medium is this machine's");
        this.#clock = clock;
        this.#root.prepareBlocking();
        // A folder of objects takes one at a time: while one is being put, another segment is needed.
        if (!this.#medium.canAppend && this.#underWay?.segment === this.#segment) this.#segment = undefined;
        if (this.#segmentIsOld()) this.#dropSegment();
        const segment = this.#currentSegment();
        const ends = this.#append(segment, group, (batches, durable) => segment.appendBlocking(batches, durable));
        const fates = this.#isFast(segment) ? undefined : this.#postCheckBlocking(segment, ends);
        if (fates?.includes('dead') && this.#underWay?.isWritten === true) {
          // What is under way was called before, is cut off too, and must not be overtaken.
          throw new PeatError('TEMPORARY', 'the segment was cut off while an append was under way; try again');
        }
        if (this.#settle(group, { segment, ends, fates })) return;
      }
      throw this.#retriesError();
    } catch (error) {
      for (const { reject } of group.batches) reject(error);
    }
  }

  #retriesError(): PeatError {
    return new PeatError('TEMPORARY', `an append was cut off ${RETRIES_MAX + 1} times by a compactor's horizon; nothing was written`, {
      namespace: this.#layout.namespace,
    });
  }

  // ---- the parts of a commit

  /** Rule A5, then the write. A failure after the write began leaves the outcome open (rule A15). */
  #append<T>(segment: SegmentWriter, group: Group, write: (batches: readonly Pending[], durable: boolean) => T): T {
    const before = segment.bytes;
    group.isWritten = true;
    const clock = this.#clock;
    assert(clock !== undefined, 'a writer has a clock before it appends');
    clock.observe(this.#options.seenTime());
    for (const batch of group.batches) batch.time = clock.next();
    const rethrow = (error: unknown): never => {
      if (this.#segment === segment) this.#segment = undefined;
      segment.abandon();
      throw segment.bytes === before && !segment.failed ? error : this.#unknown('the medium failed while it was being written', error);
    };
    let result: T;
    try {
      result = write(group.batches, this.#options.durability === 'sync');
    } catch (error) {
      return rethrow(error);
    }
    return (result instanceof Promise ? result.catch(rethrow) : result) as T;
  }

  #unknown(why: string, cause?: unknown): PeatError {
    const what = cause instanceof Error ? `${why}: ${cause.message}` : why;
    return new PeatError('OUTCOME_UNKNOWN', `an append to ${this.#layout.namespace} may or may not have happened: ${what}`, {
      namespace: this.#layout.namespace,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /**
   * Resolves or rejects the promises of a group; what is dead stays in it. False if it must be appended again.
   *
   * @param fates of each batch; undefined if all are acknowledged
   */
  #settle(
    group: Group,
    { segment, ends, fates }: { segment: SegmentWriter; ends: readonly number[]; fates: readonly Fate[] | undefined },
  ): boolean {
    const text = segmentIdText(segment.id);
    const dead: Pending[] = [];
    group.batches.forEach((batch, i) => {
      const fate = fates?.[i] ?? 'acknowledged';
      if (fate === 'dead') {
        dead.push(batch);
      } else if (fate === 'unknown') {
        batch.reject(this.#unknown('its segment was forgotten before it could be checked'));
      } else {
        this.#counters.batches++;
        this.#counters.bytes += batch.payload.length;
        batch.resolve(`${this.#layout.namespace}:${text}@${ends[i]}`);
      }
    });
    group.batches = dead;
    group.isWritten = false;
    this.#counters.groups++;
    if (dead.length === 0) return true;
    this.#counters.retries++;
    if (this.#segment === segment) this.#segment = undefined;
    return false;
  }

  /** True where the shortcut of the design holds: the root is young enough that no horizon can be near the segment. */
  #isFast(segment: SegmentWriter): boolean {
    const { root, readAt } = this.#root.reading;
    return segment.id.root >= Math.max(root.horizon, root.drain) && isTrusted(this.#clocks, readAt);
  }

  #postCheckBlocking(segment: SegmentWriter, ends: readonly number[]): Fate[] {
    try {
      return runBlocking(this.#postCheck(segment, ends), { medium: this.#medium, system: this.#system });
    } catch (error) {
      return this.#unchecked(error);
    }
  }

  /** The frame is written, but what became of it could not be told. */
  readonly #unchecked = (error: unknown): never => {
    if (isPeatError(error, 'NAMESPACE_DROPPED') || isPeatError(error, 'OUTCOME_UNKNOWN')) throw error;
    throw this.#unknown('the root that would tell could not be read', error);
  };

  *#postCheck(segment: SegmentWriter, ends: readonly number[]): Steps<Fate[]> {
    this.#counters.postChecks++;
    const text = segmentIdText(segment.id);
    const startedAtMs = this.#system.monotonicNowMs();
    for (;;) {
      yield* this.#root.read();
      const { root } = this.#root;
      const fates = ends.map((end) => fateOf(root, { id: segment.id, text, end }));
      if (!fates.includes('wait')) return fates;
      if (this.#system.monotonicNowMs() - startedAtMs > DRAIN_WAIT_MS) {
        throw this.#unknown(`a drain was not finished within ${DRAIN_WAIT_MS / 1000} s`);
      }
      yield* sleepSteps(DRAIN_POLL_MS);
    }
  }

  // ---- segments

  #segmentIsOld(): boolean {
    const segment = this.#segment;
    if (segment === undefined || this.#segmentReadAt === undefined) return false;
    return (
      segment.failed ||
      segment.bytes >= this.#options.segmentBytesMax ||
      elapsedMs(this.#clocks, this.#segmentReadAt) > SEGMENT_AGE_MAX_MS ||
      segment.id.root < this.#root.root.drain
    );
  }

  async #leaveOldSegment(): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined || !this.#segmentIsOld()) return;
    this.#segment = undefined;
    await this.#leave(segment);
  }

  /** Every batch of the segment has been checked, so the seal may follow (rule A8). */
  async #leave(segment: SegmentWriter): Promise<void> {
    try {
      await segment.seal();
    } catch {
      // A missing seal costs nothing but a little patience of the compactor's.
      segment.abandon();
    }
    this.#options.onSegmentEnd?.();
  }

  /** For blocking calls. A segment in which something is under way is left by who put it on its way. */
  #dropSegment(): void {
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment !== undefined && this.#underWay?.segment !== segment) void this.#leave(segment);
  }

  #currentSegment(): SegmentWriter {
    if (this.#segment !== undefined) return this.#segment;
    const { root, readAt } = this.#root.reading;
    this.#segmentReadAt = readAt;
    this.#counters.segments++;
    this.#segment = openSegmentWriter(this.#medium, this.#layout, {
      root: root.number,
      writer: this.#writerId,
      sequence: this.#sequence++,
    });
    return this.#segment;
  }
}
