/**
 * A model of the queue of one lock (rules C1 to C5), as `src/lock/ticket-queue.ts` is built, with shared and exclusive
 * tickets. `explore.ts` visits every state that its clients, thieves, sweepers and power cuts can reach.
 *
 * What is in it:
 * - The files: tickets, markers, floors. A listing reads them group by group (`ListingOrder`), and anything may happen
 *   between two groups. What is true of an atomic listing only is not relied on.
 * - A client: lists, creates its ticket above every number it saw ("exists": the next number), looks by two listings,
 *   cancels, holds, installs its token where it will write, reads, writes, releases. A shared one reads twice and must see
 *   the same. A shared ticket reads the modes of the live tickets below it, one after the other, between its two listings.
 * - A steal puts the marker of any number, in time or far too late, whoever is behind it. So one kind of step stands for
 *   holders that died, that were suspended and go on, and that were judged wrongly.
 * - Sweepers have no state: what one that listed before may do is a step now, for what is true of a number's end is true for
 *   ever. What only a late one does has an option, `lateSweeps`. `closeGap` acts on what it did *not* list, and has a
 *   process of its own.
 * - A power cut ends all clients and takes any set of tickets and markers; floors are durable. What the resource remembers is
 *   forgotten with it: whose tokens are kept elsewhere must use durable tickets (`TicketQueueOptions`), to which a cut does nothing.
 *
 * What must hold: see `violation`, and: from every state all clients can still finish, and everything but a floor be swept away.
 *
 * A child process that acts under its parent's ticket (`inherited-lock.ts`) adds nothing to this. While the ticket is live, parent
 * and child are one holder to everybody else: the queue knows tickets, not processes, and order among themselves is theirs
 * to keep. Once it is over there are two cases. The parent died: its ticket is stolen, on the same host at once, while the child
 * still works. This is a steal from a holder that goes on, which is in the model anyway. Or the parent released while
 * the child works: `children` lets a client do that. In both the child learns of it only when it looks, may overlap the
 * next holder until then, and what it writes is refused by its token (C5): no write is lost. It can't take the ticket's
 * place either, since numbers are not used again.
 */
import type { Model } from './explore.ts';

export type Mode = 'exclusive' | 'shared';

/**
 * In which order a listing meets the files: all at once; all tickets (t), markers (d) and floors (f) at once each; each file by
 * itself, in byte order as a medium of objects lists them; or all tickets, all markers, and each floor, from the highest.
 */
export type ListingOrder = 'atomic' | 'tdf' | 'dtf' | 'ftd' | 'slots' | 'floorsDown';

export type TicketMutant =
  | 'oneListing'
  | 'ignoreFloor'
  | 'floorOverGap'
  | 'sweepPairs'
  | 'sweepHighest'
  | 'markersFirst'
  | 'noFence'
  | 'noToken'
  | 'sharedDoesNotFence'
  | 'lowestModeOnly'
  | 'unreadableIsShared'
  | 'exclusiveIgnoresShared'
  | 'sharedIgnoresWaiters'
  | 'gapAfterOneListing'
  | 'noDisown';

export interface TicketOptions {
  /** The mode of each client; clients of a mode are interchangeable, so fewer modes make fewer states. */
  readonly modes: readonly Mode[];
  /** How often each client wants the lock; default 1. */
  readonly rounds?: number;
  /** Numbers above this one are never reached within the bounds, or the model complains. */
  readonly numbersMax: number;
  readonly order: ListingOrder;
  readonly steals?: number;
  readonly cancels?: boolean;
  readonly cuts?: number;
  /** Sweepers put markers for lost numbers, by listings in this order. */
  readonly closesGaps?: ListingOrder;
  /**
   * Sweepers may be late: they put floors below the highest one, and delete markers while a ticket is there that they did
   * not list. Default: they are in time.
   */
  readonly lateSweeps?: boolean;
  /** Exclusive tickets may turn out to be unreadable. */
  readonly unreadable?: boolean;
  /** Holders may release while a child goes on to write. */
  readonly children?: boolean;
  /** So many creations fail, with their outcome unknown; `late`: and may take effect at any later time. */
  readonly failures?: number;
  readonly late?: boolean;
  /** How a failed creation is undone: found by its nonce in one listing, or by putting that number again and ending it. */
  readonly disown?: 'byNonce' | 'byNumber';
  /** A gone ticket's mode is skipped, instead of counting as exclusive. */
  readonly skipGone?: boolean;
  readonly mutant?: TicketMutant;
}

type Pc = 'idle' | 'scan' | 'create' | 'disown' | 'wait' | 'look' | 'modes' | 'again' | 'turn' | 'held' | 'child' | 'done';

/** A listing under way: its next group, and what it met (bits are numbers; `floor` is the highest one). */
interface Listing {
  readonly at: number;
  readonly tickets: number;
  readonly done: number;
  readonly floor: number;
}

interface Client extends Listing {
  readonly pc: Pc;
  readonly mode: Mode;
  /** Its ticket, or the number it will try. */
  readonly n: number;
  readonly round: number;
  /** 0 no, 1 yes, 2: and the look under way began after it. */
  readonly stolen: 0 | 1 | 2;
  /** The version of the resource that it read. */
  readonly version: number;
  /** Its failed creation took effect. */
  readonly created: boolean;
}

interface GapCloser extends Listing {
  /** The number that the first listing lacked; 0 during the first one. */
  readonly gap: number;
}

interface State {
  /** Sets of numbers, as bits. */
  readonly tickets: number;
  readonly done: number;
  readonly floors: number;
  /** Of tickets that exist: shared ones, unreadable ones, those of a failed creation, those of processes that a cut ended. */
  readonly shared: number;
  readonly unreadable: number;
  readonly failed: number;
  readonly orphans: number;
  /** Creations that may still take effect. */
  readonly pending: number;
  readonly clients: readonly Client[];
  readonly gapCloser: GapCloser;
  readonly stealsLeft: number;
  readonly cutsLeft: number;
  readonly failuresLeft: number;
  /** Numbers that have held. */
  readonly heldExclusive: number;
  readonly heldShared: number;
  /** The resource: the highest token installed, and how often it was written. */
  readonly token: number;
  readonly version: number;
  readonly wrong: string;
}

interface Group {
  readonly tickets: number;
  readonly done: number;
  readonly floors: number;
}

const NO_LISTING: Listing = { at: 0, tickets: 0, done: 0, floor: 0 };
const NO_GAP: GapCloser = { ...NO_LISTING, gap: 0 };

const bit = (n: number): number => 1 << n;
const has = (set: number, n: number): boolean => (set & bit(n)) !== 0;
const highest = (set: number): number => 31 - Math.clz32(set | 1);
const lowest = (set: number): number => 31 - Math.clz32(set & -set);
/** The numbers 1 to n. */
const upTo = (n: number): number => bit(n + 1) - 2;

function groupsOf(order: ListingOrder, numbersMax: number): readonly Group[] {
  const all = upTo(numbersMax);
  const nothing: Group = { tickets: 0, done: 0, floors: 0 };
  const kinds = { t: { ...nothing, tickets: all }, d: { ...nothing, done: all }, f: { ...nothing, floors: all } };
  if (order === 'atomic') return [{ tickets: all, done: all, floors: all }];
  if (order !== 'slots' && order !== 'floorsDown') return order.split('').map((kind) => kinds[kind as 't' | 'd' | 'f']);
  const numbers = Array.from({ length: numbersMax }, (_, i) => i + 1);
  const files = numbers.flatMap((n) => [
    { ...nothing, tickets: bit(n) },
    { ...nothing, done: bit(n) },
  ]);
  const floors = numbers.map((n) => ({ ...nothing, floors: bit(n) }));
  if (order === 'floorsDown') return [kinds.t, kinds.d, ...floors.reverse()];
  return [...files, ...floors];
}

export function ticketModel(name: string, options: TicketOptions): Model<State> {
  return new TicketModel(name, options);
}

class TicketModel implements Model<State> {
  readonly name: string;
  readonly initial: State;
  readonly #options: TicketOptions;
  readonly #mutant: TicketMutant | undefined;
  readonly #groups: readonly Group[];
  readonly #sweeperGroups: readonly Group[];

  constructor(name: string, options: TicketOptions) {
    this.name = name;
    this.#options = options;
    this.#mutant = options.mutant;
    this.#groups = groupsOf(options.order, options.numbersMax);
    this.#sweeperGroups = groupsOf(options.closesGaps ?? 'atomic', options.numbersMax);
    const { steals = 0, cuts = 0, failures = 0 } = options;
    this.initial = {
      tickets: 0,
      done: 0,
      floors: 0,
      shared: 0,
      unreadable: 0,
      failed: 0,
      orphans: 0,
      pending: 0,
      clients: options.modes.toSorted().map((mode) => idle(mode, 0)),
      gapCloser: NO_GAP,
      stealsLeft: steals,
      cutsLeft: cuts,
      failuresLeft: failures,
      heldExclusive: 0,
      heldShared: 0,
      token: 0,
      version: 0,
      wrong: '',
    };
  }

  violation(state: State): string | undefined {
    if (state.wrong !== '') return state.wrong;
    const holders = state.clients.filter((c) => (c.pc === 'turn' || c.pc === 'held') && c.stolen === 0);
    if (holders.length > 1 && holders.some((c) => c.mode === 'exclusive')) {
      return `holders overlap: ${holders.map((c) => `${c.mode} ${c.n}`).join(', ')}`;
    }
    return state.clients.some((c) => c.pc === 'create' && c.n > this.#options.numbersMax) ? 'numbersMax is too low' : undefined;
  }

  /** All clients are through, and nothing is left but floors. */
  finished(state: State): boolean {
    return state.tickets === 0 && state.done === 0 && state.clients.every((c) => c.pc === 'done');
  }

  steps(state: State, to: (label: string, next: State) => void): void {
    for (let i = 0; i < state.clients.length; i++) this.#clientSteps(new Turn(state, i, to), this.#nextRound(state.clients[i] as Client));
    this.#steals(state, to);
    this.#sweeps(state, to);
    this.#gapSteps(state, to);
    if (state.cutsLeft > 0) this.#cuts(state, to);
    for (let set = state.pending; set !== 0; set &= set - 1) {
      const n = lowest(set);
      const taken = has(state.tickets, n);
      const landed = taken ? state : { ...state, tickets: state.tickets | bit(n), failed: state.failed | bit(n) };
      to(`late creation of ${n}`, { ...landed, pending: state.pending & ~bit(n) });
    }
  }

  #nextRound(client: Client): Client {
    const { rounds = 1 } = this.#options;
    const round = client.round + 1;
    return round < rounds ? idle(client.mode, round) : { ...idle(client.mode, round), pc: 'done' };
  }

  #clientSteps(turn: Turn, nextRound: Client): void {
    const { state, client } = turn;
    const { n } = client;
    switch (client.pc) {
      case 'idle':
      case 'scan':
        this.#scan(turn);
        return;
      case 'create':
        this.#create(turn);
        return;
      case 'disown':
        this.#disown(turn);
        return;
      case 'wait':
        if (this.#options.cancels === true && client.stolen === 0) {
          turn.go(`cancels ${n}`, nextRound, { done: state.done | bit(n) });
        }
        this.#firstListing(turn, nextRound);
        return;
      case 'look':
        this.#firstListing(turn, nextRound);
        return;
      case 'modes':
        this.#readMode(turn);
        return;
      case 'again':
        this.#secondListing(turn, nextRound);
        return;
      case 'turn':
        this.#fence(turn, nextRound);
        return;
      case 'held':
        this.#writeAndRelease(turn, nextRound);
        return;
      case 'child':
        this.#childWrites(turn, nextRound);
        return;
      case 'done':
        return;
    }
  }

  /** C1: what matters of the listing is the highest number. */
  #scan(turn: Turn): void {
    const { state, client } = turn;
    const group = this.#groups[client.at] as Group;
    const met = (state.tickets & group.tickets) | (state.done & group.done) | (state.floors & group.floors);
    const n = Math.max(client.n, met === 0 ? 0 : highest(met));
    const at = client.at + 1;
    if (at < this.#groups.length) turn.go('lists', { ...client, pc: 'scan', n, at });
    else turn.go('lists', { ...client, pc: 'create', n: n + 1, at: 0 });
  }

  #create(turn: Turn): void {
    const { state, client } = turn;
    const { n } = client;
    if (n > this.#options.numbersMax) return;
    if (has(state.tickets, n)) {
      turn.go(`finds ${n} taken`, { ...client, n: n + 1 });
      return;
    }
    const tickets = state.tickets | bit(n);
    const shared = client.mode === 'shared' ? state.shared | bit(n) : state.shared & ~bit(n);
    const created = { tickets, shared, unreadable: state.unreadable & ~bit(n), failed: state.failed & ~bit(n) };
    turn.go(`creates ${n}`, { ...client, pc: 'wait' }, created);
    if (this.#options.unreadable === true && client.mode === 'exclusive') {
      turn.go(`creates ${n}, unreadable`, { ...client, pc: 'wait' }, { ...created, unreadable: created.unreadable | bit(n) });
    }
    if (state.failuresLeft === 0) return;
    const failuresLeft = state.failuresLeft - 1;
    const failing: Client = this.#mutant === 'noDisown' ? idle(client.mode, client.round) : { ...client, pc: 'disown' };
    turn.go(`fails to create ${n}`, failing, { failuresLeft });
    const failed = created.failed | bit(n);
    turn.go(`creates ${n}, and does not know`, { ...failing, created: failing.pc === 'disown' }, { ...created, failed, failuresLeft });
    if (this.#options.late === true) turn.go(`fails to create ${n} yet`, failing, { pending: state.pending | bit(n), failuresLeft });
  }

  #disown(turn: Turn): void {
    const { state, client } = turn;
    const { n } = client;
    const again = idle(client.mode, client.round);
    if (this.#options.disown === 'byNumber') {
      if (has(state.tickets, n) && !has(state.failed, n)) {
        turn.go(`finds ${n} another's`, again);
        return;
      }
      const tickets = state.tickets | bit(n);
      turn.go(`creates ${n} again and ends it`, again, { tickets, done: state.done | bit(n), pending: state.pending & ~bit(n) });
      return;
    }
    const listing = this.#list(state, client);
    if (listing.at < this.#groups.length) {
      turn.go('lists for its nonce', { ...client, ...listing });
      return;
    }
    const isLive = has(liveOf(listing), n) && has(state.failed, n);
    turn.go(isLive ? `ends ${n}` : 'finds nothing', again, isLive ? { done: state.done | bit(n) } : {});
  }

  /** C2, the first listing: void, wait, or go on. */
  #firstListing(turn: Turn, nextRound: Client): void {
    const { state, client } = turn;
    const { n } = client;
    const stolen = client.pc === 'wait' && client.stolen === 1 ? 2 : client.stolen;
    const listing = this.#list(state, client);
    const looking: Client = { ...client, pc: 'look', stolen, ...listing };
    if (listing.at < this.#groups.length) {
      turn.go('looks', looking);
      return;
    }
    if (isOver(listing, n)) {
      turn.go(`finds ${n} void`, stolen ? nextRound : idle(client.mode, client.round));
      return;
    }
    const ahead = liveOf(listing) & upTo(n - 1);
    const waiting: Client = { ...client, pc: 'wait', stolen, ...NO_LISTING };
    if (client.mode === 'shared' && ahead !== 0) {
      turn.go('looks', { ...waiting, pc: 'modes', tickets: this.#modesToRead(state, ahead) });
      return;
    }
    if (ahead !== 0 && !(this.#mutant === 'exclusiveIgnoresShared' && (ahead & ~state.shared) === 0)) {
      turn.go('waits', waiting);
      return;
    }
    if (this.#mutant === 'oneListing') {
      this.#hold(turn, stolen);
      return;
    }
    turn.go('looks', { ...waiting, pc: 'again' });
  }

  #modesToRead(state: State, ahead: number): number {
    if (this.#mutant === 'lowestModeOnly') return ahead & -ahead;
    // Looks for holders among the tickets ahead, and not for those that wait for one.
    if (this.#mutant === 'sharedIgnoresWaiters') return has(state.shared, lowest(ahead)) ? ahead & state.shared : ahead & -ahead;
    return ahead;
  }

  #readMode(turn: Turn): void {
    const { state, client } = turn;
    const m = lowest(client.tickets);
    const isThere = has(state.tickets, m);
    let isShared = isThere && has(state.shared, m) && !has(state.unreadable, m);
    if (!isThere) isShared = this.#options.skipGone === true;
    if (isThere && has(state.unreadable, m)) isShared = this.#mutant === 'unreadableIsShared';
    if (!isShared) {
      turn.go(`waits for ${m}`, { ...client, pc: 'wait', ...NO_LISTING });
      return;
    }
    const tickets = client.tickets & ~bit(m);
    if (tickets !== 0) turn.go(`reads ${m}`, { ...client, tickets });
    else turn.go(`reads ${m}`, { ...client, pc: 'again', ...NO_LISTING });
  }

  /** C2, the second listing: only whether the ticket itself is over counts. */
  #secondListing(turn: Turn, nextRound: Client): void {
    const { state, client } = turn;
    const { n } = client;
    const listing = this.#list(state, client);
    if (listing.at < this.#groups.length) {
      turn.go('looks again', { ...client, ...listing });
      return;
    }
    if (isOver(listing, n)) {
      turn.go(`finds ${n} void`, client.stolen ? nextRound : idle(client.mode, client.round));
      return;
    }
    this.#hold(turn, client.stolen);
  }

  #hold(turn: Turn, stolen: Client['stolen']): void {
    const { state, client } = turn;
    const { n, mode } = client;
    const held = state.heldExclusive | state.heldShared;
    let wrong = '';
    if (stolen === 2) wrong = `ticket ${n} held although the look began after it was stolen`;
    if (stolen === 0 && has(held, n)) wrong = `number ${n} held twice`;
    if (stolen === 0 && n < highest(mode === 'exclusive' ? held : state.heldExclusive)) {
      wrong = `${mode} ticket ${n} became holder after a conflicting higher one`;
    }
    const change = mode === 'exclusive' ? { heldExclusive: state.heldExclusive | bit(n) } : { heldShared: state.heldShared | bit(n) };
    turn.go(`HOLDS ${n}`, { ...client, pc: 'turn', stolen, ...NO_LISTING }, { ...change, wrong });
  }

  /** C5: a holder first installs its token, then reads. Of shared holders any number may be in, so a lower token is none. */
  #fence(turn: Turn, nextRound: Client): void {
    const { state, client } = turn;
    const { n } = client;
    const held: Client = { ...client, pc: 'held', version: state.version };
    if (client.mode === 'shared') {
      const token = this.#mutant === 'sharedDoesNotFence' ? state.token : Math.max(n, state.token);
      turn.go('installs its token and reads', held, { token });
      return;
    }
    if (this.#mutant === 'noFence') {
      turn.go('reads', held);
      return;
    }
    if (n < state.token) {
      turn.go('is refused and releases', nextRound, { done: state.done | bit(n) });
      return;
    }
    turn.go('installs its token and reads', held, { token: n });
  }

  #writeAndRelease(turn: Turn, nextRound: Client): void {
    const { state, client } = turn;
    const { n } = client;
    const done = state.done | bit(n);
    if (client.mode === 'shared') {
      const isChanged = client.stolen === 0 && client.version !== state.version;
      const wrong = isChanged ? `what shared ticket ${n} read was changed while it held` : '';
      turn.go('reads again and releases', nextRound, { done, wrong });
      return;
    }
    turn.go('writes and releases', nextRound, { done, ...this.#write(state, client) });
    if (this.#options.children === true) turn.go('releases while its child goes on', { ...client, pc: 'child' }, { done });
  }

  #childWrites(turn: Turn, nextRound: Client): void {
    turn.go('child writes', nextRound, this.#write(turn.state, turn.client));
  }

  #write(state: State, client: Client): Partial<State> {
    const { n } = client;
    if (n < state.token && this.#mutant !== 'noToken') return {};
    if (client.version !== state.version) return { wrong: `ticket ${n} overwrote what it had not read` };
    return { token: Math.max(n, state.token), version: state.version + 1 };
  }

  /** One more group of a listing by the owner of a ticket. Higher numbers are not kept: nothing depends on them. */
  #list(state: State, client: Client): Listing {
    const { at, tickets, done, floor } = this.#listGroup(state, client, this.#groups);
    return { at, tickets: tickets & upTo(client.n), done: done & upTo(client.n), floor };
  }

  #listGroup(state: State, seen: Listing, groups: readonly Group[]): Listing {
    const group = groups[seen.at] as Group;
    const floors = this.#mutant === 'ignoreFloor' ? 0 : state.floors & group.floors;
    return {
      at: seen.at + 1,
      tickets: seen.tickets | (state.tickets & group.tickets),
      done: seen.done | (state.done & group.done),
      floor: Math.max(seen.floor, highest(floors)),
    };
  }

  /** Any number that ever was may be ended by a thief, in time or late. Of dead owners' tickets that goes for nothing. */
  #steals(state: State, to: (label: string, next: State) => void): void {
    const top = highest(state.tickets | state.done | state.floors);
    for (let n = 1; n <= top; n++) {
      if (has(state.done, n)) continue;
      const isOrphan = has(state.orphans & state.tickets, n) && n > highest(state.floors);
      if (!isOrphan && state.stealsLeft === 0) continue;
      const clients = state.clients.map((c) => (c.n === n && c.stolen === 0 && hasTicket(c) ? { ...c, stolen: 1 as const } : c));
      const stealsLeft = isOrphan ? state.stealsLeft : state.stealsLeft - 1;
      to(`steal of ${n}`, { ...state, done: state.done | bit(n), clients: sorted(clients), stealsLeft });
    }
  }

  /** C4. */
  #sweeps(state: State, to: (label: string, next: State) => void): void {
    const { tickets, done, floors } = state;
    const floor = highest(floors);
    if (this.#mutant === 'sweepPairs' || this.#mutant === 'sweepHighest') {
      this.#sweepPairs(state, to);
      return;
    }
    const isLate = this.#options.lateSweeps === true;
    for (let m = isLate ? 1 : floor + 1; m <= floor || has(done, m); m++) {
      if (!has(floors, m)) to(`floor ${m}`, { ...state, floors: floors | bit(m) });
    }
    if (this.#mutant === 'floorOverGap' && done !== 0 && highest(done) > floor) {
      to(`floor ${highest(done)}`, { ...state, floors: floors | bit(highest(done)) });
    }
    const below = upTo(floor);
    for (let set = floors & ~bit(floor) & below; set !== 0; set &= set - 1) {
      to(`delete floor ${lowest(set)}`, { ...state, floors: floors & ~bit(lowest(set)) });
    }
    for (let n = 1; n <= floor; n++) {
      const ticketMayGo = this.#mutant !== 'markersFirst' || !has(done, n);
      const markerMayGo = this.#mutant === 'markersFirst' || isLate || !has(tickets, n);
      if (has(tickets, n) && ticketMayGo) to(`delete ticket ${n}`, this.#withoutTicket(state, n));
      if (has(done, n) && markerMayGo) to(`delete marker ${n}`, { ...state, done: done & ~bit(n) });
    }
  }

  #withoutTicket(state: State, n: number): State {
    const not = ~bit(n);
    return {
      ...state,
      tickets: state.tickets & not,
      shared: state.shared & not,
      unreadable: state.unreadable & not,
      failed: state.failed & not,
      orphans: state.orphans & not,
    };
  }

  /** As rule C4 was proposed at first: no floors; a ticket and its marker may go once a higher ticket is there. */
  #sweepPairs(state: State, to: (label: string, next: State) => void): void {
    const { tickets, done } = state;
    for (let n = 1; n <= this.#options.numbersMax; n++) {
      if (!has(done, n) || (n >= highest(tickets) && this.#mutant !== 'sweepHighest')) continue;
      if (has(tickets, n)) to(`delete ticket ${n}`, this.#withoutTicket(state, n));
      else to(`delete marker ${n}`, { ...state, done: done & ~bit(n) });
    }
  }

  /** `TicketQueue.#closeGap`; it matters only where a ticket may be lost. */
  #gapSteps(state: State, to: (label: string, next: State) => void): void {
    if (this.#options.closesGaps === undefined) return;
    const closer = state.gapCloser;
    const listing = this.#listGroup(state, closer, this.#sweeperGroups);
    const next = (label: string, gapCloser: GapCloser, change: Partial<State> = {}): void =>
      to(`sweeper ${label}`, { ...state, ...change, gapCloser });
    if (listing.at < this.#sweeperGroups.length) {
      next('lists', { ...closer, ...listing });
      return;
    }
    if (closer.gap === 0) {
      const gap = listing.floor + 1;
      const isGap = !has(listing.tickets | listing.done, gap) && listing.done !== 0 && gap < highest(listing.done);
      if (!isGap) {
        next('lists', NO_GAP);
        return;
      }
      if (this.#mutant === 'gapAfterOneListing') {
        next(`ends ${gap}`, NO_GAP, { done: state.done | bit(gap) });
        return;
      }
      next('finds a gap', { ...NO_GAP, gap });
      return;
    }
    const isGap = listing.floor === closer.gap - 1 && !has(listing.tickets, closer.gap);
    next(isGap ? `ends ${closer.gap}` : 'finds none', NO_GAP, isGap ? { done: state.done | bit(closer.gap) } : {});
  }

  #cuts(state: State, to: (label: string, next: State) => void): void {
    const clients = state.clients.map((c) => (c.pc === 'done' ? c : idle(c.mode, c.round)));
    const files = [
      ...bits(state.tickets).map((n) => ({ n, kind: 'tickets' }) as const),
      ...bits(state.done).map((n) => ({ n, kind: 'done' }) as const),
    ];
    for (let choice = 0; choice < bit(files.length); choice++) {
      let after: State = { ...state, clients, cutsLeft: state.cutsLeft - 1, gapCloser: NO_GAP, pending: 0 };
      after = { ...after, token: 0, heldExclusive: 0, heldShared: 0 };
      files.forEach(({ n, kind }, i) => {
        if (!has(choice, i)) return;
        after = kind === 'tickets' ? this.#withoutTicket(after, n) : { ...after, done: after.done & ~bit(n) };
      });
      to('power cut', { ...after, orphans: after.tickets });
    }
  }
}

/** One client's next step in a state. */
class Turn {
  readonly state: State;
  readonly client: Client;
  readonly #index: number;
  readonly #to: (label: string, next: State) => void;

  constructor(state: State, index: number, to: (label: string, next: State) => void) {
    this.state = state;
    this.client = state.clients[index] as Client;
    this.#index = index;
    this.#to = to;
  }

  go(label: string, client: Client, change: Partial<State> = {}): void {
    const clients = sorted(this.state.clients.with(this.#index, client));
    this.#to(`${this.client.mode[0]}${this.#index} ${label}`, { ...this.state, ...change, clients });
  }
}

function idle(mode: Mode, round: number): Client {
  return { pc: 'idle', mode, n: 0, round, stolen: 0, ...NO_LISTING, version: 0, created: false };
}

function hasTicket(client: Client): boolean {
  return ['wait', 'look', 'modes', 'again', 'turn', 'held'].includes(client.pc);
}

function liveOf(listing: Listing): number {
  return listing.tickets & ~listing.done & ~upTo(listing.floor);
}

function isOver(listing: Listing, n: number): boolean {
  return !has(liveOf(listing), n);
}

function bits(set: number): number[] {
  const numbers: number[] = [];
  for (let rest = set; rest !== 0; rest &= rest - 1) numbers.push(lowest(rest));
  return numbers;
}

/** Clients of one mode are interchangeable: their order is made the same, so that states that differ only in it are one. */
function sorted(clients: readonly Client[]): readonly Client[] {
  return clients.toSorted(compareClients);
}

function compareClients(a: Client, b: Client): number {
  if (a.mode !== b.mode) return a.mode < b.mode ? -1 : 1;
  if (a.pc !== b.pc) return a.pc < b.pc ? -1 : 1;
  return (
    a.n - b.n ||
    a.round - b.round ||
    a.stolen - b.stolen ||
    a.at - b.at ||
    a.tickets - b.tickets ||
    a.done - b.done ||
    a.floor - b.floor ||
    a.version - b.version ||
    Number(a.created) - Number(b.created)
  );
}
