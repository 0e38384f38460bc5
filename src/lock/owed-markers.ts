/**
 * Markers of tickets that are over, and that could not be written when they were due. Until one is written, its ticket is a living
 * process's, and others wait for it. So each is tried again and again, with pauses that grow to a minute, while the process and the medium live.
 *
 * Who is about to close the medium settles first: the pauses get short, and what is still owed after a while is told, for nobody will
 * write it any more.
 */
import { setMaxListeners } from 'node:events';
import { isPeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';

export interface OwedMarker {
  /** Whose ticket it is. */
  readonly prefix: string;
  /** Undefined if it is not known to be there: its creation failed. */
  readonly token: number | undefined;
  /** Why it could not be written the first time. */
  readonly failure: unknown;
}

/** Between two attempts: from, and at most. */
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 60_000;
const HURRIED_MS = 100;

export class OwedMarkers {
  readonly #system: System;
  readonly #owed = new Map<OwedMarker, Promise<void>>();
  readonly #hurry = new AbortController();

  constructor(system: System) {
    this.#system = system;
    // Each one that is owed waits for it, and there may be many: Node would take that for a leak.
    setMaxListeners(0, this.#hurry.signal);
  }

  /** Goes on trying in the background. */
  add(marker: OwedMarker, write: () => Promise<unknown>): void {
    const done = this.#retry(write).then((isWritten) => {
      if (isWritten) this.#owed.delete(marker);
    });
    this.#owed.set(marker, done);
  }

  /** Waits until all are written, for so long at most. Returns those that are not. */
  async settle(maxMs: number): Promise<OwedMarker[]> {
    if (this.#owed.size === 0) return [];
    this.#hurry.abort();
    const over = new AbortController();
    const limit = this.#system.sleep(maxMs, { signal: over.signal }).catch(() => {});
    await Promise.race([Promise.all(this.#owed.values()), limit]);
    over.abort();
    return [...this.#owed.keys()];
  }

  /** False if the medium was closed before. */
  async #retry(write: () => Promise<unknown>): Promise<boolean> {
    for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS)) {
      await this.#pause(pauseMs);
      try {
        await write();
        return true;
      } catch (error) {
        if (isPeatError(error, 'CLOSED')) return false;
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#hurry;
    if (signal.aborted) return await this.#system.sleep(HURRIED_MS, { background: true });
    await this.#system.sleep(ms, { signal, background: true }).catch(() => {});
  }
}
