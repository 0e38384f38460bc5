/**
 * One caller's update: the keys that it reads, and the function that says what they become. The function runs again whenever the race for
 * its record was lost, and what it said counts only once a record with it is committed.
 */
import { PeatError } from '../base/errors.ts';
import { fromKey, type Key } from '../base/key.ts';
import type { System } from '../base/system.ts';
import type { Entry } from '../format/entry.ts';
import type { RecordId } from '../format/layout.ts';

/** What a key becomes: a packed value, or with `value` undefined a tombstone. */
export interface Change {
  readonly value: Uint8Array | undefined;
  readonly expiresAtMs: number;
}

/** The keys' entries, tombstones and expired ones included, to what they become, in the same order; undefined leaves one as it is. */
export type Decide = (
  entries: readonly (Entry | undefined)[],
  signal: AbortSignal,
) => readonly (Change | undefined)[] | Promise<readonly (Change | undefined)[]>;

export interface Committed {
  /** The keys' entries as they are now. */
  readonly entries: readonly (Entry | undefined)[];
  /** Where it stands in the log; undefined if nothing was changed. */
  readonly record: RecordId | undefined;
}

export interface JobOptions {
  readonly keys: readonly Key[];
  /** The stripes of the keys, ascending, each once. */
  readonly stripes: readonly number[];
  readonly decide: Decide;
  /** How long one run of `decide` may take. */
  readonly deadlineMs: number;
  /** How long it may wait for locks in all. */
  readonly maxWaitMs: number;
  /** How often `decide` may run. */
  readonly attemptsMax: number;
  readonly signal: AbortSignal | undefined;
}

/** What a run of `decide` came to; settled only when its record is. */
export type Verdict =
  | { readonly kind: 'decided'; readonly changes: readonly (Change | undefined)[] }
  | { readonly kind: 'failed'; readonly error: unknown };

export class Job {
  readonly options: JobOptions;
  readonly promise: Promise<Committed>;
  /** Set once the caller has its answer: it takes no further part. */
  isSettled = false;
  readonly #waitUntilMs: number;
  readonly #system: System;
  readonly #namespace: string;
  #attempts = 0;
  #isBeingTried = false;
  #isBeingPut = false;
  #timer: AbortController | undefined;
  #resolve: (committed: Committed) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(context: { system: System; namespace: string }, options: JobOptions) {
    this.options = options;
    this.#system = context.system;
    this.#namespace = context.namespace;
    this.#waitUntilMs = context.system.monotonicNowMs() + options.maxWaitMs;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => {
    if (!this.#isBeingPut) this.fail(this.options.signal?.reason);
  };

  /** What it decided is on its way: until `resume`, giving up has to wait for the outcome. False if the caller gave up before. */
  hold(): boolean {
    this.#isBeingPut = true;
    return !this.isSettled;
  }

  /** The try is over. */
  resume(): void {
    this.#isBeingTried = false;
    this.#isBeingPut = false;
    if (this.options.signal?.aborted === true) this.#onAbort();
  }

  get hasWaitedTooLong(): boolean {
    return this.#waitUntilMs <= this.#system.monotonicNowMs();
  }

  /** From now on it gives up when its time has come, unless it is being tried then. */
  startWaiting(toError: (waitedMs: number) => Promise<unknown>): void {
    if (this.#timer !== undefined || this.isSettled) return;
    const timer = new AbortController();
    this.#timer = timer;
    const { maxWaitMs } = this.options;
    const leftMs = Math.max(0, this.#waitUntilMs - this.#system.monotonicNowMs());
    void this.#system.sleep(leftMs, { signal: timer.signal, background: true }).then(
      async () => {
        if (this.#isBeingTried) return;
        const error = await toError(maxWaitMs);
        // To find out who holds it takes time: its turn may have come meanwhile.
        if (!this.#isBeingTried) this.fail(error);
      },
      () => {},
    );
  }

  succeed(committed: Committed): void {
    this.#settle();
    this.#resolve(committed);
  }

  /** Idempotent. */
  fail(error: unknown): void {
    this.#settle();
    this.#reject(error);
  }

  #settle(): void {
    this.isSettled = true;
    this.#timer?.abort();
    this.options.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** Runs `decide`. Undefined if the job is over: the caller gave up, or it took too long or too often. */
  async run(entries: readonly (Entry | undefined)[]): Promise<Verdict | undefined> {
    if (this.isSettled) return undefined;
    if (++this.#attempts > this.options.attemptsMax) {
      this.fail(this.#error('TEMPORARY', `ran ${this.options.attemptsMax} times, and others were faster; nothing was written`));
      return undefined;
    }
    this.#isBeingTried = true;
    const abort = new AbortController();
    const stop = (): void => abort.abort(this.options.signal?.reason);
    this.options.signal?.addEventListener('abort', stop, { once: true });
    try {
      const decided = this.options.decide(entries, abort.signal);
      const changes = decided instanceof Promise ? await this.#withinDeadline(decided, abort) : decided;
      return this.isSettled || changes === undefined ? undefined : { kind: 'decided', changes };
    } catch (error) {
      return this.isSettled ? undefined : { kind: 'failed', error };
    } finally {
      this.options.signal?.removeEventListener('abort', stop);
    }
  }

  async #withinDeadline<T>(decided: Promise<T>, abort: AbortController): Promise<T | undefined> {
    const { deadlineMs } = this.options;
    const timer = new AbortController();
    const late = this.#system.sleep(deadlineMs, { signal: AbortSignal.any([timer.signal, abort.signal]) }).then(
      () => {
        const error = this.#error(
          'UPDATE_TIMEOUT',
          `did not come to an end within ${deadlineMs} ms; nothing was written; make its function quicker, or its deadline longer`,
        );
        this.fail(error);
        abort.abort(error);
      },
      () => {},
    );
    try {
      // Given up by the caller: the lock must not wait for the function any longer.
      return await Promise.race([decided, late.then(() => undefined)]);
    } finally {
      timer.abort();
      decided.catch(() => {});
    }
  }

  #error(code: 'TEMPORARY' | 'UPDATE_TIMEOUT', what: string): PeatError {
    const key = fromKey(this.options.keys[0] as Key);
    return new PeatError(code, `the update of ${JSON.stringify(key)} in ${this.#namespace} ${what}`, { key, namespace: this.#namespace });
  }
}
