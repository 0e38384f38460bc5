/** `peat lock list`: who holds which lock, and who waits for it. */
import type { LockInfo } from '../../lock/lock-list.ts';
import type { TicketStatus } from '../../lock/lock-status.ts';
import { EXIT_OK, type Invocation, UsageError } from '../command.ts';
import { withStore } from '../store-access.ts';
import { isHolding, plain, ticketLines } from './ticket-text.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { output, positionals } = invocation;
  if (positionals.length !== 1) throw new UsageError(`peat lock list takes a location only, got ${JSON.stringify(positionals)}`);
  const locks = await withStore(invocation, (store) => store.listLocks());
  for (const lock of locks) {
    if (output.json) await output.jsonLine(toJson(lock));
    else for (const line of [`${lock.kind} ${plain(lock.name)}`, ...ticketLines(lock.tickets)]) await output.line(line);
  }
  if (locks.length === 0 && !output.json) await output.line('no lock is held');
  return EXIT_OK;
}

function toJson({ kind, name, tickets }: LockInfo): unknown {
  const holders = tickets.filter(isHolding);
  const waiters = tickets.slice(holders.length);
  return { kind, name, holders: holders.map(ticketJson), waiters: waiters.map(ticketJson) };
}

/** What is not known, of a ticket that can't be read, is null. */
export function ticketJson({ number, holder, state, mode, leaseMs, ageMs, silentMs, purpose }: TicketStatus): unknown {
  return {
    token: number,
    host: holder?.host ?? null,
    pid: holder?.pid ?? null,
    state,
    mode: mode ?? null,
    ageMs: ageMs ?? null,
    leaseMs: leaseMs ?? null,
    leaseLeftMs: leaseMs === undefined || silentMs === undefined ? null : leaseMs - silentMs,
    purpose: purpose ?? null,
  };
}
