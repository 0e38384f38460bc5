/**
 * A medium in memory, for tests and simulations. One instance is one store's storage; each handle that shares it plays
 * a process of its own, so closing a handle leaves everything in place.
 *
 * `powerCut` plays a machine that loses power: what append-only files took since their last sync is gone, and their writers
 * are dead. Names always survive: that objects put with `durable: false`, or files never synced, may vanish, is not played.
 */

import { PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import { isEnd } from './end-mark.ts';
import type { AppendFile, BlockingMedium, ByteRange, ListedObject, ListOptions, Medium, PutOptions, Watermark } from './medium.ts';
import { SortedNames } from './sorted-names.ts';

export interface MemoryMediumOptions {
  readonly system: System;
  readonly canAppend: boolean;
  /** Whether to offer the blocking form. Default true. */
  readonly blocking?: boolean | undefined;
  /** Plays a medium across a network, which has a clock of its own (that of `system`), and dates its answers. Default false. */
  readonly isRemote?: boolean | undefined;
}

interface StoredObject {
  bytes: Buffer;
  /** Of an append-only file: the bytes in use; the buffer may be longer. */
  length: number;
  syncedLength: number;
  modifiedMs: number;
}

export class MemoryMedium implements Medium {
  readonly description: string = 'memory';
  readonly canAppend: boolean;
  readonly isRemote: boolean;
  readonly localDirectory: undefined = undefined;
  readonly blocking: BlockingMedium | undefined;
  readonly #storage: MemoryStorage;

  constructor(options: MemoryMediumOptions) {
    this.#storage = new MemoryStorage(options);
    this.canAppend = options.canAppend;
    this.isRemote = options.isRemote === true;
    this.blocking = options.blocking === false ? undefined : this.#storage;
  }

  async putIfAbsent(name: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean> {
    return this.#storage.putIfAbsent(name, bytes, options);
  }

  async get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    return this.#storage.get(name, range);
  }

  async list(prefix: string, options?: ListOptions): Promise<ListedObject[]> {
    return this.#storage.list(prefix, options);
  }

  /** A folder is there while an object is in it. */
  async listFolders(prefix: string): Promise<string[]> {
    const below = this.#storage.list(prefix).map(({ name }) => name.slice(prefix.length).split('/'));
    return [...new Set(below.flatMap(([folder, ...rest]) => (folder === undefined || rest.length === 0 ? [] : [folder])))].sort();
  }

  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) this.#storage.delete(name);
  }

  async openAppend(name: string): Promise<AppendFile> {
    return this.#storage.openAppend(name);
  }

  async syncNames(): Promise<void> {}

  async nowMs(): Promise<number | undefined> {
    return this.isRemote ? this.#storage.nowMs() : undefined;
  }

  lastAnsweredAtMs(): number | undefined {
    return this.isRemote ? this.#storage.lastAnsweredAtMs : undefined;
  }

  async close(): Promise<void> {}

  /** Drops what append-only files hold beyond their last sync. Files that are open take no more. */
  powerCut(): void {
    this.#storage.powerCut();
  }
}

class MemoryStorage implements BlockingMedium {
  readonly #system: System;
  readonly #canAppend: boolean;
  readonly #objects = new Map<string, StoredObject>();
  readonly #names = new SortedNames();
  readonly #isRemote: boolean;
  #powerCuts = 0;
  lastAnsweredAtMs: number | undefined;

  constructor({ system, canAppend, isRemote = false }: MemoryMediumOptions) {
    this.#system = system;
    this.#canAppend = canAppend;
    this.#isRemote = isRemote;
  }

  #answer(): void {
    this.lastAnsweredAtMs = this.#system.wallNowMs();
  }

  nowMs(): number {
    this.#answer();
    return this.#system.wallNowMs();
  }

  putIfAbsent(name: string, bytes: Uint8Array, _options?: PutOptions): boolean {
    this.#answer();
    const there = this.#objects.get(name);
    if (there !== undefined) return there.bytes.subarray(0, there.length).equals(bytes);
    this.#create(name, Buffer.from(bytes));
    return true;
  }

  get(name: string, range?: ByteRange): Buffer | undefined {
    this.#answer();
    const object = this.#objects.get(name);
    if (object === undefined) return undefined;
    const start = Math.min(range?.offset ?? 0, object.length);
    const end = range === undefined ? object.length : Math.min(range.offset + range.length, object.length);
    return Buffer.from(object.bytes.subarray(start, end));
  }

  list(prefix: string, options: ListOptions = {}): ListedObject[] {
    options.signal?.throwIfAborted();
    this.#answer();
    if (this.#isRemote) options.onAnswer?.(this.lastAnsweredAtMs);
    const listed: ListedObject[] = [];
    for (const name of this.#names.under(prefix, options.after)) {
      const { length, modifiedMs } = this.#objects.get(name) as StoredObject;
      listed.push(options.stats === true ? { name, size: length, modifiedMs } : { name });
    }
    return listed;
  }

  delete(name: string): void {
    this.#answer();
    if (!this.#objects.delete(name)) return;
    this.#names.delete(name);
  }

  syncNames(): void {}

  openAppend(name: string): AppendFile {
    if (!this.#canAppend) throw new PeatError('MEDIUM_UNSUITABLE', 'this memory has no append-only files', { file: name });
    if (this.#objects.has(name)) {
      const cause = Object.assign(new Error(`EEXIST: file already exists, open '${name}'`), { code: 'EEXIST' });
      throw new PeatError('STORAGE', `open of ${name} failed: ${cause.message}`, { file: name, cause });
    }
    const object = this.#create(name, Buffer.alloc(0));
    const born = this.#powerCuts;
    return new MemoryAppend(name, { object, system: this.#system, hasPower: () => this.#powerCuts === born });
  }

  watermark(prefix: string): Watermark | undefined {
    return this.#names.watermark(prefix);
  }

  endsAt(name: string, offset: number): boolean {
    const object = this.#objects.get(name);
    return object !== undefined && isEnd(object.bytes.subarray(Math.min(offset, object.length), object.length));
  }

  powerCut(): void {
    this.#powerCuts++;
    for (const object of this.#objects.values()) object.length = object.syncedLength;
  }

  #create(name: string, bytes: Buffer): StoredObject {
    const object = { bytes, length: bytes.length, syncedLength: bytes.length, modifiedMs: this.nowMs() };
    this.#objects.set(name, object);
    this.#names.add(name);
    return object;
  }
}

interface MemoryAppendOptions {
  readonly object: StoredObject;
  readonly system: System;
  /** False after a power cut. */
  readonly hasPower: () => boolean;
}

class MemoryAppend implements AppendFile {
  readonly #name: string;
  readonly #object: StoredObject;
  readonly #system: System;
  readonly #hasPower: () => boolean;
  #isClosed = false;

  constructor(name: string, { object, system, hasPower }: MemoryAppendOptions) {
    this.#name = name;
    this.#object = object;
    this.#system = system;
    this.#hasPower = hasPower;
  }

  write(bytes: Uint8Array): void {
    this.#checkUsable();
    const object = this.#object;
    const end = object.length + bytes.length;
    if (end > object.bytes.length) {
      const grown = Buffer.alloc(Math.max(end, object.bytes.length * 2, 256));
      object.bytes.copy(grown, 0, 0, object.length);
      object.bytes = grown;
    }
    object.bytes.set(bytes, object.length);
    object.length = end;
    object.modifiedMs = this.#system.wallNowMs();
  }

  async sync(): Promise<void> {
    this.syncBlocking();
  }

  syncBlocking(): void {
    this.#checkUsable();
    this.#object.syncedLength = this.#object.length;
  }

  close(): void {
    this.#isClosed = true;
  }

  #checkUsable(): void {
    if (this.#isClosed) throw new PeatError('CLOSED', `${this.#name} was closed`, { file: this.#name });
    if (!this.#hasPower()) throw new PeatError('STORAGE', `${this.#name}: the power was cut`, { file: this.#name });
  }
}
