/**
 * What a lock tells about its use, where someone asked for it. The locks know only these interfaces: who does not trace does not load
 * `lock-trace.ts`, which implements them. None of the calls may throw.
 */
import type { LockSite } from './lock-sites.ts';

export interface LockTracer {
  /** A wait begins. */
  wait(lock: TracedLock): TracedWait;
  /** Writes what is pending. */
  flush(): Promise<void>;
}

export interface TracedLock {
  readonly site: LockSite;
  readonly name: string;
  readonly mode: string;
  readonly callSite: string | undefined;
}

/** Ends with one of its two calls. */
export interface TracedWait {
  acquired(token: number): TracedHold;
  /** With the code of the error. */
  failed(code: string): void;
}

export interface TracedHold {
  /** Runs the holder's work: what it does counts for this hold. */
  run<T>(work: () => T): T;
  /** Only the first call counts: a lock that was lost is given back, too. */
  released(how: 'released' | 'lost'): void;
}
