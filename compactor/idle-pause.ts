/**
 * How long a compactor waits before it looks again, where no events tell it to: across a network each look costs requests. The pause doubles while
 * nothing is found, and is short again once something was.
 */

/** Across a network a pause grows to this. What is written meanwhile waits in the tail, where everybody finds it. */
const IDLE_MS_MAX = 15_000;

export class IdlePause {
  readonly #firstMs: number;
  readonly #mostMs: number;
  #ms: number;

  /** @param firstMs the pause after something was found; where the medium is on this machine, each */
  constructor({ firstMs, isRemote }: { firstMs: number; isRemote: boolean }) {
    this.#firstMs = firstMs;
    this.#mostMs = isRemote ? Math.max(firstMs, IDLE_MS_MAX) : firstMs;
    this.#ms = firstMs;
  }

  /** The pause before the next look. */
  after({ hasFound }: { hasFound: boolean }): number {
    if (hasFound) this.#ms = this.#firstMs;
    const pauseMs = this.#ms;
    this.#ms = Math.min(this.#ms * 2, this.#mostMs);
    return pauseMs;
  }
}
