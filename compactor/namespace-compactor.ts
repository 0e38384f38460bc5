/**
 * The compactor of one namespace: stands in the election's queue, and while it leads, runs a pass whenever there is
 * something to take in.
 *
 * A pass that fails is dropped, reported, and tried again after a pause that grows; the store is as if it had not been. Asked
 * to stop, it ends after the pass that is under way, and finishes a drain that it began, so that nobody has to wait for it.
 */
import { isPeatError } from '../src/base/errors.ts';
import type { System } from '../src/base/system.ts';
import { LOCK_SITES } from '../src/lock/lock-sites.ts';
import type { LockHandle } from '../src/lock/ticket-lock.ts';
import type { RootBase } from '../src/manifest/commit-root.ts';
import { Waker } from '../src/medium/waker.ts';
import type { PassContext, PassResult } from './context.ts';
import { compactorLeaseMs, compactorLock } from './election.ts';
import { type CompactorEvent, passFacts } from './events.ts';
import { IdlePause } from './idle-pause.ts';
import { compactOnce } from './pass.ts';

export interface NamespaceCompactorOptions {
  readonly signal: AbortSignal;
  readonly report: (event: Omit<CompactorEvent, 'timeMs'>) => void;
  /** Runs a pass when it is its turn: bounds how many run at once in a process. */
  readonly enqueue: (pass: () => Promise<PassResult>) => Promise<PassResult>;
  /** How long to gather after a change, so that many small appends make one root. */
  readonly gatherMs: number;
  /** How often to look without an event. */
  readonly pollMs: number;
}

const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 30_000;
/** Even where events come, look again after this long: for housekeeping, and for events that got lost. */
const WITH_EVENTS_MS = 15_000;
/** In a lease: between two looks no more than a third of it counts. */
const STANDBY_LOOKS = 10;
/** A drain takes two passes, and one more for what came in between. */
const FINISH_PASSES_MAX = 5;

export class NamespaceCompactor {
  readonly #context: PassContext;
  readonly #options: NamespaceCompactorOptions;
  readonly #system: System;
  readonly #namespace: string;
  #backoffMs = 0;
  /** The newest root as the last pass left it; undefined if that may have left tables behind. */
  #known: RootBase | undefined;

  constructor(context: PassContext, options: NamespaceCompactorOptions) {
    this.#context = context;
    this.#options = options;
    this.#system = context.system;
    this.#namespace = context.layout.namespace;
  }

  /** Until the signal is aborted, or the namespace is gone. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const lock = compactorLock(this.#context);
    const leaseMs = compactorLeaseMs(this.#context.medium);
    while (!signal.aborted) {
      try {
        await using held = await lock.acquire({
          site: LOCK_SITES.compactorElection,
          leaseMs,
          signal,
          // Who waits has time: before the lease is over there is nothing to take.
          pollMs: leaseMs / STANDBY_LOOKS,
          purpose: 'compactor',
        });
        this.#report('elected', `elected with ticket ${held.token}`);
        await this.#lead(held);
        this.#report('stood-down');
      } catch (error) {
        if (isPeatError(error, 'NAMESPACE_NOT_FOUND')) return;
        if (!signal.aborted) await this.#backOff(error);
      }
    }
  }

  #report(event: CompactorEvent['event'], message?: string): void {
    this.#options.report({ event, namespace: this.#namespace, ...(message === undefined ? {} : { message }) });
  }

  async #lead(held: LockHandle): Promise<void> {
    const { layout, medium, system } = this.#context;
    const stop = AbortSignal.any([held.signal, this.#options.signal]);
    const waker = await Waker.open(
      { medium, system, prefixes: [layout.root, layout.log] },
      { withEventsMs: WITH_EVENTS_MS, pollMs: this.#options.pollMs },
    );
    const idle = new IdlePause({ firstMs: this.#options.pollMs, isRemote: medium.isRemote });
    try {
      while (!stop.aborted) {
        const result = await this.#pass(held);
        if (result === undefined || result.more || result.outcome === 'lost') continue;
        const pollMs = idle.after({ hasFound: result.outcome !== 'nothing' });
        // Where something was taken in, more is about to come: the next pass is due anyway, and needs no event, which would cost each writer for each append.
        const isBusy = result.outcome === 'committed' && waker.rest();
        if (!isBusy) await waker.wait({ signal: stop, ...(waker.hasEvents ? {} : { ms: pollMs }) }).catch(() => undefined);
        if (!stop.aborted) await system.sleep(this.#options.gatherMs, { signal: stop }).catch(() => undefined);
      }
      if (!held.signal.aborted) await this.#finishDrain(held);
    } finally {
      await waker.close();
    }
  }

  /** One pass; undefined if it failed. It is not cut short by a stop, only by the loss of the election. */
  async #pass(held: LockHandle): Promise<PassResult | undefined> {
    try {
      const result = await this.#options.enqueue(() => compactOnce(this.#context, { signal: held.signal, known: this.#known }));
      this.#backoffMs = 0;
      this.#known = result.base;
      for (const warning of result.warnings) this.#report('warning', warning);
      if (result.outcome === 'committed') {
        this.#options.report({ event: 'pass', namespace: this.#namespace, pass: passFacts(result, this.#system.wallNowMs()) });
      }
      return result;
    } catch (error) {
      if (isPeatError(error, 'NAMESPACE_NOT_FOUND')) throw error;
      this.#known = undefined;
      if (!held.signal.aborted) await this.#backOff(error);
      return undefined;
    }
  }

  async #finishDrain(held: LockHandle): Promise<void> {
    for (let i = 0; i < FINISH_PASSES_MAX; i++) {
      const result = await this.#pass(held);
      if (result === undefined || result.outcome !== 'committed' || !result.draining) return;
    }
  }

  async #backOff(error: unknown): Promise<void> {
    this.#backoffMs = Math.min(BACKOFF_MAX_MS, Math.max(BACKOFF_FIRST_MS, this.#backoffMs * 2));
    this.#report('failed', `${String(error)}; next try in ${this.#backoffMs} ms`);
    await this.#system.sleep(this.#backoffMs, { signal: this.#options.signal }).catch(() => undefined);
  }
}
