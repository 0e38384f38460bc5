/** The tickets of a lock, in words. */
import type { TicketStatus } from '../../lock/lock-status.ts';

export function isHolding({ position }: TicketStatus): boolean {
  return position === 0;
}

/** A line a ticket, in the order of the queue. */
export function ticketLines(tickets: readonly TicketStatus[]): string[] {
  return tickets.map((ticket) => `  ${isHolding(ticket) ? 'holds' : 'waits'}  ${ticketText(ticket)}`);
}

/** "token 42, exclusive: pid 4711 on web1, alive, for 12 s, 13 s left of its lease of 15 s: /srv/app/job.ts:12" */
export function ticketText({ number, mode, holder, state, ageMs, silentMs, leaseMs, purpose = '' }: TicketStatus): string {
  if (holder === undefined || leaseMs === undefined) return `token ${number}: a ticket that can't be read`;
  const facts = [`pid ${holder.pid} on ${holder.host}`, state];
  if (ageMs !== undefined) facts.push(`for ${durationText(ageMs)}`);
  const left = silentMs === undefined ? undefined : leaseMs - silentMs;
  const lease = `its lease of ${durationText(leaseMs)}`;
  facts.push(left === undefined ? lease : left > 0 ? `${durationText(left)} left of ${lease}` : `silent for longer than ${lease}`);
  return `token ${number}, ${mode}: ${facts.join(', ')}${purpose === '' ? '' : `: ${plain(purpose)}`}`;
}

/** Names and purposes are others' texts: what is no plain line of text is shown as JSON, so that it can't look like lines of this program's, or steer a terminal. */
export function plain(text: string): string {
  return /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u.test(text)
    ? text
    : JSON.stringify(text).replace(
        /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
        (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
}

function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
