/**
 * A `System` for tests: time stands still until the test advances it, and randomness comes from a seed. Several
 * systems on one `VirtualTime` are several machines: each has its own wall clock, and can be paused like a process
 * that got SIGSTOP.
 */
import { setImmediate } from 'node:timers/promises';
import type { System } from '../../src/base/system.ts';
import { randomFrom } from './random.mjs';

interface Sleeper {
  readonly dueMs: number;
  readonly order: number;
  readonly system: VirtualSystem;
  wake(): void;
}

const START_WALL_MS = Date.UTC(2024, 0, 1);

export interface VirtualSystemOptions {
  readonly seed?: number;
  /** How far this machine's wall clock is off. */
  readonly wallOffsetMs?: number;
  /** What this machine's monotonic clock shows at the start. */
  readonly monotonicOriginMs?: number;
}

export class VirtualTime {
  #nowMs = 0;
  #orders = 0;
  #sleepers: Sleeper[] = [];

  /** Since the start of the test. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many sleeps are under way. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  system(options: VirtualSystemOptions = {}): VirtualSystem {
    return new VirtualSystem(this, options);
  }

  /** Lets `ms` pass: wakes sleepers in the order of their times, each after the work of the one before has settled. */
  async advance(ms: number): Promise<void> {
    await settle();
    const end = this.#nowMs + ms;
    for (;;) {
      const next = this.#nextDue(end);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.wake();
      await settle();
    }
    this.#nowMs = Math.max(this.#nowMs, end);
    await settle();
  }

  /** Advances, in steps, until the promise has settled, and returns its outcome. */
  async until<T>(promise: Promise<T>, options: { stepMs?: number; limitMs?: number } = {}): Promise<T> {
    const { stepMs = 10, limitMs = 3_600_000 } = options;
    let isSettled = false;
    const note = (): void => {
      isSettled = true;
    };
    promise.then(note, note);
    const end = this.#nowMs + limitMs;
    await settle();
    while (!isSettled) {
      if (this.#nowMs >= end) throw new Error(`nothing came of it within ${limitMs} ms of virtual time`);
      await this.advance(stepMs);
    }
    return await promise;
  }

  /** For `sleepSync`: time passes, and nobody runs meanwhile. */
  skip(ms: number): void {
    this.#nowMs += ms;
  }

  add(ms: number, system: VirtualSystem, wake: () => void): () => void {
    const sleeper: Sleeper = { dueMs: this.#nowMs + Math.max(0, ms), order: this.#orders++, system, wake: wakeUp };
    const remove = (): void => {
      this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
    };
    function wakeUp(): void {
      remove();
      wake();
    }
    this.#sleepers.push(sleeper);
    return remove;
  }

  #nextDue(end: number): Sleeper | undefined {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.dueMs > end || sleeper.system.paused) continue;
      if (next === undefined || sleeper.dueMs < next.dueMs || (sleeper.dueMs === next.dueMs && sleeper.order < next.order)) next = sleeper;
    }
    return next;
  }
}

export class VirtualSystem implements System {
  readonly time: VirtualTime;
  /** While true its sleeps don't end; afterwards, all that are due end at the next `advance`. */
  paused = false;
  /** May be changed in mid-test: a wall clock can jump. */
  wallOffsetMs: number;
  readonly #monotonicOriginMs: number;
  /** From 0 up to 1. */
  readonly random: () => number;

  constructor(time: VirtualTime = new VirtualTime(), options: VirtualSystemOptions = {}) {
    this.time = time;
    this.wallOffsetMs = options.wallOffsetMs ?? 0;
    this.#monotonicOriginMs = options.monotonicOriginMs ?? 0;
    this.random = randomFrom(options.seed ?? 1);
  }

  wallNowMs(): number {
    return START_WALL_MS + this.time.nowMs + this.wallOffsetMs;
  }

  wallNowPreciseMs(): number {
    return this.wallNowMs();
  }

  monotonicNowMs(): number {
    return this.#monotonicOriginMs + this.time.nowMs;
  }

  sleep(ms: number, options: { signal?: AbortSignal | undefined; background?: boolean } = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const remove = this.time.add(ms, this, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      const abort = (): void => {
        remove();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  sleepSync(ms: number): void {
    this.time.skip(ms);
  }

  randomBytes(count: number): Uint8Array {
    const bytes = Buffer.alloc(count);
    for (let i = 0; i < count; i++) bytes[i] = Math.floor(this.random() * 256);
    return bytes;
  }

  async turn(): Promise<void> {
    await setImmediate();
  }

  async advance(ms: number): Promise<void> {
    await this.time.advance(ms);
  }
}

/** Lets everything run that waits for nothing but promises. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await setImmediate();
}
