/** What callers hand in, checked and packed: the payload of one frame. */
import { ByteWriter } from '../base/bytes.ts';
import { type Key, show, toKey } from '../base/key.ts';
import { encodeValue } from '../base/value.ts';
import { BATCH_BYTES_MAX, type Delta, encodeBatch } from '../format/batch.ts';

export interface ExpiryOptions {
  /** Milliseconds from now; the key reads as missing from then on. `Infinity`: never. */
  readonly ttlMs?: number;
  /** The same as a point in time: a `Date`, or milliseconds since 1970. */
  readonly expiresAt?: Date | number;
}

export interface PutOperation<T = unknown> extends ExpiryOptions {
  readonly type: 'put';
  readonly key: string;
  readonly value: T;
}

export interface DeleteOperation {
  readonly type: 'delete';
  readonly key: string;
}

export type Operation<T = unknown> = PutOperation<T> | DeleteOperation;

/** Reused from call to call: packing never waits. */
const writer = new ByteWriter(4096);

/**
 * The payload of a batch. Of two operations on one key the later one counts.
 *
 * @throws TypeError, RangeError that show what is wrong with which operation.
 */
export function packBatch(operations: readonly Operation[], nowMs: number): Buffer {
  if (!Array.isArray(operations)) throw new TypeError(`a batch must be an array of operations, got ${show(operations)}`);
  if (operations.length === 0) throw new RangeError('a batch must have at least one operation, got []');
  const deltas = new Map<Key, Delta>();
  for (const operation of operations) {
    const delta = toDelta(operation, nowMs);
    deltas.set(delta.key, delta);
  }
  return pack([...deltas.values()]);
}

export function packOne(operation: Operation, nowMs: number): Buffer {
  return pack([toDelta(operation, nowMs)]);
}

function pack(deltas: readonly Delta[]): Buffer {
  writer.clear();
  encodeBatch(writer, deltas);
  if (writer.length > BATCH_BYTES_MAX) {
    throw new RangeError(`a batch may take ${BATCH_BYTES_MAX} bytes packed, got ${writer.length} in ${deltas.length} operations`);
  }
  return writer.copy();
}

function toDelta(operation: Operation, nowMs: number): Delta {
  if (typeof operation !== 'object' || operation === null) throw new TypeError(`an operation must be an object, got ${show(operation)}`);
  const key = toKey(operation.key);
  switch (operation.type) {
    case 'put':
      return { key, value: encodeValue(operation.value), expiresAtMs: expiry(operation, nowMs) };
    case 'delete':
      return { key, value: undefined, expiresAtMs: 0 };
    default:
      throw new TypeError(`an operation's type must be "put" or "delete", got ${show((operation as { type: unknown }).type)}`);
  }
}

/** Milliseconds since 1970; 0 = never. @throws TypeError, RangeError */
export function expiry({ ttlMs, expiresAt }: ExpiryOptions, nowMs: number): number {
  if (ttlMs === undefined && expiresAt === undefined) return 0;
  if (ttlMs !== undefined && expiresAt !== undefined) throw new TypeError('give ttlMs or expiresAt, not both');
  if (ttlMs !== undefined) {
    if (typeof ttlMs !== 'number' || !(ttlMs > 0)) throw new RangeError(`ttlMs must be a number above 0, got ${show(ttlMs)}`);
    return ttlMs === Number.POSITIVE_INFINITY ? 0 : toMoment(Math.ceil(nowMs + ttlMs), ttlMs);
  }
  return toMoment(expiresAt instanceof Date ? expiresAt.getTime() : expiresAt, expiresAt);
}

function toMoment(ms: unknown, given: unknown): number {
  if (typeof ms !== 'number' || !(ms > 0) || ms > 8.64e15)
    throw new RangeError(`an expiry must be a point in time after 1970, got ${show(given)}`);
  return Math.floor(ms);
}
