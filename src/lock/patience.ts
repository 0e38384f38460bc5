/**
 * How long a request may wait, through all of its stages: for its turn at one lock, then at the next, for the structural lock, and all of
 * that again.
 */
import type { System } from '../base/system.ts';

export interface PatienceOptions {
  readonly system: System;
  readonly maxWaitMs: number;
  /** Ends the wait with its reason. */
  readonly signal: AbortSignal;
  readonly wake: (() => Promise<unknown>) | undefined;
}

export class Patience {
  readonly signal: AbortSignal;
  readonly #options: PatienceOptions;
  readonly #startedAtMs: number;

  constructor(options: PatienceOptions) {
    this.signal = options.signal;
    this.#options = options;
    this.#startedAtMs = options.system.monotonicNowMs();
  }

  get waitedMs(): number {
    return this.#options.system.monotonicNowMs() - this.#startedAtMs;
  }

  /** For the next stage. */
  left(): { readonly maxWaitMs: number; readonly wake: (() => Promise<unknown>) | undefined } {
    const { maxWaitMs, wake } = this.#options;
    return { maxWaitMs: Math.max(0, maxWaitMs - this.waitedMs), wake };
  }
}
