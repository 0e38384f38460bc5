/**
 * A lock among processes and hosts: first come, first served, by the tickets of `ticket-queue.ts`.
 *
 * `acquire` takes a ticket, looks whose turn it is until it is its own, and hands out a `LockHandle`. Meanwhile, and
 * while the handle is held, a heartbeat shows that its owner lives, and waiters take the lock from dead holders. Who wants the lock in
 * shared mode holds it together with the shared ones before it, and waits for an exclusive one that waits itself: no stream of
 * shared holders keeps an exclusive one out.
 *
 * What a holder may rely on: the tokens of a lock only rise, and `handle.signal` tells when the lock was taken away. What
 * it may not: that it notices in time. A process can be suspended between any two instructions, and go on when another
 * one holds the lock. So who writes under a lock lets the written place refuse lower tokens than it has seen (rule C5).
 *
 * Giving back never fails: a marker that can't be written now is written later, with pauses that grow to a minute, as long as the
 * process lives (until then its ticket is a living owner's, and others wait for it); when it ends, its ticket is a dead holder's.
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import { show } from '../base/key.ts';
import { newNonce, type System, TIMER_MS_MAX } from '../base/system.ts';
import type { Medium } from '../medium/medium.ts';
import { Heartbeat } from './heartbeat.ts';
import { HolderWatch } from './holder-watch.ts';
import type { LockMode, LockSite } from './lock-sites.ts';
import type { LockTracer, TracedHold } from './lock-tracer.ts';
import { OwedMarkers } from './owed-markers.ts';
import { finishedFiles, type QueueState } from './queue-state.ts';
import { TicketQueue, type TicketQueueOptions } from './ticket-queue.ts';
import { lockTimeout, TurnWait } from './turn-wait.ts';

export interface TicketLockOptions extends TicketQueueOptions {
  /** What the lock is called in errors and traces. Default: its prefix. */
  readonly name?: string;
  /** Is told of waits and holds. Default: nobody. */
  readonly tracer?: LockTracer | undefined;
  /** Keeps what could not be given back at once, for one who closes the medium. Default: nobody asks. */
  readonly owed?: OwedMarkers | undefined;
}

export interface AcquireOptions {
  /** Which place of the engine this is. */
  readonly site: LockSite;
  /**
   * How long the holder may show no sign of life before others take the lock, in milliseconds. Short: a dead holder
   * on another host is replaced soon. Long: slow storage and long pauses of a living one do no harm.
   */
  readonly leaseMs: number;
  /** Gives up with `LOCK_TIMEOUT` after so many milliseconds. Default: never. */
  readonly maxWaitMs?: number;
  /** Gives up with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The longest pause between two looks. Default 250. */
  readonly pollMs?: number;
  /**
   * Gives up with `LOCK_TIMEOUT` at once, and without a ticket, if someone is queued who is not known to be dead. A holder
   * of another host, or from before this machine's last start, is known to be dead only after a lease: keep the
   * `TicketLock` and try again, or wait for longer than a lease instead.
   */
  readonly tryOnly?: boolean;
  /** May end a pause early: called before each one. A hint, nothing more; its failure is ignored. */
  readonly wake?: () => Promise<unknown>;
  /** Default "exclusive". */
  readonly mode?: LockMode;
  /** What for, in words, for those who wait. Default: `callSite`. */
  readonly purpose?: string;
  /** Where the program asked for it, for traces. */
  readonly callSite?: string | undefined;
}

export interface LockHandle extends AsyncDisposable {
  /** The number of the ticket: higher than that of every holder before. */
  readonly token: number;
  readonly mode: LockMode;
  /** Tells this ticket from every other one; who shows it may take part in the lock (`inherited-lock.ts`). */
  readonly nonce: string;
  /** Aborted, with a `LOCK_LOST` error, when the lock was stolen or its lease could not be kept. */
  readonly signal: AbortSignal;
  /** Runs the holder's work: traces then tell what is done under this lock. */
  run<T>(work: () => T): T;
  /** Gives the lock back. Idempotent, and never rejects. */
  release(): Promise<void>;
  /** Set if `release` could not write the marker at once; it goes on trying. */
  readonly releaseFailure: unknown;
}

/** Sweeping costs a few calls of the medium, so it waits for so many files that it can take. */
const SWEEP_FILES = 32;
const POLL_MS = 250;

export class TicketLock {
  readonly queue: TicketQueue;
  readonly #name: string;
  readonly #system: System;
  readonly #medium: Medium;
  readonly #tracer: LockTracer | undefined;
  readonly #owed: OwedMarkers;
  /** Of all callers together: so even one that only tries, again and again, takes over from a silent holder at last. */
  readonly #watch: HolderWatch;

  constructor(options: TicketLockOptions) {
    this.queue = new TicketQueue(options);
    this.#name = options.name ?? options.prefix;
    this.#system = options.system;
    this.#medium = options.medium;
    this.#tracer = options.tracer;
    this.#owed = options.owed ?? new OwedMarkers(options.system);
    this.#watch = new HolderWatch({ queue: this.queue, system: options.system, facts: options.facts });
  }

  /**
   * Waits for its turn.
   *
   * @throws PeatError `LOCK_TIMEOUT` after `maxWaitMs`; it names the holder.
   * @throws the reason of `signal` if that is aborted first.
   */
  async acquire(options: AcquireOptions): Promise<LockHandle> {
    checkOptions(options);
    options.signal?.throwIfAborted();
    const { site, mode = 'exclusive', callSite } = options;
    const traced = this.#tracer?.wait({ site, name: this.#name, mode, callSite });
    const wait = this.#newWait(options);
    try {
      const held = await this.#takeTurns(options, wait);
      held.trace(traced?.acquired(held.token));
      return held;
    } catch (error) {
      traced?.failed(isPeatError(error) ? error.code : error instanceof Error ? error.name : 'Error');
      throw error;
    } finally {
      wait.close();
    }
  }

  /** What one is told who has waited for too long by a count of its own. @param nobody whom to name where no ticket stands in the way */
  async timeout(waitedMs: number, nobody: string): Promise<PeatError> {
    let blockers: number[] = [];
    try {
      const state = await this.queue.state();
      blockers = await this.queue.blockers(state, { mode: 'exclusive' });
      this.#watch.observe(state);
      // Reads who it is.
      for (const n of blockers.slice(0, 1)) await this.#watch.isDead(n);
    } catch {
      // Then the error does without a name.
    }
    return lockTimeout({ lockName: this.#name, watch: this.#watch, waitedMs, nobody }, blockers);
  }

  #newWait({ maxWaitMs = Number.POSITIVE_INFINITY, tryOnly = false, pollMs = POLL_MS, signal, wake }: AcquireOptions): TurnWait {
    return new TurnWait({
      medium: this.#medium,
      system: this.#system,
      watch: this.#watch,
      lockName: this.#name,
      prefix: this.queue.prefix,
      maxWaitMs: tryOnly ? 0 : maxWaitMs,
      pollMs,
      signal,
      wake,
    });
  }

  async #takeTurns(options: AcquireOptions, wait: TurnWait): Promise<HeldLock> {
    if (options.tryOnly === true) await this.#checkFree(options, wait);
    for (;;) {
      const held = await this.#takeTicket(options, wait);
      if (held !== undefined) return held;
      await wait.afterVoid();
    }
  }

  /** For `tryOnly`: takes away what dead holders left; throws if someone else is queued. */
  async #checkFree({ mode = 'exclusive' }: AcquireOptions, wait: TurnWait): Promise<void> {
    for (;;) {
      const state = await this.queue.state();
      const blockers = await this.queue.blockers(state, { mode });
      if (blockers.length === 0) return;
      this.#watch.observe(state);
      if (!(await this.#steal(blockers))) throw wait.timeout(blockers);
    }
  }

  /** Undefined if the ticket was void: then a new one is due. */
  async #takeTicket(options: AcquireOptions, wait: TurnWait): Promise<HeldLock | undefined> {
    const { queue } = this;
    const { leaseMs, mode = 'exclusive', callSite = '', purpose = callSite } = options;
    const nonce = newNonce(this.#system);
    const bornAtMs = this.#system.monotonicNowMs();
    let number: number;
    try {
      number = await queue.enqueue(nonce, { leaseMs, mode, purpose }, () => wait.checkPlaceless());
    } catch (error) {
      await this.#insist(undefined, () => queue.disown(nonce));
      throw error;
    }
    const heartbeat = new Heartbeat({ queue, system: this.#system, number, nonce, leaseMs, bornAtMs });
    let handle: HeldLock | undefined;
    let isVoid = false;
    try {
      const state = await this.#awaitTurn(number, mode, wait);
      isVoid = state === undefined;
      if (state === undefined) return undefined;
      options.signal?.throwIfAborted();
      const held = new HeldLock({ token: number, nonce, mode, giveBack: () => this.#giveBack({ number, heartbeat, state }) });
      isVoid = !(await heartbeat.hold((why) =>
        held.lose(new PeatError('LOCK_LOST', `lock ${this.#name} was lost: ${why}`, { lock: this.#name })),
      ));
      if (!isVoid) handle = held;
      return handle;
    } finally {
      if (handle === undefined) {
        heartbeat.stop();
        if (!isVoid) await this.#insist(number, () => queue.finish(number, 'cancelled'));
      }
    }
  }

  /** The queue at the moment it was this ticket's turn; undefined if it is void. */
  async #awaitTurn(number: number, mode: LockMode, wait: TurnWait): Promise<QueueState | undefined> {
    for (;;) {
      const look = await this.queue.look(number, mode);
      if (look.kind === 'void') return undefined;
      if (look.kind === 'hold') return look.state;
      this.#watch.observe(look.state);
      if (!(await this.#steal(look.blockers))) await wait.pause(look.blockers);
    }
  }

  /**
   * Takes the places of those who are dead, of the ones that are in the way now: the first, and the shared ones that hold with it. Those behind
   * them are judged when they come to the front. True if any place was taken.
   */
  async #steal(blockers: readonly number[]): Promise<boolean> {
    let hasStolen = false;
    for (const [i, n] of blockers.entries()) {
      if (i > 0 && (await this.queue.read(n))?.mode !== 'shared') break;
      if (!(await this.#watch.isDead(n))) continue;
      await this.queue.finish(n, 'stolen');
      hasStolen = true;
    }
    return hasStolen;
  }

  async #giveBack(held: HeldTicket): Promise<unknown> {
    held.heartbeat.stop();
    const failure = await this.#insist(held.number, () => this.queue.finish(held.number, 'released'));
    if (failure !== undefined || finishedFiles(held.state) < SWEEP_FILES) return failure;
    try {
      await this.queue.sweep();
    } catch {
      // The next holder will try.
    }
    return undefined;
  }

  /** Does it now; where that fails, again and again in the background (`owed-markers.ts`). Returns the first failure. */
  async #insist(token: number | undefined, task: () => Promise<unknown>): Promise<unknown> {
    try {
      await task();
      return undefined;
    } catch (error) {
      this.#owed.add({ prefix: this.queue.prefix, token, failure: error }, task);
      return error;
    }
  }
}

interface HeldTicket {
  readonly number: number;
  readonly heartbeat: Heartbeat;
  readonly state: QueueState;
}

interface HeldLockFacts {
  readonly token: number;
  readonly nonce: string;
  readonly mode: LockMode;
  /** Resolves to what its first attempt failed with. */
  readonly giveBack: () => Promise<unknown>;
}

class HeldLock implements LockHandle {
  readonly token: number;
  readonly nonce: string;
  readonly mode: LockMode;
  readonly #lost = new AbortController();
  readonly #giveBack: () => Promise<unknown>;
  #traced: TracedHold | undefined;
  #released: Promise<void> | undefined;
  #releaseFailure: unknown;

  constructor(facts: HeldLockFacts) {
    this.token = facts.token;
    this.nonce = facts.nonce;
    this.mode = facts.mode;
    this.#giveBack = facts.giveBack;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get releaseFailure(): unknown {
    return this.#releaseFailure;
  }

  trace(traced: TracedHold | undefined): void {
    this.#traced = traced;
    if (this.#lost.signal.aborted) traced?.released('lost');
  }

  lose(reason: PeatError): void {
    this.#traced?.released('lost');
    this.#lost.abort(reason);
  }

  run<T>(work: () => T): T {
    return this.#traced === undefined ? work() : this.#traced.run(work);
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async #release(): Promise<void> {
    this.#releaseFailure = await this.#giveBack();
    this.#traced?.released('released');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** @throws RangeError that shows the value */
export function checkMaxWaitMs(maxWaitMs: number | undefined): void {
  if (maxWaitMs === undefined || maxWaitMs === Number.POSITIVE_INFINITY || (maxWaitMs >= 0 && maxWaitMs <= TIMER_MS_MAX)) return;
  throw new RangeError(`maxWaitMs must be from 0 to ${TIMER_MS_MAX}, or Infinity, got ${show(maxWaitMs)}`);
}

function checkOptions(options: AcquireOptions): void {
  const { leaseMs, maxWaitMs, pollMs, mode } = options;
  if (!(leaseMs > 0 && leaseMs <= TIMER_MS_MAX))
    throw new RangeError(`leaseMs must be above 0, and at most ${TIMER_MS_MAX}, got ${show(leaseMs)}`);
  checkMaxWaitMs(maxWaitMs);
  if (pollMs !== undefined && !(pollMs > 0)) throw new RangeError(`pollMs must be above 0, got ${show(pollMs)}`);
  if (mode !== undefined && mode !== 'exclusive' && mode !== 'shared') {
    throw new RangeError(`mode must be "exclusive" or "shared", got ${show(mode)}`);
  }
}
