/**
 * Decides which calls to a local file system block, and which go through the thread pool.
 *
 * A call there and back through the pool takes 30 µs, and over 100 µs where the processors are busy; most calls to a local
 * file system take a few, being served from memory, and a sync of a good disk about as long as the way through the pool. So a
 * call blocks, unless one of its kind was slow: then the kind goes through the pool for ten times as long as that one took, and twice as
 * long again with each further one that is slow at once when blocking is tried again. So a disk that is slow blocks the process for a
 * tenth of the time at first, and soon for next to none; and one slow call of a busy machine, which any may be, is over soon.
 *
 * How long calls take in the pool tells nothing: on a busy machine they mostly wait for a processor.
 *
 * A chain of blocking calls lets the process' timers and sockets run every few milliseconds (`FairTurn`).
 */
import { FairTurn } from '../base/fair-turn.ts';
import type { System } from '../base/system.ts';

/** Longer is slow. */
const QUICK_MS = 2;
/** A slow call sends its kind to the pool for so many times as long as it took ... */
const POOL_FACTOR = 10;
/** ... and however often that was so, for no longer than this. */
const POOL_MS_MAX = 60_000;
/** These wait for the disk itself, so the first one goes through the pool, to show how quick that is. */
const WAITS_FOR_DISK: ReadonlySet<string> = new Set(['fdatasync', 'fsync']);

/** What is known of a kind of call. */
interface Kind {
  /** Blocking is tried again then. */
  poolUntilMs: number;
  /** How many blocking calls, or first ones, were slow since the last quick one. */
  slowInARow: number;
  isKnown: boolean;
}

export class CallPace {
  readonly #system: System;
  readonly #turn: FairTurn;
  readonly #kinds = new Map<string, Kind>();

  constructor(system: System) {
    this.#system = system;
    this.#turn = new FairTurn(system);
  }

  /** A promise to await before a call may block; undefined if it may at once. */
  due(): Promise<void> | undefined {
    return this.#turn.due();
  }

  /** Whether the next call of this kind should block. */
  mayBlock(operation: string): boolean {
    const kind = this.#kind(operation);
    if (!kind.isKnown) return false;
    return kind.poolUntilMs === 0 || this.#system.monotonicNowMs() >= kind.poolUntilMs;
  }

  /** Makes a call that blocks, and notes how long it took. */
  block<T>(operation: string, call: () => T): T {
    const startedMs = this.#system.monotonicNowMs();
    try {
      return call();
    } finally {
      this.#note(operation, startedMs);
    }
  }

  /** Makes a call that goes through the pool. */
  async pool<T>(operation: string, call: () => Promise<T>): Promise<T> {
    if (this.#kind(operation).isKnown) return await call();
    const startedMs = this.#system.monotonicNowMs();
    try {
      return await call();
    } finally {
      this.#note(operation, startedMs);
    }
  }

  #kind(operation: string): Kind {
    let kind = this.#kinds.get(operation);
    if (kind === undefined) {
      kind = { poolUntilMs: 0, slowInARow: 0, isKnown: !WAITS_FOR_DISK.has(operation) };
      this.#kinds.set(operation, kind);
    }
    return kind;
  }

  #note(operation: string, startedMs: number): void {
    const nowMs = this.#system.monotonicNowMs();
    const tookMs = nowMs - startedMs;
    const kind = this.#kind(operation);
    kind.isKnown = true;
    if (tookMs <= QUICK_MS) {
      kind.slowInARow = 0;
      kind.poolUntilMs = 0;
    } else {
      kind.poolUntilMs = nowMs + Math.min(POOL_MS_MAX, tookMs * POOL_FACTOR * 2 ** kind.slowInARow++);
    }
  }
}
