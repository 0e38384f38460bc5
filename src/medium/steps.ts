/**
 * Protocol code that is written once and runs both ways: awaiting the medium, or blocking on it (`putSync`,
 * and warm reads of local files, which are faster than a promise).
 *
 * A protocol function is a generator that yields the calls it wants made and receives their results: `Steps<T>`.
 * `runAsync` and `runBlocking` are the two drivers. Generators compose with `yield*`.
 */
import { PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { BlockingMedium, ByteRange, ListedObject, ListOptions, Medium } from './medium.ts';

type Call =
  | { readonly op: 'get'; readonly name: string; readonly range: ByteRange | undefined }
  | { readonly op: 'getMany'; readonly names: readonly string[] }
  | { readonly op: 'list'; readonly prefix: string; readonly options: ListOptions }
  | { readonly op: 'sleep'; readonly ms: number };

/** A protocol function under way; returns a T. */
export type Steps<T> = Generator<Call, T, unknown>;

export function* getSteps(name: string, range?: ByteRange): Steps<Buffer | undefined> {
  return (yield { op: 'get', name, range }) as Buffer | undefined;
}

/** Several objects, read at once where the driver can: across a network that takes as long as one. */
export function* getManySteps(names: readonly string[]): Steps<readonly (Buffer | undefined)[]> {
  return (yield { op: 'getMany', names }) as readonly (Buffer | undefined)[];
}

export function* listSteps(prefix: string, options: ListOptions = {}): Steps<ListedObject[]> {
  return (yield { op: 'list', prefix, options }) as ListedObject[];
}

export function* sleepSteps(ms: number): Steps<void> {
  yield { op: 'sleep', ms };
}

export interface StepsContext {
  readonly medium: Medium;
  readonly system: System;
  readonly signal?: AbortSignal | undefined;
}

/** Runs to the end, awaiting each call. Checks the signal between calls. */
export async function runAsync<T>(steps: Steps<T>, context: StepsContext): Promise<T> {
  let next = steps.next();
  while (next.done !== true) {
    let result: unknown;
    try {
      context.signal?.throwIfAborted();
      result = await callAsync(next.value, context);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(result);
  }
  return next.value;
}

function callAsync(call: Call, { medium, system, signal }: StepsContext): Promise<unknown> {
  switch (call.op) {
    case 'get':
      return medium.get(call.name, call.range);
    case 'getMany':
      return Promise.all(call.names.map((name) => medium.get(name)));
    case 'list':
      return medium.list(call.prefix, { ...call.options, signal });
    case 'sleep':
      return system.sleep(call.ms, { signal });
  }
}

/** Runs to the end without ever waiting for a promise. @throws TypeError if the medium can't block. */
export function runBlocking<T>(steps: Steps<T>, context: StepsContext): T {
  const blocking = requireBlocking(context.medium);
  let next = steps.next();
  while (next.done !== true) {
    let result: unknown;
    try {
      context.signal?.throwIfAborted();
      result = callBlocking(next.value, blocking, context.system);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(result);
  }
  return next.value;
}

function callBlocking(call: Call, blocking: BlockingMedium, system: System): unknown {
  switch (call.op) {
    case 'get':
      return blocking.get(call.name, call.range);
    case 'getMany':
      return call.names.map((name) => blocking.get(name));
    case 'list':
      return blocking.list(call.prefix, call.options);
    case 'sleep':
      return system.sleepSync(call.ms);
  }
}

export function requireBlocking(medium: Medium): BlockingMedium {
  if (medium.blocking === undefined) {
    throw new PeatError('MEDIUM_UNSUITABLE', `synchronous calls need a local file system; this store is on ${medium.description}`);
  }
  return medium.blocking;
}
