/**
 * What stands in the files of a lock's queue: a ticket, and the marker that ends it. Both are checked JSON, and both
 * carry a nonce, so that two of them never have the same bytes (see `Medium.putIfAbsent`).
 *
 * The files' contents are for judging the holder and for people. Whose turn it is follows from the names alone.
 */
import { isPeatError } from '../base/errors.ts';
import { decodeCheckedJson } from '../format/checked-json.ts';
import type { HolderIdentity } from './process-facts.ts';

export interface Ticket {
  readonly nonce: string;
  readonly holder: HolderIdentity;
  /** The holder's wall clock, for people; nothing is decided by it. */
  readonly createdAtMs: number;
  /** The holder promises a beat in each third of it. */
  readonly leaseMs: number;
  /** How the lock is wanted. Whatever is not "shared" is exclusive. */
  readonly mode: string;
  /** What the lock is held for, for people. */
  readonly purpose: string;
}

/** How a ticket ended. `broken`: a person ended it. */
export type FinishReason = 'released' | 'cancelled' | 'stolen' | 'broken';

export interface Marker {
  readonly nonce: string;
  /** Who ended it: the holder itself, or the one that stole from it. */
  readonly by: HolderIdentity;
  readonly reason: FinishReason;
}

export const TICKET_FORMAT = 1;

/**
 * The lease of a ticket that can't be read: empty or damaged since a power cut, or of a later format. Its owner may live. So that this is
 * never too short, every owner beats as for a lease of at most so much, however long its own is; and so it has to be in any later format.
 */
export const UNREADABLE_LEASE_MS = 30_000;

/**
 * The ticket in these bytes; undefined if they are damaged, or of a later format. Such a ticket has its place in the
 * queue all the same: its holder is unknown, and is judged by its beats.
 */
export function decodeTicket(bytes: Uint8Array, file: string): Ticket | undefined {
  let value: unknown;
  try {
    value = decodeCheckedJson(bytes, file);
  } catch (error) {
    if (isPeatError(error, 'CORRUPT')) return undefined;
    throw error;
  }
  if (!isRecord(value) || value['format'] !== TICKET_FORMAT || !isHolder(value['holder'])) return undefined;
  const { nonce, holder, createdAtMs, leaseMs, mode, purpose } = value;
  if (typeof nonce !== 'string' || typeof mode !== 'string' || typeof purpose !== 'string') return undefined;
  if (typeof createdAtMs !== 'number' || typeof leaseMs !== 'number' || !(leaseMs > 0)) return undefined;
  return { nonce, holder, createdAtMs, leaseMs, mode, purpose };
}

function isHolder(value: unknown): value is HolderIdentity {
  if (!isRecord(value)) return false;
  const { host, bootId, pidNamespace, pid, startTime } = value;
  if (typeof host !== 'string' || typeof bootId !== 'string' || typeof pidNamespace !== 'string') return false;
  // Number 0 and below would mean a group of processes to the system.
  return Number.isSafeInteger(pid) && (pid as number) > 0 && (startTime === null || Number.isSafeInteger(startTime));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
