/**
 * Judges the tickets ahead of a waiter: is there still someone behind them? (Rules C, "Dead holder".)
 *
 * On the same host the process itself tells: dead is dead at once, alive stays alive, and a stopped one counts as dead
 * after it was seen stopped for a whole lease. Any other holder is dead when it shows no new beat for its lease.
 *
 * A ticket that can't be read names no process and no lease. Its owner may well live, and knows nothing of it: so it counts as any
 * other holder that shows beats, with a lease (`UNREADABLE_LEASE_MS`) that no living owner of any host lets pass without one.
 *
 * Both times are measured by this observer's monotonic clock, while it watches: two hosts' clocks are never compared.
 * Of the time between two observations at most a third of a lease counts, for an observer that was itself suspended
 * saw nothing meanwhile; the holder may have been suspended with it (one machine, asleep) and needs time to beat again.
 */
import type { System } from '../base/system.ts';
import { type HolderIdentity, isSameProcess, type ProcessFacts } from './process-facts.ts';
import { liveTickets, type QueueState } from './queue-state.ts';
import { type Ticket, UNREADABLE_LEASE_MS } from './ticket.ts';
import type { TicketQueue } from './ticket-queue.ts';

export interface HolderWatchOptions {
  readonly queue: TicketQueue;
  readonly system: System;
  readonly facts: ProcessFacts;
}

interface Watched {
  beat: number;
  observedAtMs: number;
  /** Watched without a new beat. */
  silentMs: number;
  /** Watched while the process was stopped whenever it was asked for; undefined if it was not stopped the last time. */
  stoppedMs: number | undefined;
  /** Undefined: not read yet; null: can't be read. */
  ticket: Ticket | null | undefined;
}

export class HolderWatch {
  readonly #options: HolderWatchOptions;
  readonly #watched = new Map<number, Watched>();

  constructor(options: HolderWatchOptions) {
    this.#options = options;
  }

  /** Takes note of a listing that has just come in. */
  observe(state: QueueState): void {
    const nowMs = this.#options.system.monotonicNowMs();
    const live = new Set(liveTickets(state));
    for (const n of this.#watched.keys()) if (!live.has(n)) this.#watched.delete(n);
    for (const n of live) {
      const beat = state.beats.get(n) ?? 0;
      const watched = this.#watched.get(n);
      if (watched === undefined) {
        this.#watched.set(n, { beat, observedAtMs: nowMs, silentMs: 0, stoppedMs: undefined, ticket: undefined });
        continue;
      }
      const limitMs = leaseOf(watched) / 3;
      const gapMs = Math.min(nowMs - watched.observedAtMs, limitMs);
      watched.observedAtMs = nowMs;
      watched.silentMs = beat > watched.beat ? 0 : watched.silentMs + gapMs;
      if (watched.stoppedMs !== undefined) watched.stoppedMs += gapMs;
      watched.beat = Math.max(beat, watched.beat);
    }
  }

  /** True if ticket n, live in the last listing, may be stolen from. */
  async isDead(n: number): Promise<boolean> {
    const watched = this.#watched.get(n);
    if (watched === undefined) return false;
    watched.ticket ??= (await this.#options.queue.read(n)) ?? null;
    const leaseMs = leaseOf(watched);
    const state = watched.ticket === null ? 'unknown' : this.#options.facts.stateOf(watched.ticket.holder);
    if (state !== 'stopped') watched.stoppedMs = undefined;
    switch (state) {
      case 'alive':
        return false;
      case 'dead':
        return true;
      case 'stopped':
        watched.stoppedMs ??= 0;
        return watched.stoppedMs >= leaseMs;
      case 'unknown':
        return watched.silentMs >= leaseMs;
    }
  }

  /** Who is behind ticket n, in words; as far as `isDead` has read it. */
  describe(n: number): string {
    const ticket = this.#watched.get(n)?.ticket;
    if (ticket === null) return `ticket ${n}, which can't be read`;
    return ticket === undefined ? `ticket ${n}` : describeHolder(ticket, this.#options.facts.self);
  }

  /** The first of them, and how many more there are. */
  describeAll(numbers: readonly number[]): string {
    const [first = 0] = numbers;
    return numbers.length > 1 ? `${this.describe(first)}, and ${numbers.length - 1} more` : this.describe(first);
  }
}

function leaseOf({ ticket }: Watched): number {
  return ticket?.leaseMs ?? UNREADABLE_LEASE_MS;
}

/**
 * "pid 4711 on web1 since 2024-05-01T12:00:00.000Z, exclusive (nightly import)"; the time by the holder's own clock. "this process" goes
 * before it where `self` is the holder.
 */
export function describeHolder(ticket: Pick<Ticket, 'holder' | 'createdAtMs' | 'mode' | 'purpose'>, self?: HolderIdentity): string {
  const { holder, createdAtMs, mode, purpose } = ticket;
  const own = self !== undefined && isSameProcess(self, holder) ? 'this process, ' : '';
  const since = new Date(createdAtMs);
  const when = Number.isNaN(since.getTime()) ? '' : ` since ${since.toISOString()}`;
  return `${own}pid ${holder.pid} on ${holder.host}${when}, ${mode}${purpose === '' ? '' : ` (${purpose})`}`;
}
