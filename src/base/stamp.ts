/**
 * Stamps order all deltas of a namespace; of two deltas of one key the newer stamp wins.
 *
 * A stamp is (time, writer, sub). `time` is a hybrid logical clock in one safe integer: 1/1024 ms since 1970,
 * at least the clock's reading and always above every stamp seen before (Kulkarni et al., "Logical Physical
 * Clocks", 2014). `writer` is the 16 character id of the handle that wrote it; `sub` counts successors of
 * one stamp, for read-modify-writes.
 */
import { assert, PeatError } from './errors.ts';
import type { System } from './system.ts';

export interface Stamp {
  /** Units of 1/1024 ms since 1970; a safe integer until the year 2248. */
  readonly time: number;
  /** 16 characters of base32hex: 80 random bits of a writer. */
  readonly writer: string;
  readonly sub: number;
}

/** Below every writer's id: of stamps that follow none. */
export const NO_WRITER: string = '0'.repeat(16);

export const TICKS_PER_MS = 1024;
/** A clock further than this from the medium's can't open a store for writing. */
export const CLOCK_SKEW_MAX_MS: number = 5 * 60_000;

export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  if (a.writer !== b.writer) return a.writer < b.writer ? -1 : 1;
  return a.sub - b.sub;
}

/** The newer of two stamps, where either may be missing. */
export function maxStamp(a: Stamp | undefined, b: Stamp | undefined): Stamp | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareStamps(a, b) >= 0 ? a : b;
}

/** The newest stamp time that any reader of a process has seen: what the process writes from then on must be newer (rule A5). */
export class SeenTime {
  time = 0;

  observe(time: number): void {
    if (time > this.time) this.time = time;
  }
}

/** Issues the times of one writer's stamps. Rule A5: above every stamp that the writer has seen. */
export class StampClock {
  #last = 0;
  readonly #system: System;
  /** What to add to the wall clock to get the medium's, measured when the store was opened. */
  readonly #offsetMs: number;

  constructor(system: System, offsetMs = 0) {
    if (Math.abs(offsetMs) > CLOCK_SKEW_MAX_MS) {
      throw new PeatError('CLOCK_SKEW', `this machine's clock is ${Math.round(offsetMs / 1000)} s off the store's; 300 s are allowed`);
    }
    this.#system = system;
    this.#offsetMs = offsetMs;
  }

  /** The next stamp must be above `time`, too. */
  observe(time: number): void {
    if (time > this.#last) this.#last = time;
  }

  next(): number {
    const now = Math.floor((this.#system.wallNowPreciseMs() + this.#offsetMs) * TICKS_PER_MS);
    this.#last = Math.max(now, this.#last + 1);
    assert(Number.isSafeInteger(this.#last), 'a stamp is a safe integer');
    return this.#last;
  }
}

/** Servers tell whole seconds. */
const MEDIUM_TICK_MS = 1000;

/**
 * What to add to this machine's clock to get the medium's, of which one answer is known, and between which times it came. Only what is
 * sure: as much as has to be, and nothing where the two may agree. Else a slow answer would set the stamps of one handle ahead, and hide what
 * the next one of the same machine writes.
 */
export function clockOffsetMs(mediumMs: number, asked: { readonly beforeMs: number; readonly afterMs: number }): number {
  const least = mediumMs - asked.afterMs;
  const most = mediumMs + MEDIUM_TICK_MS - asked.beforeMs;
  return Math.max(least, Math.min(0, most));
}

export function stampTimeToMs(time: number): number {
  return Math.floor(time / TICKS_PER_MS);
}
