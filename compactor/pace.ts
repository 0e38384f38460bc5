/**
 * Lets the event loop turn every few milliseconds of work, since passes run inside users' processes.
 *
 * A `sleep` would cost at least a millisecond each time; an immediate costs only what others have to do.
 */
import type { System } from '../src/base/system.ts';

const WORK_MS = 5;
/** The clock is looked at once in so many steps. */
const STEPS = 128;

export class Pacer {
  readonly #system: System;
  readonly #signal: AbortSignal | undefined;
  #since: number;
  #steps = 0;

  constructor(system: System, signal?: AbortSignal) {
    this.#system = system;
    this.#signal = signal;
    this.#since = system.monotonicNowMs();
  }

  /** Counts a small step of work; true if it is time to `rest`. */
  step(): boolean {
    if (++this.#steps < STEPS) return false;
    this.#steps = 0;
    return this.#system.monotonicNowMs() - this.#since >= WORK_MS;
  }

  /** @throws the signal's reason, if it was aborted. */
  async rest(): Promise<void> {
    this.#signal?.throwIfAborted();
    await this.#system.turn();
    this.#since = this.#system.monotonicNowMs();
  }
}
