/**
 * The names in a lock's directory, and what a listing of them says.
 *
 *     <n>            a ticket
 *     <n>.done       its end
 *     <n>.beat-<k>   its k-th sign of life
 *     floor-<m>      all tickets up to m are over, for ever
 *
 * Each of these is true for ever once it was listed: a ticket that is over stays over. So a listing may be old or may
 * have been made while files came and went; what it shows still holds, and only what it does not show may exist.
 */

import { padNumber } from '../format/layout.ts';
import type { ListedObject } from '../medium/medium.ts';

export interface QueueState {
  /** Numbers that have a ticket file, ascending. */
  readonly tickets: readonly number[];
  /** Numbers that have a marker. */
  readonly done: ReadonlySet<number>;
  /** The highest floor; 0 without one. */
  readonly floor: number;
  /** All floors, ascending. */
  readonly floors: readonly number[];
  /** The highest beat of a number; nothing for one that has no beat. */
  readonly beats: ReadonlyMap<number, number>;
  /** Every name with its number and kind, for the sweep. */
  readonly files: readonly QueueFile[];
}

export interface QueueFile {
  readonly name: string;
  readonly kind: 'ticket' | 'done' | 'beat' | 'floor';
  readonly number: number;
  /** By the medium's clock, if the listing asked for it. */
  readonly modifiedMs: number | undefined;
}

export function ticketName(prefix: string, n: number): string {
  return prefix + padNumber(n);
}

export function doneName(prefix: string, n: number): string {
  return `${prefix}${padNumber(n)}.done`;
}

const DONE = /^(\d{20})\.done$/;

/** The number in the name of a marker, without its prefix. */
export function parseDoneName(name: string): number | undefined {
  const match = DONE.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function beatName(prefix: string, n: number, k: number): string {
  return `${prefix}${padNumber(n)}.beat-${String(k).padStart(8, '0')}`;
}

export function floorName(prefix: string, m: number): string {
  return `${prefix}floor-${padNumber(m)}`;
}

const NAME = /^(?:(\d{20})(?:(\.done)|\.beat-(\d{8,15}))?|floor-(\d{20}))$/;

/** Reads a listing of `prefix`. Names of another form are not the lock's, and are left alone. */
export function parseQueue(prefix: string, listed: readonly ListedObject[]): QueueState {
  const tickets: number[] = [];
  const floors: number[] = [];
  const done = new Set<number>();
  const beats = new Map<number, number>();
  const files: QueueFile[] = [];
  for (const { name, modifiedMs } of listed) {
    const match = NAME.exec(name.slice(prefix.length));
    if (match === null) continue;
    const [, ownText, marker, beat, floorText] = match;
    const number = Number(ownText ?? floorText);
    if (!Number.isSafeInteger(number)) continue;
    let kind: QueueFile['kind'] = 'ticket';
    if (floorText !== undefined) {
      kind = 'floor';
      floors.push(number);
    } else if (marker !== undefined) {
      kind = 'done';
      done.add(number);
    } else if (beat !== undefined) {
      kind = 'beat';
      beats.set(number, Math.max(Number(beat), beats.get(number) ?? 0));
    } else {
      tickets.push(number);
    }
    files.push({ name, kind, number, modifiedMs });
  }
  return { tickets, done, floors, floor: floors.at(-1) ?? 0, beats, files };
}

/** The tickets that are not over, ascending: the first one holds the lock, or is about to; with shared ones, others beside it. */
export function liveTickets(state: QueueState): number[] {
  return state.tickets.filter((n) => n > state.floor && !state.done.has(n));
}

/** How many files a sweep could take away, roughly: it pays once there are some. */
export function finishedFiles(state: QueueState): number {
  return state.tickets.length - liveTickets(state).length + state.done.size;
}
