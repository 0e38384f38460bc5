/**
 * Markers of tickets that are over, and that could not be written when they were due. Until one is written, its ticket is a living
 * process's, and others wait for it. So each is tried again and again, with pauses that grow to a minute, while the process and the medium live.
 *
 * Who is about to close the medium settles first: the pauses get short, and what is still owed after a while is told, for nobody will
 * write it any more.
 */
import { setMaxListeners } from 'node:events';
import { isPeatError, PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import { parseLockPrefix } from '../format/layout.ts';

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
/** How long closing waits for what could not be given back at once. */
const SETTLE_MS_MAX = 5000;

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

  /**
   * To be called before the medium is closed.
   *
   * @throws PeatError `STORAGE` if some could not be written for some seconds more. Once the medium is closed nobody tries any more, and
   * others wait for these tickets for as long as this process lives: the error says whose they are, and how to end them.
   */
  async close(): Promise<void> {
    const owed = await this.settle(SETTLE_MS_MAX);
    if (owed.length > 0) throw notGivenBack(owed);
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

/** What closing leaves behind, with what a person can do about it. */
function notGivenBack(owed: readonly OwedMarker[]): PeatError {
  const texts = owed.map(({ prefix, token }) => {
    const { kind = 'user', name = prefix } = parseLockPrefix(prefix) ?? {};
    const option = kind === 'user' ? '' : ` --kind ${kind}`;
    const of = kind === 'user' ? JSON.stringify(name) : option.trim() + (kind === 'structural' ? '' : ` ${name}`);
    if (token === undefined) return `${of}: a ticket that may be there, see "peat lock list"`;
    return `${of}: token ${token}, "peat lock release --token ${token} LOCATION${option}${kind === 'structural' ? '' : ` ${name}`}"`;
  });
  const message =
    `locks could not be given back, since storage failed; others wait for them until this process ends, or a person releases them: ` +
    texts.join('; ');
  const failures = owed.map(({ failure }) => failure);
  const lock = parseLockPrefix(owed[0]?.prefix ?? '')?.name ?? '';
  return new PeatError('STORAGE', message, { lock, cause: failures.length === 1 ? failures[0] : new AggregateError(failures) });
}
