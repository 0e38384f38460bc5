/**
 * Decides which calls to a local file system block, and which go through the thread pool.
 *
 * A call there and back through the pool takes 30 µs, and over 100 µs where the processors are busy; most calls to a local
 * file system take a few, being served from memory, and a sync of a good disk about as long as the way through the pool. So a
 * call blocks while those of its kind have lately been quick. One that was slow sends its kind to the pool until
 * several in a row were quick again: what blocks the process for long does so once, not again and again.
 *
 * A chain of blocking calls lets the process' timers and sockets run every few milliseconds (`FairTurn`).
 */
import { FairTurn } from '../base/fair-turn.ts';
import type { System } from '../base/system.ts';

/** Longer is slow. */
const QUICK_MS = 2;
/** So many in a row make a kind quick. */
const QUICK_IN_A_ROW = 8;
/** These wait for the disk itself, so they have to show first that it is quick. */
const WAITS_FOR_DISK: ReadonlySet<string> = new Set(['fdatasync', 'fsync']);

export class CallPace {
  readonly #system: System;
  readonly #turn: FairTurn;
  /** How many were quick since the last slow one, by operation. */
  readonly #quickInARow = new Map<string, number>();

  constructor(system: System) {
    this.#system = system;
    this.#turn = new FairTurn(system);
  }

  /** A promise to await before a call may block; undefined if it may at once. */
  due(): Promise<void> | undefined {
    return this.#turn.due();
  }

  isQuick(operation: string): boolean {
    return (this.#quickInARow.get(operation) ?? (WAITS_FOR_DISK.has(operation) ? 0 : QUICK_IN_A_ROW)) >= QUICK_IN_A_ROW;
  }

  /** Begins to time a call; what it returns ends that. */
  time(operation: string): () => void {
    const startedMs = this.#system.monotonicNowMs();
    return () => {
      const isQuick = this.#system.monotonicNowMs() - startedMs <= QUICK_MS;
      const before = this.#quickInARow.get(operation) ?? (this.isQuick(operation) ? QUICK_IN_A_ROW : 0);
      this.#quickInARow.set(operation, isQuick ? before + 1 : 0);
    };
  }
}
