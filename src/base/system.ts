/**
 * The seam to the machine: clocks, timers, randomness and what identifies a process. Everything else in the
 * engine receives a `System`, so that a test can run a cluster on a virtual clock from one seed.
 */
import { setTimeout as delay, setImmediate as immediate } from 'node:timers/promises';

export interface System {
  /** Wall clock, milliseconds since 1970; may jump. */
  wallNowMs(): number;
  /** The wall clock with fractions of a millisecond, as well as the process has learnt them; between `wallNowMs()` and 1 more. */
  wallNowPreciseMs(): number;
  /** Milliseconds from any origin; never goes back. */
  monotonicNowMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason if aborted. Does not keep the process alive if `background`. */
  sleep(ms: number, options?: { signal?: AbortSignal | undefined; background?: boolean }): Promise<void>;
  /** Blocks the thread. */
  sleepSync(ms: number): void;
  randomBytes(count: number): Uint8Array;
  /** Lets timers and I/O of the process run; resolves right after. */
  turn(): Promise<void>;
}

/** What timers count to: with more, Node's end at once. A longer sleep sleeps in pieces. */
export const TIMER_MS_MAX: number = 2 ** 31 - 1;

const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Two writes of two processes in one millisecond should be ordered, too, but `Date.now()` shows no fractions. What has to be added to the
 * fine monotonic clock lies in an interval that each look narrows; when the wall clock is set, it starts anew.
 */
const offsetMs = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

/** Like `performance.now()`, which brings along what takes longer to load than a short-lived process reads. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

function preciseWallMs(): number {
  const fineMs = monotonicMs();
  const wallMs = Date.now();
  offsetMs.low = Math.max(offsetMs.low, wallMs - fineMs);
  offsetMs.high = Math.min(offsetMs.high, wallMs + 1 - fineMs);
  if (offsetMs.low >= offsetMs.high) {
    offsetMs.low = wallMs - fineMs;
    offsetMs.high = offsetMs.low + 1;
  }
  return fineMs + (offsetMs.low + offsetMs.high) / 2;
}

export const nodeSystem: System = {
  wallNowMs: () => Date.now(),
  wallNowPreciseMs: preciseWallMs,
  monotonicNowMs: monotonicMs,
  sleep: async (ms, options = {}) => {
    const timerOptions = {
      ref: options.background !== true,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    try {
      for (let leftMs = ms; ; leftMs -= TIMER_MS_MAX) {
        await delay(Math.min(leftMs, TIMER_MS_MAX), undefined, timerOptions);
        if (!(leftMs > TIMER_MS_MAX)) return;
      }
    } catch (error) {
      // Node throws an error of its own, with the reason as its cause.
      options.signal?.throwIfAborted();
      throw error;
    }
  },
  sleepSync: (ms) => {
    Atomics.wait(sleepCell, 0, 0, ms);
  },
  // Loaded when it is needed: who only reads does without, and starts sooner.
  randomBytes: (count) => process.getBuiltinModule('node:crypto').randomFillSync(Buffer.allocUnsafe(count)),
  turn: async () => {
    await immediate();
  },
};

const BASE32_HEX = '0123456789abcdefghijklmnopqrstuv';

/** Random text that sorts as its bits do: 5 bits a character, lower case. */
export function randomId(system: System, characters: number): string {
  const bytes = system.randomBytes(characters);
  let id = '';
  for (const byte of bytes) id += BASE32_HEX[byte & 31];
  return id;
}

/** A writer's id: 80 bits. */
export function newWriterId(system: System): string {
  return randomId(system, 16);
}

/** Tells one attempt to create an object from another's: 100 bits. */
export function newNonce(system: System): string {
  return randomId(system, 20);
}
