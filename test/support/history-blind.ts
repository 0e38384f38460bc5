/**
 * What must hold for a key that several processes write blindly, while others read it and update it. Their blind writes are ordered by stamp and
 * not by real time, so that the history of the key need not be linearizable. What is promised all the same, and checked here:
 *
 * - A value that was read was written: by an operation that did not fail, and that had begun.
 * - Two updates that both happened never read the same value, since each hides what it read.
 * - Behind each value is a blind write: its own, or that from which it was made, update upon update. No read finds a value
 *   whose blind write is older than one that was acknowledged before the read began, if the stamps of the two are sure to be
 *   in the order of time: both by one process, or further apart than the clocks of the processes can be (`skew`). So an update saw
 *   everything that was acknowledged before it began, and did not hide what it did not read.
 * - What was read after a value, in the order of time, never has a lower stamp.
 *
 * Values must be new each time. Of an unknown operation the writes count as possible.
 */
import type { Stamp } from '../../src/base/stamp.ts';
import { describeOperation, type Operation, type Value } from './history.ts';

/** The clocks of the stamps are corrected by what the file system's clock shows, which moves in steps. */
export const STAMP_SKEW_NS = 100e6;

/** What `getEntry` tells. */
export function parseStamp(text: string): Stamp {
  const [time, writer, sub] = text.split('-') as [string, string, string];
  return { time: Number(time), writer, sub: Number(sub) };
}

export interface BlindHistoryOptions {
  /** More than the stamps of two processes of this machine can be apart for writes at one moment, in the unit of the times. */
  readonly skew: number;
  readonly compareStamps?: (a: string, b: string) => number;
}

export function blindWriteProblems(history: readonly Operation[], key: string, options: BlindHistoryOptions): string[] {
  const own = history.filter(({ outcome, reads, writes }) => outcome !== 'fail' && (key in reads || key in writes));
  const writers = new Map<Value, Operation>();
  const problems: string[] = [];
  for (const operation of own) {
    const value = operation.writes[key];
    if (value === undefined) continue;
    if (writers.has(value)) problems.push(`${key}: ${value} was written twice`);
    writers.set(value, operation);
  }
  const readers = own.filter(({ outcome, reads }) => outcome === 'ok' && key in reads);
  return [
    ...problems,
    ...valuesOutOfNowhere(readers, { key, writers }),
    ...lostUpdates(readers, { key, writers }),
    ...hiddenWrites(readers, { key, writers, blind: own.filter((one) => isBlind(one, key)), skew: options.skew }),
    ...(options.compareStamps === undefined ? [] : stampsGoingBack(own, options.compareStamps)),
  ];
}

interface Key {
  readonly key: string;
  /** By what they wrote. */
  readonly writers: ReadonlyMap<Value, Operation>;
}

function isBlind({ reads, writes }: Operation, key: string): boolean {
  return key in writes && !(key in reads);
}

function valuesOutOfNowhere(readers: readonly Operation[], { key, writers }: Key): string[] {
  const problems: string[] = [];
  for (const reader of readers) {
    const value = reader.reads[key] as Value;
    const writer = writers.get(value);
    if (value === null || (writer !== undefined && writer.invokedAt <= reader.endedAt)) continue;
    problems.push(`${key}: a value out of nowhere: ${describeOperation(reader)}`);
  }
  return problems;
}

function lostUpdates(readers: readonly Operation[], { key, writers }: Key): string[] {
  const problems: string[] = [];
  const updates = new Map<Value, Operation>();
  // An unknown update happened if somebody has read what it wrote.
  const seen = new Set(readers.map(({ reads }) => reads[key]));
  const happened = [...writers.values()].filter(({ outcome, writes }) => outcome === 'ok' || seen.has(writes[key]));
  for (const update of happened) {
    const value = update.reads[key];
    if (value === undefined || value === update.writes[key]) continue;
    const other = updates.get(value);
    if (other === undefined) updates.set(value, update);
    else problems.push(`${key}: one of two updates is lost: ${describeOperation(other)}, ${describeOperation(update)}`);
  }
  return problems;
}

function hiddenWrites(
  readers: readonly Operation[],
  { key, writers, blind, skew }: Key & { blind: readonly Operation[]; skew: number },
): string[] {
  const problems: string[] = [];
  const acknowledged = blind.filter(({ outcome }) => outcome === 'ok');
  /** The blind write behind a value; undefined if there is none. */
  const behind = new Map<Value, Operation | undefined>();
  const findBehind = (value: Value): Operation | undefined => {
    const chain = new Set<Value>();
    let at = value;
    let base: Operation | undefined;
    while (at !== null && !chain.has(at) && !behind.has(at)) {
      chain.add(at);
      const writer = writers.get(at);
      if (writer !== undefined && isBlind(writer, key)) base = writer;
      at = writer?.reads[key] ?? null;
    }
    base ??= behind.get(at);
    for (const one of chain) behind.set(one, base);
    return base;
  };
  for (const reader of readers) {
    const base = findBehind(reader.reads[key] as Value);
    const hidden = acknowledged.find((write) => write !== base && write.endedAt < reader.invokedAt && isSurelyBefore(base, write, skew));
    if (hidden !== undefined) problems.push(`${key}: ${describeOperation(hidden)} is hidden from ${describeOperation(reader)}`);
  }
  return problems;
}

/** Whether the stamp of blind write `a` is sure to be lower than that of `b`; nothing was written before any of them. */
function isSurelyBefore(a: Operation | undefined, b: Operation, skew: number): boolean {
  if (a === undefined) return true;
  return a.endedAt + (a.client === b.client ? 0 : skew) < b.invokedAt;
}

/** What an operation saw or wrote, with stamps of its own: later ones must not have lower ones. */
function stampsGoingBack(operations: readonly Operation[], compare: (a: string, b: string) => number): string[] {
  const told = operations.filter(({ outcome, stamp }) => outcome === 'ok' && stamp !== undefined);
  const byBegin = [...told].sort((a, b) => a.invokedAt - b.invokedAt);
  const byEnd = [...told].sort((a, b) => a.endedAt - b.endedAt);
  const problems: string[] = [];
  let highest: Operation | undefined;
  let ended = 0;
  for (const operation of byBegin) {
    for (let next = byEnd[ended]; next !== undefined && next.endedAt < operation.invokedAt; next = byEnd[++ended]) {
      if (highest === undefined || compare(next.stamp as string, highest.stamp as string) > 0) highest = next;
    }
    if (highest === undefined || compare(operation.stamp as string, highest.stamp as string) >= 0) continue;
    problems.push(
      `a stamp went back: ${describeOperation(highest)} ${highest.stamp}, then ${describeOperation(operation)} ${operation.stamp}`,
    );
  }
  return problems;
}
