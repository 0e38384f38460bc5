/**
 * A lock that a parent process holds, and its children work under. The parent hands over, in the variable `PEAT_LOCKS` of the child's
 * environment, which ticket it holds and the ticket's nonce; the child finds the ticket, and needs none of its own.
 *
 * The ticket stays the parent's: it alone shows signs of life, and gives back. The child looks at the ticket from time to time, and knows
 * that the lock is lost once the ticket is over, its holder has ended (then others take the lock at once), or it could
 * not look for a whole lease.
 *
 *     PEAT_LOCKS  := entry (" " entry)*        a child hands on what it was handed itself
 *     entry       := <store id>:<prefix of the lock>:<token>:<nonce>
 */
import { PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { ProcessFacts } from './process-facts.ts';
import type { Ticket } from './ticket.ts';
import type { TicketQueue } from './ticket-queue.ts';

export const LOCKS_VARIABLE = 'PEAT_LOCKS';

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Names a ticket that its holder shares with its children. */
export interface SharedTicket {
  readonly storeId: string;
  readonly prefix: string;
  readonly token: number;
  readonly nonce: string;
}

const ENTRY = /^([^:\s]+):(lock\/[^:\s]+\/):(\d{1,15}):([0-9a-v]+)$/;

function entries(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((entry) => entry !== '');
}

/**
 * The variable for a child. What was inherited stays as it is, that of other stores and of later releases, too; but where this process took a
 * ticket of its own, whatever it had inherited of that lock is over.
 */
export function handOn(inherited: string | undefined, own: readonly (SharedTicket & { readonly isInherited: boolean })[]): string {
  const replaced = own.filter(({ isInherited }) => !isInherited).map(({ storeId, prefix }) => `${storeId}:${prefix}:`);
  const kept = entries(inherited).filter((entry) => !replaced.some((start) => entry.startsWith(start)));
  const added = own.map(({ storeId, prefix, token, nonce }) => `${storeId}:${prefix}:${token}:${nonce}`);
  return [...new Set([...kept, ...added])].join(' ');
}

/** What is not an entry is passed over: the variable may come from a later release. */
export function decodeSharedTickets(environment: Environment): SharedTicket[] {
  const tickets: SharedTicket[] = [];
  for (const entry of entries(environment[LOCKS_VARIABLE])) {
    const match = ENTRY.exec(entry);
    if (match === null) continue;
    const [, storeId, prefix, token, nonce] = match as unknown as [string, string, string, string, string];
    tickets.push({ storeId, prefix, token: Number(token), nonce });
  }
  return tickets;
}

export interface InheritedLockContext {
  readonly queue: TicketQueue;
  readonly system: System;
  readonly facts: ProcessFacts;
  /** For errors. */
  readonly lockName: string;
}

const LOOK_MS_MAX = 1000;

export class InheritedLock {
  readonly token: number;
  readonly nonce: string;
  /** Nothing is given back, so nothing can fail. */
  readonly releaseFailure: undefined = undefined;
  readonly #context: InheritedLockContext;
  readonly #ticket: Ticket;
  readonly #lost = new AbortController();
  readonly #stopped = new AbortController();

  private constructor(context: InheritedLockContext, token: number, ticket: Ticket) {
    this.#context = context;
    this.token = token;
    this.nonce = ticket.nonce;
    this.#ticket = ticket;
  }

  /** Undefined if the ticket is over, or does not stand for as much as `mode`. */
  static async find(context: InheritedLockContext, shared: SharedTicket, mode: 'exclusive' | 'shared'): Promise<InheritedLock | undefined> {
    const begunAtMs = context.system.monotonicNowMs();
    const ticket = await context.queue.read(shared.token);
    if (ticket === undefined || ticket.nonce !== shared.nonce) return undefined;
    if (mode === 'exclusive' && ticket.mode !== 'exclusive') return undefined;
    const lock = new InheritedLock(context, shared.token, ticket);
    if ((await lock.#whyLost()) !== undefined) return undefined;
    void lock.#watch(begunAtMs);
    return lock;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  run<T>(work: () => T): T {
    return work();
  }

  /** Ends the looking, and nothing else. Idempotent. */
  async release(): Promise<void> {
    this.#stopped.abort();
  }

  async #whyLost(): Promise<string | undefined> {
    const { queue, facts } = this.#context;
    if (!(await queue.isStillMine(this.token, this.nonce))) return 'the process that it was inherited from has it no more';
    return facts.stateOf(this.#ticket.holder) === 'dead' ? 'the process that it was inherited from has ended' : undefined;
  }

  async #watch(begunAtMs: number): Promise<void> {
    const { system } = this.#context;
    const { leaseMs } = this.#ticket;
    const { signal } = this.#stopped;
    let lastGoodMs = begunAtMs;
    for (;;) {
      try {
        await system.sleep(Math.min(leaseMs / 6, LOOK_MS_MAX), { signal, background: true });
      } catch {
        return;
      }
      const lookedAtMs = system.monotonicNowMs();
      try {
        const why = await this.#whyLost();
        if (why !== undefined) return this.#lose(why);
        lastGoodMs = lookedAtMs;
      } catch {
        if (system.monotonicNowMs() - lastGoodMs >= leaseMs) return this.#lose(`it could not be looked at for ${leaseMs} ms`);
      }
    }
  }

  #lose(why: string): void {
    if (this.#stopped.signal.aborted) return;
    const { lockName } = this.#context;
    this.#lost.abort(new PeatError('LOCK_LOST', `lock ${lockName} was lost: ${why}`, { lock: lockName }));
  }
}
