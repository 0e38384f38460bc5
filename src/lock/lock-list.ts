/**
 * All locks of a store, of every kind, from outside; and the breaking of one, by people who know better than its holder.
 *
 * Neither takes a lock or waits. What is listed is a snapshot. To break a lock is to steal from it (rule C3): it takes the token that was
 * seen, so it can't hit a later holder, and the holder learns it as with any theft.
 */
import { show } from '../base/key.ts';
import type { System } from '../base/system.ts';
import { LOCK_KINDS, type LockKind, lockKindPrefix, lockPrefix, parseLockPrefix } from '../format/layout.ts';
import type { Medium } from '../medium/medium.ts';
import { LockStatus, type TicketStatus } from './lock-status.ts';
import { checkLockName } from './named-locks.ts';
import type { ProcessFacts } from './process-facts.ts';
import { TicketQueue } from './ticket-queue.ts';

export interface LockListContext {
  /** Not all kinds need be in one place (`lock-place.ts`). Undefined: there is none of that kind. */
  readonly mediumOf: (kind: LockKind) => Medium | undefined;
  readonly system: System;
  readonly facts: ProcessFacts;
}

/** A lock that someone holds or waits for. */
export interface LockInfo {
  readonly kind: LockKind;
  readonly name: string;
  /** In the order of the queue; at least one. */
  readonly tickets: readonly TicketStatus[];
}

/** Which lock: a name alone means one of `store.lock`. */
export type LockReference = string | { readonly kind: LockKind; readonly name: string };

export interface BrokenLock {
  readonly kind: LockKind;
  readonly name: string;
  readonly token: number;
  /** False if that ticket was over already, or never was: then nothing was done. */
  readonly broken: boolean;
  /** Whose it was. */
  readonly ticket: TicketStatus | undefined;
  /** Those that are queued now, in order. */
  readonly left: readonly TicketStatus[];
}

/** By kind, then by name. */
export async function listLocks(context: LockListContext): Promise<LockInfo[]> {
  const locks: LockInfo[] = [];
  for (const kind of LOCK_KINDS) {
    const kindPrefix = lockKindPrefix(kind);
    const medium = context.mediumOf(kind);
    for (const folder of (await medium?.listFolders(kindPrefix)) ?? []) {
      const prefix = `${kindPrefix}${folder}/`;
      const lock = parseLockPrefix(prefix);
      if (lock === undefined || medium === undefined) continue;
      const tickets = await new LockStatus({ ...context, medium, prefix }).listTickets();
      if (tickets.length > 0) locks.push({ ...lock, tickets });
    }
  }
  return locks;
}

/** @throws TypeError, RangeError for a reference or a token that is none. */
export async function breakLock(context: LockListContext, options: { lock: LockReference; token: number }): Promise<BrokenLock> {
  const { kind, name } = checkReference(options.lock);
  const { token } = options;
  if (!Number.isSafeInteger(token) || token < 1) throw new RangeError(`token must be the number of a ticket, got ${show(token)}`);
  const prefix = lockPrefix(kind, name);
  const medium = context.mediumOf(kind);
  if (medium === undefined) return { kind, name, token, broken: false, ticket: undefined, left: [] };
  const status = new LockStatus({ ...context, medium, prefix });
  const ticket = (await status.listTickets()).find(({ number }) => number === token);
  // A marker for a number that nobody has would skip numbers.
  const broken = ticket !== undefined && (await new TicketQueue({ ...context, medium, prefix, durable: true }).finish(token, 'broken'));
  return { kind, name, token, broken, ticket, left: await status.listTickets() };
}

function checkReference(lock: LockReference): { kind: LockKind; name: string } {
  if (typeof lock !== 'string' && (typeof lock !== 'object' || lock === null)) {
    throw new TypeError(`a lock must be given as a name, or as { kind, name }, got ${show(lock)}`);
  }
  const { kind, name } = typeof lock === 'string' ? { kind: 'user' as const, name: lock } : lock;
  if (!LOCK_KINDS.includes(kind)) throw new RangeError(`a lock's kind must be one of ${LOCK_KINDS.join(', ')}, got ${show(kind)}`);
  return { kind, name: checkLockName(name) };
}
