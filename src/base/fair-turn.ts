/**
 * Keeps long chains of fast work from starving a process. Reads of cached data resolve without I/O, so a loop that
 * awaits them would never let timers and sockets run; every few milliseconds such a chain has to give way.
 */
import type { System } from './system.ts';

const TURN_MS = 8;

export class FairTurn {
  readonly #system: System;
  #startedAtMs = -1;

  constructor(system: System) {
    this.#system = system;
  }

  /** Undefined, or a promise to await before going on, if this turn of the event loop has lasted long. */
  due(): Promise<void> | undefined {
    const nowMs = this.#system.monotonicNowMs();
    if (this.#startedAtMs < 0) {
      this.#startedAtMs = nowMs;
      void this.#system.turn().then(() => {
        this.#startedAtMs = -1;
      });
      return undefined;
    }
    return nowMs - this.#startedAtMs < TURN_MS ? undefined : this.#system.turn();
  }
}
