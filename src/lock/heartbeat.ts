/**
 * Shows that the owner of a ticket lives: a beat in each third of the lease, from when the ticket exists until `stop`.
 * Each beat first makes sure that the ticket is still the owner's. A long lease is no reason to beat seldom: see `UNREADABLE_LEASE_MS`.
 *
 * While the owner holds the lock it must also stop believing so before anyone else may: once the last good beat is a
 * lease old, by the monotonic clock and counted from before that beat was written, the lock is lost. Observers count
 * from when they see the beat, which is later.
 *
 * Its timers don't keep the process alive, and an operation that hangs does not keep the lock from being lost.
 */
import type { System } from '../base/system.ts';
import { UNREADABLE_LEASE_MS } from './ticket.ts';
import type { TicketQueue } from './ticket-queue.ts';

export interface HeartbeatOptions {
  readonly queue: TicketQueue;
  readonly system: System;
  readonly number: number;
  readonly nonce: string;
  readonly leaseMs: number;
  /** When the ticket's creation began, by the monotonic clock. */
  readonly bornAtMs: number;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #stopped = new AbortController();
  #lastBeatAtMs: number;
  #beats = 0;
  #onLost: ((why: string) => void) | undefined;
  /** Set once a beat found the ticket over. */
  #isOver = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#lastBeatAtMs = options.bornAtMs;
    void this.#run();
  }

  /**
   * From now on the lock is held: calls `onLost` once if it is lost before `stop`. False if it is lost already.
   * A beat that is overdue (a waiter may miss beats without harm) is made first; its failure is thrown.
   */
  async hold(onLost: (why: string) => void): Promise<boolean> {
    if (this.#sinceLastBeatMs() > this.#options.leaseMs / 2) await this.#beat();
    if (this.#isOver) return false;
    this.#onLost = onLost;
    void this.#guard();
    return true;
  }

  /** Idempotent. A beat that is under way may still be written; it harms nobody. */
  stop(): void {
    this.#stopped.abort();
  }

  #sinceLastBeatMs(): number {
    return this.#options.system.monotonicNowMs() - this.#lastBeatAtMs;
  }

  async #beat(): Promise<void> {
    const { queue, system, number, nonce } = this.#options;
    const begunAtMs = system.monotonicNowMs();
    if (!(await queue.isStillMine(number, nonce))) {
      this.#isOver = true;
      return;
    }
    if (this.#stopped.signal.aborted) return;
    // A failed beat may be there after all; to write the same number again is no harm.
    const beat = this.#beats + 1;
    await queue.beat(number, beat);
    this.#beats = Math.max(beat, this.#beats);
    this.#lastBeatAtMs = Math.max(begunAtMs, this.#lastBeatAtMs);
  }

  async #run(): Promise<void> {
    const everyMs = Math.min(this.#options.leaseMs, UNREADABLE_LEASE_MS) / 3;
    let pauseMs = everyMs;
    while (await this.#sleep(pauseMs)) {
      try {
        await this.#beat();
        pauseMs = everyMs;
      } catch {
        // The medium failed: try again soon. `#guard` decides when it was too often.
        pauseMs = everyMs / 4;
      }
      if (this.#isOver) return this.#lose('it was taken away');
    }
  }

  async #guard(): Promise<void> {
    const { leaseMs } = this.#options;
    for (;;) {
      const leftMs = leaseMs - this.#sinceLastBeatMs();
      if (leftMs <= 0) return this.#lose(`no sign of life could be written for ${leaseMs} ms`);
      if (!(await this.#sleep(leftMs))) return;
    }
  }

  #lose(why: string): void {
    if (this.#stopped.signal.aborted) return;
    this.stop();
    this.#onLost?.(why);
  }

  /** False if stopped. */
  async #sleep(ms: number): Promise<boolean> {
    const { signal } = this.#stopped;
    try {
      await this.#options.system.sleep(ms, { signal, background: true });
    } catch {
      // Only the signal ends a sleep early.
    }
    return !signal.aborted;
  }
}
