/**
 * A medium that fails on demand. It wraps any other, in both forms, and shows every call to the faults that
 * were injected, in order; the first one that applies decides.
 *
 *     const faulty = new FaultyMedium(new MemoryMedium({ canAppend: true, system }), { system });
 *     faulty.inject({ when: { op: 'putIfAbsent', name: /root\// }, skip: 2 });           // the third put of a root fails, once
 *     faulty.inject({ when: { op: 'sync' }, effect: 'drop-answer', times: Infinity });    // every sync is done, then throws
 *     faulty.inject({ when: (call) => call.number >= 17, times: Infinity });              // a process that dies at its 17th call
 *     faulty.inject({ when: { op: 'get' }, effect: 'delay', delayMs: 50 });
 *
 * `write`, `sync` and `closeFile` are the calls of append-only files; `name` is the file's. `counts` says how often each kind
 * of call was made, and `calls`, if asked for, which.
 */
import { PeatError } from '../../src/base/errors.ts';
import { nodeSystem, type System } from '../../src/base/system.ts';
import type {
  AppendFile,
  BlockingMedium,
  ByteRange,
  ListedObject,
  ListOptions,
  Medium,
  PutOptions,
  Watermark,
} from '../../src/medium/medium.ts';

const OPERATIONS = [
  'putIfAbsent',
  'get',
  'list',
  'listFolders',
  'delete',
  'openAppend',
  'write',
  'sync',
  'closeFile',
  'syncNames',
  'nowMs',
  'watermark',
] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface MediumCall {
  readonly op: Operation;
  /** The object, the prefix, or the first of the names; "" where there is none. */
  readonly name: string;
  /** Of all calls, from 1. */
  readonly number: number;
  readonly blocking: boolean;
}

/**
 * `fail`: not executed. `drop-answer`: executed, then fails. `half`: a write of the first half, or a deletion of the first half of the names,
 * then fails. `late`: fails, and is executed when `executeLate` is called. `delay`: late, but well.
 */
export type FaultEffect = 'fail' | 'drop-answer' | 'half' | 'late' | 'delay';

export interface Fault {
  /** A predicate, or an operation and a name (a prefix or a pattern) that must both fit. */
  readonly when: ((call: MediumCall) => boolean) | { readonly op?: Operation; readonly name?: string | RegExp };
  /** Default `fail`. */
  readonly effect?: FaultEffect;
  /** Calls that fit and are let through first. Default 0. */
  readonly skip?: number;
  /** How many calls it then applies to. Default 1. */
  readonly times?: number;
  readonly delayMs?: number;
  /** What is thrown. Default a PeatError `STORAGE` that says "injected". */
  readonly error?: Error | ((call: MediumCall) => Error);
}

interface ActiveFault extends Fault {
  toSkip: number;
  left: number;
}

/** What the fault that applies asks for. */
interface Verdict {
  readonly effect: FaultEffect | 'none';
  readonly error: Error;
  readonly delayMs: number;
}

export interface FaultyMediumOptions {
  readonly system?: System;
  /** Keep a list of all calls. Default false. */
  readonly record?: boolean;
}

export class FaultyMedium implements Medium {
  readonly description: string;
  readonly localDirectory: string | undefined;
  readonly canAppend: boolean;
  readonly isRemote: boolean;
  readonly blocking: BlockingMedium | undefined;
  readonly counts: Record<Operation, number> = Object.fromEntries(OPERATIONS.map((op) => [op, 0])) as Record<Operation, number>;
  readonly calls: MediumCall[] = [];
  readonly #inner: Medium;
  readonly #system: System;
  readonly #record: boolean;
  readonly #faults: ActiveFault[] = [];
  readonly #late: (() => Promise<unknown>)[] = [];
  #number = 0;

  constructor(inner: Medium, options: FaultyMediumOptions = {}) {
    this.#inner = inner;
    this.#system = options.system ?? nodeSystem;
    this.#record = options.record === true;
    this.description = inner.description;
    this.canAppend = inner.canAppend;
    this.isRemote = inner.isRemote;
    this.localDirectory = inner.localDirectory;
    this.blocking = inner.blocking === undefined ? undefined : this.#wrapBlocking(inner.blocking);
  }

  /** Returns a function that takes the fault out again. */
  inject(fault: Fault): () => void {
    const active: ActiveFault = { ...fault, toSkip: fault.skip ?? 0, left: fault.times ?? 1 };
    this.#faults.push(active);
    return () => {
      active.left = 0;
    };
  }

  heal(): void {
    this.#faults.length = 0;
  }

  /** Does what failed, and was to take effect late. */
  async executeLate(): Promise<void> {
    for (const execute of this.#late.splice(0)) await execute();
  }

  resetCounts(): void {
    for (const op of OPERATIONS) this.counts[op] = 0;
    this.calls.length = 0;
  }

  putIfAbsent(name: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean> {
    return this.#call('putIfAbsent', name, () => this.#inner.putIfAbsent(name, bytes, options));
  }

  get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    return this.#call('get', name, () => this.#inner.get(name, range));
  }

  list(prefix: string, options?: ListOptions): Promise<ListedObject[]> {
    return this.#call('list', prefix, () => this.#inner.list(prefix, options));
  }

  listFolders(prefix: string): Promise<string[]> {
    return this.#call('listFolders', prefix, () => this.#inner.listFolders(prefix));
  }

  delete(names: readonly string[]): Promise<void> {
    const half = async (): Promise<void> => this.#inner.delete(names.slice(0, names.length >> 1));
    return this.#call('delete', names[0] ?? '', () => this.#inner.delete(names), half);
  }

  async openAppend(name: string): Promise<AppendFile> {
    return this.#wrapAppend(name, await this.#call('openAppend', name, () => this.#inner.openAppend(name)));
  }

  syncNames(prefix: string): Promise<void> {
    return this.#call('syncNames', prefix, () => this.#inner.syncNames(prefix));
  }

  nowMs(): Promise<number | undefined> {
    return this.#call('nowMs', '', () => this.#inner.nowMs());
  }

  lastAnsweredAtMs(): number | undefined {
    return this.#inner.lastAnsweredAtMs();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #wrapBlocking(inner: BlockingMedium): BlockingMedium {
    return {
      putIfAbsent: (name, bytes, options) => this.#callBlocking('putIfAbsent', name, () => inner.putIfAbsent(name, bytes, options)),
      get: (name, range) => this.#callBlocking('get', name, () => inner.get(name, range)),
      list: (prefix, options) => this.#callBlocking('list', prefix, () => inner.list(prefix, options)),
      openAppend: (name) =>
        this.#wrapAppend(
          name,
          this.#callBlocking('openAppend', name, () => inner.openAppend(name)),
        ),
      syncNames: (prefix) => this.#callBlocking('syncNames', prefix, () => inner.syncNames(prefix)),
      watermark: (prefix): Watermark | undefined => this.#callBlocking('watermark', prefix, () => inner.watermark(prefix)),
    };
  }

  #wrapAppend(name: string, inner: AppendFile): AppendFile {
    return {
      write: (bytes) => {
        const verdict = this.#judge({ op: 'write', name, blocking: true });
        if (verdict.effect === 'half') inner.write(bytes.subarray(0, bytes.length >> 1));
        this.#applyBlocking(verdict, () => inner.write(bytes));
      },
      sync: () => this.#call('sync', name, () => inner.sync()),
      syncBlocking: () => this.#callBlocking('sync', name, () => inner.syncBlocking()),
      close: () => this.#callBlocking('closeFile', name, () => inner.close()),
    };
  }

  async #call<T>(op: Operation, name: string, execute: () => Promise<T>, half?: () => Promise<void>): Promise<T> {
    const { effect, error, delayMs } = this.#judge({ op, name, blocking: false });
    if (delayMs > 0) await this.#system.sleep(delayMs);
    if (effect === 'half') await half?.();
    if (effect === 'late') this.#late.push(execute);
    if (effect === 'fail' || effect === 'half' || effect === 'late') throw error;
    const result = await execute();
    if (effect === 'drop-answer') throw error;
    return result;
  }

  #callBlocking<T>(op: Operation, name: string, execute: () => T): T {
    return this.#applyBlocking(this.#judge({ op, name, blocking: true }), execute);
  }

  #applyBlocking<T>({ effect, error, delayMs }: Verdict, execute: () => T): T {
    if (delayMs > 0) this.#system.sleepSync(delayMs);
    if (effect === 'late') this.#late.push(async () => execute());
    if (effect === 'fail' || effect === 'half' || effect === 'late') throw error;
    const result = execute();
    if (effect === 'drop-answer') throw error;
    return result;
  }

  #judge(facts: Omit<MediumCall, 'number'>): Verdict {
    const call: MediumCall = { ...facts, number: ++this.#number };
    this.counts[call.op]++;
    if (this.#record) this.calls.push(call);
    for (const fault of this.#faults) {
      if (fault.left <= 0 || !applies(fault, call)) continue;
      if (fault.toSkip > 0) {
        fault.toSkip--;
        continue;
      }
      fault.left--;
      return { effect: fault.effect ?? 'fail', error: errorOf(fault, call), delayMs: fault.delayMs ?? 0 };
    }
    return { effect: 'none', error: new Error('no fault'), delayMs: 0 };
  }
}

function errorOf({ error }: Fault, call: MediumCall): Error {
  if (typeof error === 'function') return error(call);
  return error ?? new PeatError('STORAGE', `injected: ${call.op} of ${call.name} (call ${call.number})`, { file: call.name });
}

function applies({ when }: Fault, call: MediumCall): boolean {
  if (typeof when === 'function') return when(call);
  if (when.op !== undefined && when.op !== call.op) return false;
  if (when.name === undefined) return true;
  return typeof when.name === 'string' ? call.name.startsWith(when.name) : when.name.test(call.name);
}
