/**
 * A lock among processes and hosts: first come, first served, by the tickets of `ticket-queue.ts`.
 *
 * `acquire` takes a ticket, looks whose turn it is until it is its own, and hands out a `LockHandle`. Meanwhile, and
 * while the handle is held, a heartbeat shows that its owner lives, and waiters take the lock from dead holders.
 *
 * What a holder may rely on: the tokens of a lock only rise, and `handle.signal` tells when the lock was taken away. What
 * it may not: that it notices in time. A process can be suspended between any two instructions, and go on when another
 * one holds the lock. So who writes under a lock lets the written place refuse lower tokens than it has seen (rule C5).
 *
 * Giving back never fails: a marker that can't be written now is written later, as long as the process lives; when it
 * ends, its ticket is a dead holder's.
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import { show } from '../base/key.ts';
import { newNonce, type System } from '../base/system.ts';
import { Heartbeat } from './heartbeat.ts';
import { HolderWatch } from './holder-watch.ts';
import { finishedFiles, liveTickets, type QueueState } from './queue-state.ts';
import { TicketQueue, type TicketQueueOptions } from './ticket-queue.ts';

export interface TicketLockOptions extends TicketQueueOptions {
  /** What the lock is called in errors. Default: its prefix. */
  readonly name?: string;
}

export interface AcquireOptions {
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
  readonly mode?: string;
  /** What for, in words, for those who wait. */
  readonly purpose?: string;
}

export interface LockHandle extends AsyncDisposable {
  /** The number of the ticket: higher than that of every holder before. */
  readonly token: number;
  /** Aborted, with a `LOCK_LOST` error, when the lock was stolen or its lease could not be kept. */
  readonly signal: AbortSignal;
  /** Gives the lock back. Idempotent, and never rejects. */
  release(): Promise<void>;
}

/** Sweeping costs a few calls of the medium, so it waits for so many files that it can take. */
const SWEEP_FILES = 32;
const FIRST_POLL_MS = 2;

export class TicketLock {
  readonly queue: TicketQueue;
  readonly #name: string;
  readonly #system: System;
  /** Of all callers together: so even one that only tries, again and again, takes over from a silent holder at last. */
  readonly #watch: HolderWatch;

  constructor(options: TicketLockOptions) {
    this.queue = new TicketQueue(options);
    this.#name = options.name ?? options.prefix;
    this.#system = options.system;
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
    const wait = new Wait({ system: this.#system, acquire: options, lockName: this.#name, watch: this.#watch });
    options.signal?.throwIfAborted();
    if (options.tryOnly === true) await this.#checkFree(options.leaseMs, wait);
    for (;;) {
      const handle = await this.#takeTicket(options, wait);
      if (handle !== undefined) return handle;
    }
  }

  /** For `tryOnly`: takes away what dead holders left; throws if someone else is queued. */
  async #checkFree(leaseMs: number, wait: Wait): Promise<void> {
    for (;;) {
      const state = await this.queue.state();
      const lowest = liveTickets(state)[0];
      if (lowest === undefined) return;
      this.#watch.observe(state, leaseMs);
      if (!(await this.#watch.isDead(lowest, leaseMs))) throw wait.timeout(lowest);
      await this.queue.finish(lowest, 'stolen');
    }
  }

  /** Undefined if the ticket was void: then a new one is due. */
  async #takeTicket(options: AcquireOptions, wait: Wait): Promise<LockHandle | undefined> {
    const { queue } = this;
    const { leaseMs } = options;
    const nonce = newNonce(this.#system);
    const bornAtMs = this.#system.monotonicNowMs();
    let number: number;
    try {
      number = await queue.enqueue(nonce, options);
    } catch (error) {
      await this.#insist(leaseMs, () => queue.disown(nonce));
      throw error;
    }
    const heartbeat = new Heartbeat({ queue, system: this.#system, number, nonce, leaseMs, bornAtMs });
    let handle: HeldLock | undefined;
    let isVoid = false;
    try {
      const state = await this.#awaitTurn(number, leaseMs, wait);
      isVoid = state === undefined;
      if (state === undefined) return undefined;
      const held = new HeldLock(number, () => this.#giveBack({ number, leaseMs, heartbeat, state }));
      isVoid = !(await heartbeat.hold((why) =>
        held.lose(new PeatError('LOCK_LOST', `lock ${this.#name} was lost: ${why}`, { lock: this.#name })),
      ));
      if (!isVoid) handle = held;
      return handle;
    } finally {
      if (handle === undefined) {
        heartbeat.stop();
        if (!isVoid) await this.#insist(leaseMs, () => queue.finish(number, 'cancelled'));
      }
    }
  }

  /** The queue at the moment it was this ticket's turn; undefined if it is void. */
  async #awaitTurn(number: number, leaseMs: number, wait: Wait): Promise<QueueState | undefined> {
    for (;;) {
      const look = await this.queue.look(number);
      if (look.kind === 'void') return undefined;
      if (look.kind === 'hold') return look.state;
      this.#watch.observe(look.state, leaseMs);
      if (await this.#watch.isDead(look.for, leaseMs)) {
        await this.queue.finish(look.for, 'stolen');
      } else {
        await wait.pause(look.for);
      }
    }
  }

  async #giveBack(held: HeldTicket): Promise<void> {
    held.heartbeat.stop();
    await this.#insist(held.leaseMs, () => this.queue.finish(held.number, 'released'));
    if (finishedFiles(held.state) < SWEEP_FILES) return;
    try {
      await this.queue.sweep();
    } catch {
      // The next holder will try.
    }
  }

  /** Does it now; where that fails, again and again in the background, while the process and the medium live. */
  async #insist(leaseMs: number, task: () => Promise<unknown>): Promise<void> {
    const attempt = async (): Promise<boolean> => {
      try {
        await task();
        return true;
      } catch (error) {
        return isPeatError(error, 'CLOSED');
      }
    };
    const goOn = async (): Promise<void> => {
      do await this.#system.sleep(leaseMs / 3, { background: true });
      while (!(await attempt()));
    };
    if (!(await attempt())) void goOn();
  }
}

interface HeldTicket {
  readonly number: number;
  readonly leaseMs: number;
  readonly heartbeat: Heartbeat;
  readonly state: QueueState;
}

class HeldLock implements LockHandle {
  readonly token: number;
  readonly #lost = new AbortController();
  readonly #giveBack: () => Promise<void>;
  #released: Promise<void> | undefined;

  constructor(token: number, giveBack: () => Promise<void>) {
    this.token = token;
    this.#giveBack = giveBack;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  lose(reason: PeatError): void {
    this.#lost.abort(reason);
  }

  release(): Promise<void> {
    this.#released ??= this.#giveBack();
    return this.#released;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

interface WaitOptions {
  readonly system: System;
  readonly acquire: AcquireOptions;
  readonly lockName: string;
  readonly watch: HolderWatch;
}

/** The pauses of one `acquire`: short while the queue moves, longer while it stands, and at most as long as it may wait. */
class Wait {
  readonly #options: WaitOptions;
  readonly #startedAtMs: number;
  #pauseMs = FIRST_POLL_MS;
  #lastFor = 0;

  constructor(options: WaitOptions) {
    this.#options = options;
    this.#startedAtMs = options.system.monotonicNowMs();
  }

  #waitedMs(): number {
    return this.#options.system.monotonicNowMs() - this.#startedAtMs;
  }

  timeout(holder: number): PeatError {
    const { lockName, watch } = this.#options;
    const waitedMs = Math.round(this.#waitedMs());
    const who = watch.describe(holder);
    return new PeatError('LOCK_TIMEOUT', `lock ${lockName} was not free within ${waitedMs} ms: held by ${who}`, {
      lock: lockName,
      holder: who,
      waitedMs,
    });
  }

  /** Between two looks that found ticket `holder` in front. */
  async pause(holder: number): Promise<void> {
    const { maxWaitMs = Number.POSITIVE_INFINITY, tryOnly = false, pollMs = 250, signal } = this.#options.acquire;
    signal?.throwIfAborted();
    const leftMs = (tryOnly ? 0 : maxWaitMs) - this.#waitedMs();
    if (leftMs <= 0) throw this.timeout(holder);
    this.#pauseMs = holder === this.#lastFor ? this.#pauseMs * 1.5 : FIRST_POLL_MS;
    this.#lastFor = holder;
    this.#pauseMs = Math.min(this.#pauseMs, pollMs);
    await this.#sleep(Math.min(this.#pauseMs, leftMs));
    signal?.throwIfAborted();
  }

  async #sleep(ms: number): Promise<void> {
    const { acquire, system } = this.#options;
    const { signal, wake } = acquire;
    if (wake === undefined) return await system.sleep(ms, { signal });
    const woken = new AbortController();
    const either = signal === undefined ? woken.signal : AbortSignal.any([signal, woken.signal]);
    const end = (): void => woken.abort();
    void Promise.resolve()
      .then(wake)
      .then(end, () => {});
    try {
      await system.sleep(ms, { signal: either });
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      end();
    }
  }
}

function checkOptions(options: AcquireOptions): void {
  const { leaseMs, maxWaitMs, pollMs } = options;
  if (!(Number.isFinite(leaseMs) && leaseMs > 0)) throw new RangeError(`leaseMs must be above 0, got ${show(leaseMs)}`);
  if (maxWaitMs !== undefined && !(maxWaitMs >= 0)) throw new RangeError(`maxWaitMs must be 0 or more, got ${show(maxWaitMs)}`);
  if (pollMs !== undefined && !(pollMs > 0)) throw new RangeError(`pollMs must be above 0, got ${show(pollMs)}`);
}
