/**
 * Tells a waiter when the ticket just before its own is over, by events of the lock's folder. Of many waiters only one then looks again:
 * each waits for another ticket's end. Loaded only by who waits for longer than a moment, where the medium has a local folder.
 *
 * Hints: a ticket's end may go unnoticed, so the waiter looks again by itself, too.
 */
import { type FolderWatch, watchFolder } from '../medium/folder-watch.ts';
import { parseDoneName } from './queue-state.ts';

/** So many ends are remembered; with more of them, the next wait ends at once. */
const ENDED_MAX = 1000;

export class LockWaker {
  #watch: FolderWatch | undefined;
  /** Tickets whose end was seen, perhaps before anyone asked. */
  readonly #ended = new Set<number>();
  /** Something happened, and it can't be told what. */
  #isPending = false;
  #awaited: { readonly number: number; readonly resolve: () => void } | undefined;

  /** Undefined where no events come. What happened before makes no event: look once more, then wait. */
  static open(directory: string, prefix: string): LockWaker | undefined {
    const waker = new LockWaker();
    waker.#watch = watchFolder(directory, prefix, (name) => waker.#note(name));
    return waker.#watch === undefined ? undefined : waker;
  }

  /** Resolves when ticket n seems to be over; perhaps never. Only the latest call is answered. */
  ended(n: number): Promise<void> {
    if (this.#isPending || this.#ended.has(n)) {
      this.#isPending = false;
      this.#ended.delete(n);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#awaited = { number: n, resolve };
    });
  }

  close(): void {
    this.#watch?.close();
    this.#awaited = undefined;
  }

  #note(name: string | undefined): void {
    const number = name === undefined ? undefined : parseDoneName(name);
    if (name !== undefined && number === undefined) return;
    if (number === undefined || this.#ended.size >= ENDED_MAX) {
      this.#isPending = true;
      this.#ended.clear();
    } else {
      // Even if someone waits for it: that wait may have ended by itself, just before.
      this.#ended.add(number);
    }
    const awaited = this.#awaited;
    if (awaited === undefined || (number !== undefined && number !== awaited.number)) return;
    this.#awaited = undefined;
    awaited.resolve();
  }
}
