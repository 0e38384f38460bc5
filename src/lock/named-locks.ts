/**
 * The locks that callers name, for work of their own that takes long, and the structural lock, which excludes them all (rule C6).
 *
 * What always holds:
 * - A named lock is handed out only when its ticket's turn has come *and*, after that, the structural lock had no live ticket.
 * - Several names are taken in the order of their bytes, so that two callers never wait for each other; all of them, or none.
 * - Whatever ends a request (its time, its signal, the medium, the store's closing, a signal to the process) gives back everything that it took.
 *
 * Who holds a named lock and asks for another one can wait in vain: for a structural locker, which waits for the first. `locks` exists for that.
 *
 * Tickets are durable: their numbers are handed out as fencing tokens, and must not begin anew after a power cut.
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import { show } from '../base/key.ts';
import { type System, TIMER_MS_MAX } from '../base/system.ts';
import { lockKindPrefix, lockPrefix } from '../format/layout.ts';
import type { Medium } from '../medium/medium.ts';
import { callSite } from './call-site.ts';
import { decodeSharedTickets, type Environment, InheritedLock, LOCKS_VARIABLE, type SharedTicket } from './inherited-lock.ts';
import { LOCK_SITES, type LockMode, type LockSite } from './lock-sites.ts';
import type { LockTracer } from './lock-tracer.ts';
import { giveBack, HeldNamedLock, type HeldPart, type NamedLockOptions, type StructuralLockOptions } from './named-lock.ts';
import { OpenRequest } from './open-request.ts';
import { OwedMarkers } from './owed-markers.ts';
import { Patience } from './patience.ts';
import type { ProcessFacts } from './process-facts.ts';
import type { SignalRelease } from './signal-release.ts';
import { STRUCTURAL_NAME, STRUCTURAL_PREFIX, StructuralLock } from './structural-lock.ts';
import { checkMaxWaitMs, TicketLock } from './ticket-lock.ts';
import { TicketQueue } from './ticket-queue.ts';

export interface NamedLocksContext {
  /** Where lock files are. */
  readonly medium: Medium;
  readonly system: System;
  readonly facts: ProcessFacts;
  readonly storeId: string;
  readonly environment: Environment;
  readonly signals: SignalRelease;
  readonly tracer?: LockTracer | undefined;
  /** Default: of its own. */
  readonly owed?: OwedMarkers | undefined;
}

/** A call from outside: its options, and the stack below it. */
export interface Asked<Options> {
  readonly options: Options;
  readonly called: { readonly stack?: unknown };
}

/** A request under way. */
interface Request {
  readonly site: LockSite;
  readonly mode: LockMode;
  readonly leaseMs: number;
  readonly purpose: string;
  readonly callSite: string;
  readonly patience: Patience;
}

interface Wanted {
  readonly names: readonly string[];
  readonly site: LockSite;
  readonly take: (request: Request) => Promise<HeldPart[]>;
}

const ENCODED_NAME_BYTES_MAX = 255;
const LOCKS_KEPT = 1000;

export class NamedLocks {
  readonly #context: NamedLocksContext;
  readonly #structural: StructuralLock;
  /** The latest ones, by prefix: what one has seen of a silent holder on another host counts the next time. */
  readonly #locks = new Map<string, TicketLock>();
  readonly #inherited: readonly SharedTicket[];
  readonly #open = new Set<OpenRequest>();
  readonly #owed: OwedMarkers;
  readonly #held = new Set<HeldNamedLock>();
  #isClosed = false;

  constructor(context: NamedLocksContext) {
    this.#context = context;
    this.#structural = new StructuralLock(context);
    this.#owed = context.owed ?? new OwedMarkers(context.system);
    this.#inherited = decodeSharedTickets(context.environment).filter(({ storeId }) => storeId === context.storeId);
  }

  /** See `Store.lock`. */
  async lock(name: string, asked: Asked<NamedLockOptions>): Promise<HeldNamedLock> {
    const names = [checkLockName(name)];
    return await this.#request({ names, site: LOCK_SITES.namedLock, take: (request) => this.#takeNamed(names, request) }, asked);
  }

  /** See `Store.locks`. */
  async locks(names: readonly string[], asked: Asked<NamedLockOptions>): Promise<HeldNamedLock> {
    const sorted = checkLockNames(names);
    return await this.#request({ names: sorted, site: LOCK_SITES.namedLocks, take: (request) => this.#takeNamed(sorted, request) }, asked);
  }

  /** See `Store.exclusive`. */
  async exclusive(asked: Asked<StructuralLockOptions>): Promise<HeldNamedLock> {
    if ('mode' in asked.options) throw new TypeError(`exclusive has no option "mode", got ${show(asked.options)}`);
    return await this.#request({ names: [], site: LOCK_SITES.structuralLock, take: (request) => this.#takeStructural(request) }, asked);
  }

  /**
   * Gives up what is waited for, and gives back what is held; the holders' signals tell them. Idempotent.
   *
   * @throws PeatError `STORAGE` if a ticket of this process could not be ended, now or before, and for some seconds more. Once the medium is closed
   * nobody tries any more, and others wait for that ticket for as long as this process lives: the error says whose it is, and how to end it.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const why = 'the store was closed';
    for (const one of this.#open) one.tell(why);
    await Promise.all([...this.#open].map((one) => one.giveBack(why)));
    await this.#owed.close();
  }

  async #request(wanted: Wanted, asked: Asked<NamedLockOptions>): Promise<HeldNamedLock> {
    if (this.#isClosed) throw new PeatError('CLOSED', 'the store is closed');
    const { options } = asked;
    checkOptions(options);
    options.signal?.throwIfAborted();
    const open = new OpenRequest(async () => await this.#context.tracer?.flush());
    const site = callSite(asked.called);
    const patience = new Patience({
      system: this.#context.system,
      maxWaitMs: options.maxWaitMs ?? 60_000,
      signal: options.signal === undefined ? open.signal : AbortSignal.any([options.signal, open.signal]),
      wake: options.wake,
    });
    const leave = this.#context.signals.add(open);
    this.#open.add(open);
    const forget = (): void => {
      leave();
      this.#open.delete(open);
    };
    try {
      const lock = await open.outcome(
        this.#take(wanted, {
          site: wanted.site,
          mode: options.mode ?? 'exclusive',
          leaseMs: options.leaseMs ?? 15_000,
          purpose: options.purpose ?? site,
          callSite: site,
          patience,
        }),
      );
      lock.whenReleased(forget);
      return lock;
    } catch (error) {
      forget();
      throw this.#explain(error, patience);
    }
  }

  async #take({ names, take }: Wanted, request: Request): Promise<HeldNamedLock> {
    const parts = await take(request);
    const { mode, purpose } = request;
    const { storeId, environment } = this.#context;
    const lock = new HeldNamedLock({ names, mode, parts, storeId, inherited: environment[LOCKS_VARIABLE], purpose });
    this.#held.add(lock);
    lock.whenReleased(() => this.#held.delete(lock));
    return lock;
  }

  /** Rule C6, from the side of the named locker. */
  async #takeNamed(names: readonly string[], request: Request): Promise<HeldPart[]> {
    for (;;) {
      const parts = await this.#takeAll(names, request);
      const own = parts.filter(({ isInherited }) => !isInherited);
      if (own.length === 0) return parts;
      let mustYield: boolean;
      try {
        mustYield = await this.#structural.isWanted();
      } catch (error) {
        throw withFailures(error, await giveBack(parts));
      }
      // One that was lost meanwhile (this process was suspended for long) need not be handed out.
      if (!mustYield && !parts.some(({ ticket }) => ticket.signal.aborted)) return parts;
      const failures = await giveBack(parts);
      if (failures.length > 0) throw withFailures(failures[0], failures.slice(1));
      await this.#structural.awaitNobody(request.patience);
    }
  }

  /** In the order given, all or nothing. */
  async #takeAll(names: readonly string[], request: Request): Promise<HeldPart[]> {
    const parts: HeldPart[] = [];
    try {
      for (const name of names) {
        const prefix = lockPrefix('user', name);
        parts.push((await this.#inherit(prefix, name, request)) ?? (await this.#takeTicket(prefix, name, request)));
      }
      return parts;
    } catch (error) {
      throw withFailures(error, await giveBack(parts));
    }
  }

  /** Rule C6, from the side of the structural locker. */
  async #takeStructural(request: Request): Promise<HeldPart[]> {
    for (;;) {
      const inherited = await this.#inherit(STRUCTURAL_PREFIX, STRUCTURAL_NAME, request);
      if (inherited !== undefined) return [inherited];
      const part = await this.#takeTicket(STRUCTURAL_PREFIX, STRUCTURAL_NAME, request);
      const { signal } = part.ticket;
      try {
        await this.#structural.awaitNamed(request.patience, AbortSignal.any([request.patience.signal, signal]));
        if (!signal.aborted) return [part];
      } catch (error) {
        const failures = await giveBack([part]);
        // The place in the queue was lost while it waited: it takes a new one.
        if (!signal.aborted || error !== signal.reason || failures.length > 0) throw withFailures(error, failures);
      }
      await part.ticket.release();
    }
  }

  async #takeTicket(prefix: string, name: string, request: Request): Promise<HeldPart> {
    const { site, mode, leaseMs, purpose, patience } = request;
    const { maxWaitMs, wake } = patience.left();
    const ticket = await this.#ticketLock(prefix, name).acquire({
      site,
      mode,
      leaseMs,
      purpose,
      callSite: request.callSite,
      maxWaitMs,
      signal: patience.signal,
      ...(wake === undefined ? {} : { wake }),
    });
    return { name, prefix, ticket, isInherited: false };
  }

  /** What a parent process holds, and has handed to this one. */
  async #inherit(prefix: string, name: string, request: Request): Promise<HeldPart | undefined> {
    for (const shared of this.#inherited) {
      if (shared.prefix !== prefix) continue;
      const { system, facts } = this.#context;
      const queue = new TicketQueue({ ...this.#context, prefix });
      const ticket = await InheritedLock.find({ queue, system, facts, lockName: name }, shared, request.mode);
      if (ticket !== undefined) return { name, prefix, ticket, isInherited: true };
    }
    return undefined;
  }

  #ticketLock(prefix: string, name: string): TicketLock {
    const lock = this.#locks.get(prefix) ?? new TicketLock({ ...this.#context, prefix, name, durable: true, owed: this.#owed });
    // The one used longest ago goes first. If it is in use, a second one beside it does no harm.
    this.#locks.delete(prefix);
    this.#locks.set(prefix, lock);
    for (const oldest of this.#locks.keys()) {
      if (this.#locks.size <= LOCKS_KEPT) break;
      this.#locks.delete(oldest);
    }
    return lock;
  }

  /** A timeout tells how long the whole request has waited, and if it may have been in its own way. */
  #explain(error: unknown, patience: Patience): unknown {
    if (!isPeatError(error, 'LOCK_TIMEOUT')) return error;
    const { lock = '', holder = '', cause } = error;
    const waitedMs = Math.round(patience.waitedMs);
    const message = `lock ${lock} was not free within ${waitedMs} ms: held by ${holder}${this.#ownPart(lock)}`;
    return new PeatError('LOCK_TIMEOUT', message, { lock, holder, waitedMs, ...(cause === undefined ? {} : { cause }) });
  }

  #ownPart(lock: string): string {
    const held = [...this.#held].filter(({ names }) => names.length > 0);
    if (lock !== STRUCTURAL_NAME || held.length === 0) return '';
    const texts = held.map(({ names, purpose }) => `${names.join(', ')} (${purpose})`);
    return `, which may itself wait for what this process holds meanwhile: ${texts.join('; ')}`;
  }
}

/** @throws TypeError, RangeError that show the name. */
export function checkLockName(name: unknown): string {
  if (typeof name !== 'string') throw new TypeError(`a lock's name must be a string, got ${show(name)}`);
  if (name === '') throw new RangeError('a lock\'s name must not be empty, got ""');
  if (!name.isWellFormed()) throw new RangeError(`a lock's name must be well-formed Unicode, got ${show(name)}`);
  const bytes = lockPrefix('user', name).length - lockKindPrefix('user').length - 1;
  if (bytes > ENCODED_NAME_BYTES_MAX) {
    throw new RangeError(
      `a lock's name may have ${ENCODED_NAME_BYTES_MAX} bytes (3 for each that is no letter, digit, "_" or "-"), got ${bytes}: ${show(name)}`,
    );
  }
  return name;
}

/** In the order of their bytes, which is the same in every process. */
function checkLockNames(names: readonly string[]): string[] {
  if (!Array.isArray(names)) throw new TypeError(`the names of locks must be an array, got ${show(names)}`);
  if (names.length === 0) throw new RangeError('locks needs at least one name, got []');
  const sorted = names.map(checkLockName).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const twice = sorted.find((name, i) => name === sorted[i - 1]);
  if (twice !== undefined) throw new RangeError(`a lock can be asked for once, got ${show(twice)} more often: ${show(names)}`);
  return sorted;
}

const OPTIONS: ReadonlySet<string> = new Set<keyof NamedLockOptions>(['mode', 'maxWaitMs', 'leaseMs', 'signal', 'purpose', 'wake']);

function checkOptions(options: NamedLockOptions): void {
  for (const name of Object.keys(options)) if (!OPTIONS.has(name)) throw new TypeError(`a lock has no option ${show(name)}`);
  const { mode, maxWaitMs, leaseMs, purpose } = options;
  if (mode !== undefined && mode !== 'exclusive' && mode !== 'shared') {
    throw new RangeError(`mode must be "exclusive" or "shared", got ${show(mode)}`);
  }
  checkMaxWaitMs(maxWaitMs);
  if (leaseMs !== undefined && !(leaseMs >= LEASE_MS_MIN && leaseMs <= TIMER_MS_MAX)) {
    throw new RangeError(`leaseMs must be from ${LEASE_MS_MIN} to ${TIMER_MS_MAX}, got ${show(leaseMs)}`);
  }
  if (purpose !== undefined && typeof purpose !== 'string') throw new TypeError(`purpose must be a string, got ${show(purpose)}`);
}

/** Signs of life come three a lease; with less than this a busy machine would lose its locks. */
const LEASE_MS_MIN = 100;

/** What could not be given back is told with what went wrong, and never hides it. */
function withFailures(error: unknown, failures: readonly unknown[]): unknown {
  if (failures.length === 0) return error;
  const cause = new AggregateError(
    [error, ...failures],
    `${failures.length} locks could not be given back at once: ${String(failures[0])}`,
  );
  if (!isPeatError(error)) return cause;
  const { code, message, file, lock, holder, waitedMs } = error;
  const facts = Object.fromEntries(Object.entries({ file, lock, holder, waitedMs }).filter(([, value]) => value !== undefined));
  return new PeatError(code, `${message}; ${cause.message}`, { ...facts, cause });
}
