/**
 * What must hold for named locks and the structural lock, in the order of CLOCK_MONOTONIC. A lock is held at least from the moment when its holder
 * knew that it had it, up to the moment when it began to give it back, learnt that it had lost it, or was killed; of one that was stopped
 * for a whole lease, up to a lease after it was stopped, since others may take it for dead then.
 *
 * - Two holds of one name never overlap, unless both are shared; a hold of the structural lock overlaps with none.
 * - Tokens rise: nobody gets a number twice, and who asks after another one had its lock, or after a ticket was seen, gets a
 *   higher number.
 * - First come, first served: of two that exclude each other, the one with the lower number holds first.
 */
import { describeOperation, type Operation } from './history.ts';

/** What was done to a client from outside: killed, or stopped for a time. `until` is Infinity after a kill. */
export interface Blow {
  readonly client: string;
  readonly from: number;
  readonly until: number;
}

export interface LockHistoryOptions {
  readonly leaseMs: number;
  readonly blows: readonly Blow[];
}

interface Hold {
  /** `''` is the structural lock; no name is empty. */
  readonly name: string;
  readonly operation: Operation;
  readonly token: number;
  readonly isShared: boolean;
  readonly from: number;
  readonly until: number;
}

export function lockProblems(history: readonly Operation[], options: LockHistoryOptions): string[] {
  const holds = holdsOf(history, options);
  const byName = new Map<string, Hold[]>();
  for (const hold of holds) byName.set(hold.name, [...(byName.get(hold.name) ?? []), hold]);
  const problems: string[] = [];
  for (const [name, own] of byName) {
    own.sort((a, b) => a.token - b.token);
    problems.push(...wrongOrder(own), ...wrongTokens(own, seenTickets(history, name)));
  }
  for (const all of byName.get('') ?? []) {
    const clash = holds.find((hold) => hold.name !== '' && hold.from < all.until && all.from < hold.until);
    if (clash !== undefined) problems.push(`the structural lock was held beside ${show(clash)}: ${show(all)}`);
  }
  return problems;
}

function show({ name, operation, token, from, until }: Hold): string {
  return `${name === '' ? 'the structural lock' : name}, token ${token}, [${from}, ${until}], ${describeOperation(operation)}`;
}

function holdsOf(history: readonly Operation[], { leaseMs, blows }: LockHistoryOptions): Hold[] {
  const ends = new Map<string, number>();
  for (const { what, details, invokedAt } of history) {
    if ((what !== 'release' && what !== 'lost') || details?.hold === undefined) continue;
    ends.set(details.hold, Math.min(ends.get(details.hold) ?? Number.POSITIVE_INFINITY, invokedAt));
  }
  return history.flatMap((operation): Hold[] => {
    const { what, outcome, details, endedAt: from, client } = operation;
    if (what !== 'lock' || outcome !== 'ok') return [];
    const { names = [], tokens = [], mode } = details ?? {};
    const cuts = blows.filter((blow) => blow.client === client && blow.until > from).flatMap((blow) => cutBy(blow, leaseMs * 1e6));
    const until = Math.max(from, Math.min(ends.get(operation.id) ?? Number.POSITIVE_INFINITY, ...cuts));
    const isShared = mode === 'shared';
    return (names.length === 0 ? [''] : names).map((name, i) => ({ name, operation, token: tokens[i] as number, isShared, from, until }));
  });
}

/** Until when a client that was struck still counts as a holder. */
function cutBy({ from, until }: Blow, leaseNs: number): number[] {
  if (until === Number.POSITIVE_INFINITY) return [from];
  return until - from >= leaseNs / 2 ? [from + leaseNs] : [];
}

/** @param holds of one name, by their tokens */
function wrongOrder(holds: readonly Hold[]): string[] {
  const problems: string[] = [];
  /** Of those with a lower token, the one that was held the longest; and of the exclusive ones. */
  let longest: Hold | undefined;
  let longestExclusive: Hold | undefined;
  for (const hold of holds) {
    const before = hold.isShared ? longestExclusive : longest;
    if (before !== undefined && before.until > hold.from) problems.push(`${show(hold)} began before the end of ${show(before)}`);
    if (longest === undefined || hold.until > longest.until) longest = hold;
    if (!hold.isShared && (longestExclusive === undefined || hold.until > longestExclusive.until)) longestExclusive = hold;
  }
  return problems;
}

interface Ticket {
  readonly at: number;
  readonly token: number;
  readonly source: Operation;
}

function seenTickets(history: readonly Operation[], name: string): Ticket[] {
  return history.flatMap((source): Ticket[] => {
    const tickets = source.outcome === 'ok' ? (source.details?.tickets?.[name] ?? []) : [];
    return tickets.length === 0 ? [] : [{ at: source.endedAt, token: Math.max(...tickets), source }];
  });
}

function wrongTokens(holds: readonly Hold[], seen: readonly Ticket[]): string[] {
  const problems: string[] = [];
  for (const [i, hold] of holds.entries()) {
    if (holds[i + 1]?.token === hold.token) problems.push(`two have the token of ${show(hold)}: ${show(holds[i + 1] as Hold)}`);
  }
  const known = [...holds.map(({ from, token, operation }): Ticket => ({ at: from, token, source: operation })), ...seen];
  known.sort((a, b) => a.at - b.at);
  let highest: Ticket | undefined;
  let next = 0;
  for (const hold of [...holds].sort((a, b) => a.operation.invokedAt - b.operation.invokedAt)) {
    for (let one = known[next]; one !== undefined && one.at < hold.operation.invokedAt; one = known[++next]) {
      if (highest === undefined || one.token > highest.token) highest = one;
    }
    if (highest === undefined || hold.token > highest.token) continue;
    problems.push(`${show(hold)} was asked for after token ${highest.token} was known: ${describeOperation(highest.source)}`);
  }
  return problems;
}
