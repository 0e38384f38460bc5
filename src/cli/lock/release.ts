/**
 * `peat lock release`: ends the ticket of a holder or waiter by hand. It wants the token, so that it can't hit someone else: what was seen
 * in a list may be over by now.
 */
import { LOCK_KINDS, type LockKind } from '../../format/layout.ts';
import type { BrokenLock } from '../../lock/lock-list.ts';
import { EXIT_FAILED, EXIT_OK, type Invocation, numberOption, stringOption, UsageError } from '../command.ts';
import type { Output } from '../output.ts';
import { withStore } from '../store-access.ts';
import { ticketJson } from './list.ts';
import { isHolding, ticketLines, ticketText } from './ticket-text.ts';

interface Lock {
  readonly kind: LockKind;
  readonly name: string;
}

export async function run(invocation: Invocation): Promise<number> {
  const { output } = invocation;
  // A name that begins with "-" comes after "--".
  const [location, ...names] = [...invocation.positionals, ...invocation.commandLine];
  const lock = lockOf(invocation, names);
  const token = numberOption(invocation, 'token', { least: 1 });
  if (location === undefined) throw new UsageError('peat lock release needs the location of a store and the name of a lock');
  const inner = { ...invocation, positionals: [location] };
  if (token === undefined) return await showTickets(inner, lock);
  const done = await withStore(inner, (store) => store.breakLock(lock, { token }), {});
  if (!done.broken) output.message(`peat: ${quoted(lock)} has no live ticket ${token}; nothing was changed`);
  if (output.json) await output.jsonLine(toJson(done));
  else if (done.broken) await tell(output, done);
  else for (const line of ticketLines(done.left)) output.message(line);
  return done.broken ? EXIT_OK : EXIT_FAILED;
}

function lockOf(invocation: Invocation, names: readonly string[]): Lock {
  const kind = stringOption(invocation, 'kind') ?? 'user';
  if (!isLockKind(kind)) throw new UsageError(`--kind must be ${LOCK_KINDS.join(', ')}, got ${JSON.stringify(kind)}`);
  const [name = kind === 'structural' ? 'store' : undefined, more] = names;
  if (name === undefined) throw new UsageError('peat lock release needs the name of a lock');
  if (more !== undefined) throw new UsageError(`peat lock release takes one name, got ${JSON.stringify(more)}`);
  return { kind, name };
}

function isLockKind(kind: string): kind is LockKind {
  return (LOCK_KINDS as readonly string[]).includes(kind);
}

function quoted({ kind, name }: Lock): string {
  return kind === 'structural' ? 'the structural lock' : `${kind} lock ${JSON.stringify(name)}`;
}

/** Without a token: what there is, and what to say to end it. */
async function showTickets(invocation: Invocation, lock: Lock): Promise<number> {
  const { output } = invocation;
  const locks = await withStore(invocation, (store) => store.listLocks());
  const tickets = locks.find(({ kind, name }) => kind === lock.kind && name === lock.name)?.tickets ?? [];
  const [first] = tickets;
  if (output.json) await output.jsonLine({ ...lock, broken: false, tickets: tickets.map(ticketJson) });
  else for (const line of ticketLines(tickets)) await output.line(line);
  if (first === undefined) {
    output.message(`peat: nobody holds ${quoted(lock)}`);
  } else {
    const name = lock.kind === 'structural' ? '' : ` ${shellWord(lock.name)}`;
    const kind = lock.kind === 'user' ? '' : ` --kind ${lock.kind}`;
    const location = shellWord(invocation.positionals[0] as string);
    output.message('peat: nothing was changed; if that holder is gone for certain:');
    output.message(`    peat lock release${kind} --token ${first.number} ${location}${name.startsWith(' -') ? ` --${name}` : name}`);
  }
  return EXIT_FAILED;
}

function shellWord(text: string): string {
  return /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

async function tell(output: Output, done: BrokenLock): Promise<void> {
  const { ticket, left } = done;
  const next = left.filter(isHolding);
  await output.line(`ended ticket ${done.token} of ${quoted(done)}`);
  if (ticket !== undefined) await output.line(`  was    ${ticketText(ticket)}`);
  for (const line of ticketLines(next)) await output.line(line);
  const waiting = left.length - next.length;
  await output.line(next.length === 0 ? '  nobody waits for it' : `  ${waiting} more ${waiting === 1 ? 'waits' : 'wait'}`);
}

function toJson({ kind, name, token, broken, ticket, left }: BrokenLock): unknown {
  return { kind, name, token, broken, was: ticket === undefined ? null : ticketJson(ticket), left: left.map(ticketJson) };
}
