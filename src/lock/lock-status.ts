/**
 * What can be said about a lock from outside, without taking a ticket: for `stats`, for `lock list`, and for a writer
 * that wants to know whether someone compacts. A snapshot, and a guess: nothing may be stolen on the strength of it.
 *
 * Who asks once can't watch for a lease. So the holders that can't be judged as processes are judged by the age of their
 * newest beat, by the medium's clock on both sides: the time that the medium gave to the file, and the medium's time now
 * (which is this machine's, unless calls cross a network).
 */
import type { System } from '../base/system.ts';
import type { Medium } from '../medium/medium.ts';
import type { HolderIdentity, ProcessFacts, ProcessState } from './process-facts.ts';
import { liveTickets, parseQueue, type QueueFile, type QueueState, ticketName } from './queue-state.ts';
import { decodeTicket, type Ticket, UNREADABLE_LEASE_MS } from './ticket.ts';

export interface LockStatusOptions {
  readonly medium: Medium;
  readonly system: System;
  readonly facts: ProcessFacts;
  readonly prefix: string;
}

/** A ticket that is not over. */
export interface TicketStatus {
  /** The token. */
  readonly number: number;
  /** 0 holds the lock, or is about to, with others of position 0 if it is shared; the others wait, in this order. */
  readonly position: number;
  /** Undefined, as the other facts of a ticket, where it can't be read. */
  readonly holder: HolderIdentity | undefined;
  readonly mode: string | undefined;
  readonly purpose: string | undefined;
  readonly leaseMs: number | undefined;
  /** By the holder's clock; see `ageMs`. */
  readonly createdAtMs: number | undefined;
  readonly state: ProcessState;
  /** Since the ticket was taken, by the medium's clock; undefined where that can't be told. */
  readonly ageMs: number | undefined;
  /** Since its last sign of life, likewise. */
  readonly silentMs: number | undefined;
  /** Until others may take it for dead, if it shows none; not below 0. Undefined where `silentMs` is. */
  readonly leaseLeftMs: number | undefined;
}

export class LockStatus {
  readonly #options: LockStatusOptions;

  constructor(options: LockStatusOptions) {
    this.#options = options;
  }

  async listTickets(): Promise<TicketStatus[]> {
    const { medium, prefix, system } = this.#options;
    const state = parseQueue(prefix, await medium.list(prefix, { stats: true }));
    const live = liveTickets(state);
    if (live.length === 0) return [];
    const nowMs = (await medium.nowMs()) ?? (medium.isRemote ? undefined : system.wallNowMs());
    const listed: TicketStatus[] = [];
    let waiters = 0;
    for (const number of live) {
      const name = ticketName(prefix, number);
      const bytes = await medium.get(name);
      // It ended, and was swept, since it was listed.
      if (bytes === undefined) continue;
      const ticket = decodeTicket(bytes, name);
      const holds = listed.length === 0 || (waiters === 0 && ticket?.mode === 'shared' && listed[0]?.mode === 'shared');
      const position = holds ? 0 : ++waiters;
      listed.push(this.#describe({ state, number, nowMs, position, ticket }));
    }
    return listed;
  }

  /**
   * True if someone alive holds the lock or waits for it. What can't be told counts as alive, so a dead holder may be
   * reported as alive for a while (where the medium has no clock: until a waiter steals from it), but hardly a live one
   * as dead.
   */
  async hasLiveHolder(): Promise<boolean> {
    return (await this.listTickets()).some(isProbablyAlive);
  }

  #describe(found: FoundTicket): TicketStatus {
    const { state, number, position, ticket, nowMs } = found;
    const age = (kinds: readonly QueueFile['kind'][]): number | undefined => {
      const times = state.files.flatMap((file) => (file.number === number && kinds.includes(file.kind) ? (file.modifiedMs ?? []) : []));
      return nowMs === undefined || times.length === 0 ? undefined : Math.max(0, nowMs - Math.max(...times));
    };
    const silentMs = age(['ticket', 'beat']);
    return {
      number,
      position,
      holder: ticket?.holder,
      mode: ticket?.mode,
      purpose: ticket?.purpose,
      leaseMs: ticket?.leaseMs,
      createdAtMs: ticket?.createdAtMs,
      state: ticket === undefined ? 'unknown' : this.#options.facts.stateOf(ticket.holder),
      ageMs: age(['ticket']),
      silentMs,
      leaseLeftMs: silentMs === undefined ? undefined : Math.max(0, (ticket?.leaseMs ?? UNREADABLE_LEASE_MS) - silentMs),
    };
  }
}

interface FoundTicket {
  readonly state: QueueState;
  readonly number: number;
  readonly position: number;
  readonly nowMs: number | undefined;
  readonly ticket: Ticket | undefined;
}

function isProbablyAlive({ state, silentMs, leaseMs = UNREADABLE_LEASE_MS }: TicketStatus): boolean {
  if (state === 'dead') return false;
  return state !== 'unknown' || silentMs === undefined || silentMs <= leaseMs;
}
