/**
 * The pauses of one `acquire`, between its looks.
 *
 * Who is next in line looks soon again, those further back in proportion to their place; each looks less and less often
 * while nothing moves, and never waits longer than it may. So of many waiters only one is quick to look, and a lock that goes from hand to
 * hand costs each of them a few looks, not one for each hand.
 *
 * A wait that has lasted for a moment also takes hints (`lock-waker.ts`), where the medium has them: then it looks as soon as the ticket before it
 * is over, and otherwise seldom.
 */
import { PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { Medium } from '../medium/medium.ts';
import type { HolderWatch } from './holder-watch.ts';
import type { LockWaker } from './lock-waker.ts';

export interface TurnWaitOptions {
  readonly medium: Medium;
  readonly system: System;
  readonly watch: HolderWatch;
  readonly lockName: string;
  readonly prefix: string;
  readonly maxWaitMs: number;
  readonly pollMs: number;
  readonly signal: AbortSignal | undefined;
  readonly wake: (() => Promise<unknown>) | undefined;
}

/** The error of a wait that was too long; who stood in the way is named as far as `watch` knows them. */
export function lockTimeout(
  {
    lockName,
    watch,
    waitedMs,
    nobody = 'others, who were faster',
  }: { lockName: string; watch: HolderWatch; waitedMs: number; nobody?: string },
  blockers: readonly number[],
): PeatError {
  const ms = Math.round(waitedMs);
  const holder = blockers.length === 0 ? nobody : watch.describeAll(blockers);
  const message = `lock ${lockName} was not free within ${ms} ms: held by ${holder}`;
  return new PeatError('LOCK_TIMEOUT', message, { lock: lockName, holder, waitedMs: ms });
}

const FIRST_POLL_MS = 1;
/** Without hints only: so much later for each place. */
const PLACE_POLL_MS = 2;
/** Whatever `maxWaitMs` says, getting a place may take so long. */
const PLACELESS_MS = 100;
/** A wait as long as this is worth the events of a folder. */
const HINTS_AFTER_MS = 10;
/** With hints, the first pause at a place. */
const HINTED_POLL_MS = 50;

export class TurnWait {
  readonly #options: TurnWaitOptions;
  readonly #startedAtMs: number;
  #pauseMs = 0;
  #ahead = 0;
  #voids = 0;
  #waker: LockWaker | undefined;
  #hasTriedWaker = false;

  constructor(options: TurnWaitOptions) {
    this.#options = options;
    this.#startedAtMs = options.system.monotonicNowMs();
  }

  /** Who stands in the way is named as far as `HolderWatch` knows them. */
  timeout(blockers: readonly number[]): PeatError {
    return lockTimeout({ ...this.#options, waitedMs: this.#waitedMs() }, blockers);
  }

  /** Between two attempts to get a place, which takes a moment where many come at once, also for one who does not wait. @throws if the wait is over */
  checkPlaceless(): void {
    this.#options.signal?.throwIfAborted();
    if (this.#waitedMs() > Math.max(this.#options.maxWaitMs, PLACELESS_MS)) throw this.timeout([]);
  }

  /** Between two looks; the first found these in the way. */
  async pause(blockers: readonly number[]): Promise<void> {
    const leftMs = this.#checkLeft(blockers);
    const hadHints = this.#waker !== undefined;
    if (!this.#hasTriedWaker && this.#waitedMs() >= HINTS_AFTER_MS) await this.#openWaker();
    // What happened before the events began went by unseen.
    if (this.#waker !== undefined && !hadHints) return;
    const ahead = blockers.length;
    const firstMs = this.#waker === undefined ? FIRST_POLL_MS + PLACE_POLL_MS * (ahead - 1) : HINTED_POLL_MS;
    this.#pauseMs = Math.min(ahead === this.#ahead ? Math.max(firstMs, this.#pauseMs * 1.5) : firstMs, this.#options.pollMs);
    this.#ahead = ahead;
    await this.#sleep(Math.min(this.#pauseMs, leftMs), blockers.at(-1) as number);
    this.#options.signal?.throwIfAborted();
  }

  /** A ticket was taken away. The first new one is due at once, later ones after a while. */
  async afterVoid(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#voids++;
    if (this.#voids === 1) return;
    const ms = Math.min(2 ** Math.min(this.#voids, 20), this.#options.pollMs, this.#checkLeft([]));
    await this.#options.system.sleep(ms, { signal: this.#options.signal });
  }

  close(): void {
    this.#waker?.close();
    this.#waker = undefined;
    this.#hasTriedWaker = true;
  }

  #waitedMs(): number {
    return this.#options.system.monotonicNowMs() - this.#startedAtMs;
  }

  #checkLeft(blockers: readonly number[]): number {
    this.#options.signal?.throwIfAborted();
    const leftMs = this.#options.maxWaitMs - this.#waitedMs();
    if (leftMs <= 0) throw this.timeout(blockers);
    return leftMs;
  }

  async #openWaker(): Promise<void> {
    this.#hasTriedWaker = true;
    const { medium, prefix } = this.#options;
    if (medium.localDirectory === undefined) return;
    const { LockWaker } = await import('./lock-waker.ts');
    this.#waker = LockWaker.open(medium.localDirectory, prefix);
  }

  /** Ends early by a hint, or when ticket `before` is over. */
  async #sleep(ms: number, before: number): Promise<void> {
    const { signal, system, wake } = this.#options;
    const woken = new AbortController();
    const end = (): void => woken.abort();
    if (wake !== undefined) {
      void Promise.resolve()
        .then(wake)
        .then(end, () => {});
    }
    void this.#waker?.ended(before).then(end);
    try {
      await system.sleep(ms, { signal: signal === undefined ? woken.signal : AbortSignal.any([signal, woken.signal]) });
    } catch (error) {
      if (!woken.signal.aborted) throw error;
    } finally {
      end();
    }
  }
}
