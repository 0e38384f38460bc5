/**
 * The queue of one lock: numbered tickets, one file each (rules C1 to C4 of `docs/protocol.md`). The lowest ticket that
 * is not over holds the lock, and its number is the fencing token: numbers only rise. A ticket whose mode is "shared"
 * holds as soon as all below it that are not over are shared, too.
 *
 * What always holds:
 * - A number has at most one ticket in all time. A ticket is created exclusively, above every number listed; it is
 *   deleted only after a floor says that its number is over; and the highest floor stays.
 * - A ticket is over from the moment its marker or a floor at or above it exists, whoever put it there. Nothing makes
 *   it live again. So steps may be repeated, and may be late: a late steal leaves a marker that nobody needs.
 * - What stands in a ticket never changes. So its mode is read once, and all who can read it agree on it; who can't takes
 *   it for exclusive, which at worst makes it wait.
 * - Between two steps of any of these calls a process may die. It leaves a live ticket, which is stolen from like
 *   every dead holder's, or files at or below the floor, which the next sweep takes.
 *
 * Calls of one queue may run side by side. Nothing here waits, and nothing decides by a clock: see `ticket-lock.ts`.
 */
import { newNonce, type System } from '../base/system.ts';
import { encodeCheckedJson } from '../format/checked-json-encode.ts';
import type { Medium } from '../medium/medium.ts';
import type { LockMode } from './lock-sites.ts';
import type { ProcessFacts } from './process-facts.ts';
import { beatName, doneName, floorName, liveTickets, parseQueue, type QueueState, ticketName } from './queue-state.ts';
import { decodeTicket, type FinishReason, type Marker, TICKET_FORMAT, type Ticket } from './ticket.ts';

export interface TicketQueueOptions {
  readonly medium: Medium;
  readonly system: System;
  readonly facts: ProcessFacts;
  /** The lock's directory, from `lockPrefix`. */
  readonly prefix: string;
  /**
   * Makes tickets and markers survive a power cut. Default false: nobody holds a lock across one. A lock whose tokens
   * are kept by someone else wants true, or tokens given out shortly before the cut may be given out again.
   */
  readonly durable?: boolean;
}

export interface TicketText {
  readonly leaseMs: number;
  /** Default "exclusive". */
  readonly mode?: LockMode;
  readonly purpose?: string;
}

/**
 * What a look tells about a ticket. `void`: it is over, or never was: start over with a new one. `wait`: `blockers`, ascending and at least
 * one, have to be over before it holds.
 */
export type Look =
  | { readonly kind: 'void'; readonly state: QueueState }
  | { readonly kind: 'wait'; readonly blockers: readonly number[]; readonly state: QueueState }
  | { readonly kind: 'hold'; readonly state: QueueState };

const LOCK_FILE = { durable: false };

export class TicketQueue {
  readonly prefix: string;
  readonly #medium: Medium;
  readonly #system: System;
  readonly #facts: ProcessFacts;
  readonly #put: { readonly durable: boolean };
  /** The calls of `enqueue` so far. */
  #placing: Promise<void> | undefined;
  /** By nonce: what `enqueue` tries to put, until it knows that it did. */
  readonly #attempts = new Map<string, { readonly number: number; readonly bytes: Uint8Array }>();
  /** What was read of live tickets; null: unreadable. */
  readonly #tickets = new Map<number, Ticket | null>();

  constructor(options: TicketQueueOptions) {
    this.prefix = options.prefix;
    this.#medium = options.medium;
    this.#system = options.system;
    this.#facts = options.facts;
    this.#put = { durable: options.durable ?? false };
  }

  async state(): Promise<QueueState> {
    return parseQueue(this.prefix, await this.#medium.list(this.prefix));
  }

  /**
   * Rule C1: takes the next place, and returns its number; calls of this queue get theirs in the order of the calls. `nonce` must be new.
   * After a failure the ticket may or may not be there: `disown` must be called until it succeeds. `goOn` is called where somebody else came
   * first, and ends it by throwing.
   */
  async enqueue(nonce: string, text: TicketText, goOn: () => void = () => {}): Promise<number> {
    const before = this.#placing;
    const placing = this.#place(nonce, { text, goOn, before });
    this.#placing = placing.then(
      () => {},
      () => {},
    );
    return await placing;
  }

  async #place(nonce: string, call: { text: TicketText; goOn: () => void; before: Promise<void> | undefined }): Promise<number> {
    const { text, goOn, before } = call;
    if (before !== undefined) {
      await before;
      goOn();
    }
    const bytes = this.#encodeTicket(nonce, text);
    let n = 1 + highestNumber(await this.state());
    this.#attempts.set(nonce, { number: n, bytes });
    while (!(await this.#medium.putIfAbsent(ticketName(this.prefix, n), bytes, this.#put))) {
      goOn();
      // Where many come at once, the next number is long gone.
      n = Math.max(n, highestNumber(await this.state())) + 1;
      this.#attempts.set(nonce, { number: n, bytes });
    }
    this.#attempts.delete(nonce);
    return n;
  }

  /**
   * Ends the ticket of a failed `enqueue`, also if it is still to come: a request under way may take effect late. To look for it would be too
   * early; so it is put once more, under the number that was tried. Whoever is there then, nothing can come to be there any more.
   */
  async disown(nonce: string): Promise<void> {
    const attempt = this.#attempts.get(nonce);
    if (attempt === undefined) return;
    const { number, bytes } = attempt;
    if (await this.#medium.putIfAbsent(ticketName(this.prefix, number), bytes, this.#put)) await this.finish(number, 'cancelled');
    this.#attempts.delete(nonce);
  }

  /**
   * Rule C2: whose turn it is, by two listings. Both begin after the ticket exists, since the caller knows its number.
   *
   * Tickets and markers count from the first listing, floors from the second: one reading of a directory may show a
   * ticket, miss its marker, which a sweep has just deleted, and miss the floor, which it had read past before the sweep
   * put it there. The second listing can't miss that floor. A floor of the first listing is as true, so it counts as
   * well. A sweep deletes tickets before markers, so a ticket whose marker was gone in the first listing is gone in the second, unless the
   * sweep's own listing had missed that ticket: to be misled by that takes two more sweeps within this one listing, twice.
   *
   * Waiting is always safe: a live ticket ahead in the first listing that blocks this one saves the second one.
   */
  async look(n: number, mode: LockMode = 'exclusive'): Promise<Look> {
    const first = await this.state();
    if (isOver(first, n)) return { kind: 'void', state: first };
    const blockers = await this.blockers(first, { mode, before: n });
    if (blockers.length > 0) return { kind: 'wait', blockers, state: first };

    const second = await this.state();
    if (isOver(second, n)) return { kind: 'void', state: second };
    return { kind: 'hold', state: second };
  }

  /** The live tickets that keep one of this mode at number `before` (default: a new one) from holding, ascending. */
  async blockers(state: QueueState, options: { mode: LockMode; before?: number }): Promise<number[]> {
    const { mode, before = Number.POSITIVE_INFINITY } = options;
    const live = liveTickets(state);
    const known = new Set(live);
    for (const n of this.#tickets.keys()) if (!known.has(n)) this.#tickets.delete(n);
    const ahead = live.filter((n) => n < before);
    if (mode === 'exclusive') return ahead;
    const exclusive: number[] = [];
    // One that is gone is over, which the next listing tells; until then it counts as it would if it were there.
    for (const n of ahead) if ((await this.read(n))?.mode !== 'shared') exclusive.push(n);
    return exclusive;
  }

  /**
   * Rule C3: release, cancel, steal, break. It can't hit another's ticket, since a number is never used twice. False if a
   * marker was there before.
   */
  async finish(n: number, reason: FinishReason): Promise<boolean> {
    return await this.#medium.putIfAbsent(doneName(this.prefix, n), this.#encodeMarker(reason), this.#put);
  }

  /** The k-th sign of life, k = 1, 2, ...: the next one is there before the last one goes. */
  async beat(n: number, k: number): Promise<void> {
    const content = Buffer.from(newNonce(this.#system), 'latin1');
    await this.#medium.putIfAbsent(beatName(this.prefix, n, k), content, LOCK_FILE);
    if (k > 1) await this.#medium.delete([beatName(this.prefix, n, k - 1)]);
  }

  /** The ticket with this number; undefined if it is gone, or can't be read (`decodeTicket`). */
  async read(n: number): Promise<Ticket | undefined> {
    const known = this.#tickets.get(n);
    if (known !== undefined) return known ?? undefined;
    const name = ticketName(this.prefix, n);
    const bytes = await this.#medium.get(name);
    if (bytes === undefined) return undefined;
    const ticket = decodeTicket(bytes, name);
    this.#tickets.set(n, ticket ?? null);
    return ticket;
  }

  /** False if the ticket is over. The marker is read first: where a sweep took it, the ticket went before. */
  async isStillMine(n: number, nonce: string): Promise<boolean> {
    if ((await this.#medium.get(doneName(this.prefix, n))) !== undefined) return false;
    const name = ticketName(this.prefix, n);
    const bytes = await this.#medium.get(name);
    if (bytes === undefined) return false;
    const ticket = decodeTicket(bytes, name);
    return ticket === undefined || ticket.nonce === nonce;
  }

  /**
   * Rule C4: raises the floor as far as markers go without a gap, then deletes what lies at or below it. The floor is
   * durable, unlike the rest: after a power cut that lost it, numbers might begin anew. Tickets go before markers (see
   * `look`). Of the floors, the highest *listed* one stays beside the new one, so that a listing that runs meanwhile
   * meets one of them.
   */
  async sweep(): Promise<void> {
    const state = await this.state();
    let floor = state.floor;
    while (state.done.has(floor + 1)) floor++;
    if (floor > state.floor) {
      await this.#medium.putIfAbsent(floorName(this.prefix, floor), Buffer.from(newNonce(this.#system), 'latin1'));
    } else {
      await this.#closeGap(state);
    }
    const early: string[] = [];
    const late: string[] = [];
    for (const { name, kind, number } of state.files) {
      if (kind === 'floor' ? number >= state.floor : number > floor) continue;
      (kind === 'ticket' || kind === 'beat' ? early : late).push(name);
    }
    if (early.length > 0) await this.#medium.delete(early);
    if (late.length > 0) await this.#medium.delete(late);
  }

  /**
   * A number between floor and a marker that has neither ticket nor marker was lost (a power cut, a person's `rm`), and
   * would keep the floor where it is for ever. It was listed once, or no higher number would exist; so nobody can take
   * it and hold, and to steal it is safe. The second listing makes sure that it did not come during the first one.
   */
  async #closeGap(state: QueueState): Promise<void> {
    const gap = state.floor + 1;
    if (state.done.size === 0 || state.tickets.includes(gap) || gap > Math.max(...state.done)) return;
    const again = await this.state();
    if (again.floor === state.floor && !again.tickets.includes(gap)) await this.finish(gap, 'stolen');
  }

  #encodeTicket(nonce: string, text: TicketText): Buffer {
    const { leaseMs, mode = 'exclusive', purpose = '' } = text;
    const createdAtMs = Math.floor(this.#system.wallNowMs());
    const ticket: Ticket = { nonce, holder: this.#facts.self, createdAtMs, leaseMs, mode, purpose };
    return encodeCheckedJson({ format: TICKET_FORMAT, ...ticket });
  }

  #encodeMarker(reason: FinishReason): Buffer {
    const marker: Marker = { nonce: newNonce(this.#system), by: this.#facts.self, reason };
    return encodeCheckedJson({ format: TICKET_FORMAT, ...marker });
  }
}

function highestNumber(state: QueueState): number {
  let highest = Math.max(state.floor, state.tickets.at(-1) ?? 0);
  for (const n of state.done) highest = Math.max(highest, n);
  return highest;
}

function isOver(state: QueueState, n: number): boolean {
  return n <= state.floor || state.done.has(n) || !state.tickets.includes(n);
}
