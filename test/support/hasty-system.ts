/** A `System` on which every sleep is over at once, though the clocks show that it was slept. Who sleeps for too long is told that it hangs. */
import type { System } from '../../src/base/system.ts';
import { randomFrom } from './random.mjs';

const HANG_MS = 4 * 3_600_000;

export class HastySystem implements System {
  readonly #startWallMs: number;
  readonly #random = randomFrom(1);
  #sleptMs = 0;

  constructor(startWallMs: number) {
    this.#startWallMs = startWallMs;
  }

  wallNowMs(): number {
    return this.#startWallMs + this.#sleptMs;
  }

  wallNowPreciseMs(): number {
    return this.wallNowMs();
  }

  monotonicNowMs(): number {
    return this.#sleptMs;
  }

  /** What sleeps in the background goes on for as long as others work, and does not bring the time on. */
  async sleep(ms: number, { signal, background = false }: { signal?: AbortSignal | undefined; background?: boolean } = {}): Promise<void> {
    signal?.throwIfAborted();
    if (background) {
      return await new Promise<void>((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    }
    this.sleepSync(ms);
    await this.turn();
    signal?.throwIfAborted();
  }

  sleepSync(ms: number): void {
    this.#sleptMs += ms;
    if (this.#sleptMs > HANG_MS) throw new Error(`it hangs: ${HANG_MS / 3_600_000} hours were slept away`);
  }

  randomBytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => Math.floor(256 * this.#random()));
  }

  async turn(): Promise<void> {
    await Promise.resolve();
  }
}
