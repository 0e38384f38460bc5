/**
 * A link between a writer and the place where the index lives. Each transfer takes a round trip, and its bytes' time. Transfers at the same time
 * share the bandwidth: their bytes go one after the other, while their round trips overlap.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface LinkSpeed {
  readonly bytesPerSecond: number;
  readonly roundTripMs: number;
}

export class Link {
  readonly #speed: LinkSpeed;
  /** When all bytes that were given to it are through. */
  #freeAtMs = 0;

  constructor(speed: LinkSpeed) {
    this.#speed = speed;
  }

  /** Takes as long as this many bytes take. */
  async transfer(bytes: number): Promise<void> {
    const { bytesPerSecond, roundTripMs } = this.#speed;
    const nowMs = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes / bytesPerSecond) * 1000;
    await delay(this.#freeAtMs - nowMs + roundTripMs);
  }
}
