/**
 * A caller's request for named locks, from its first step until what it took was given back. It can be ended from outside, in two steps
 * whose order is the ender's choice:
 *
 * - `tell`: the program learns it. The wait rejects; the `signal` of what is held aborts. A store that is closed tells first: who heeds the signal
 *   stops before others go on.
 * - `giveBack`: the tickets go back. Before a signal ends the process they go back first, and until it is told, the caller hears
 *   nothing at all: its promise does not settle. For a program that learns it ends by itself: with an uncaught error, or an exit code of its own.
 *   Told right before it dies, it can still act at once (listeners that end a child process run), but not go on.
 */
import { PeatError } from '../base/errors.ts';
import type { HeldNamedLock } from './named-lock.ts';
import type { Releasable } from './signal-release.ts';

export class OpenRequest implements Releasable {
  readonly #stop = new AbortController();
  readonly #flush: () => Promise<void>;
  #held: Promise<HeldNamedLock> | undefined;
  #lock: HeldNamedLock | undefined;
  /** Why it was ended, once the program may know. */
  #told: string | undefined;
  /** While it is ended, and the program may not know. */
  #untold: { readonly over: Promise<void>; readonly end: () => void } | undefined;

  /** `flush` writes what a trace still has: a signal ends the process without its exit. */
  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  /** Ends the wait. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** What comes of the request, for its caller; not before it may know. */
  async outcome(held: Promise<HeldNamedLock>): Promise<HeldNamedLock> {
    this.#held = held;
    try {
      this.#lock = await held;
      return this.#lock;
    } finally {
      await this.#untold?.over;
    }
  }

  async giveBack(why: string): Promise<void> {
    if (this.#told === undefined) this.#untold ??= newGate();
    this.#endWait(why);
    const lock = await this.#held?.catch(() => undefined);
    if (lock !== undefined) {
      if (this.#told !== undefined) lock.lose(this.#told);
      await lock.revoke();
    }
    await this.#flush();
  }

  tell(why: string): void {
    this.#told ??= why;
    this.#endWait(why);
    this.#lock?.lose(why);
    this.#untold?.end();
  }

  #endWait(why: string): void {
    this.#stop.abort(new PeatError('CLOSED', `the wait for a lock was given up: ${why}`));
  }
}

function newGate(): { over: Promise<void>; end: () => void } {
  let end = (): void => {};
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { over, end };
}
