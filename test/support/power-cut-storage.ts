/**
 * Storage that loses power. Several handles share it, each a process of its own; at a call that the test chose, or when told to, the
 * power goes: all handles die, and what was not made durable is at the mercy of chance.
 *
 * What a power cut does, in the worst way that a file system may choose:
 * - bytes appended since the last sync: any of them may be there, as zeros, or not at all, cut anywhere;
 * - the name of an append-only file before its first sync returned, and of an object whose durable put has not returned: there or
 *   not, but such an object's bytes are whole, since they were synced before it got its name;
 * - an object put with `durable: false`: there, gone, or torn like appended bytes;
 * - a deletion, until its folder is synced: undone or not.
 *
 * Every call waits at the gate before it takes effect and once more before it answers, so others come in between, and the power may
 * go at either point; between the two a new name is seen by all and durable for nobody.
 */
import { PeatError } from '../../src/base/errors.ts';
import type { System } from '../../src/base/system.ts';
import type { AppendFile, ByteRange, ListedObject, ListOptions, Medium, PutOptions } from '../../src/medium/medium.ts';

interface StoredObject {
  bytes: Buffer;
  /** How many of the bytes are durable. */
  synced: number;
  hasDurableName: boolean;
  modifiedMs: number;
}

export interface PowerCutOptions {
  readonly system: System;
  readonly canAppend: boolean;
  /** From 0 up to 1: decides what a power cut takes. */
  readonly random: () => number;
}

export class PowerCutStorage {
  readonly canAppend: boolean;
  readonly system: System;
  readonly #random: () => number;
  readonly #objects = new Map<string, StoredObject>();
  /** Deleted, but not for good. */
  readonly #limbo = new Map<string, StoredObject>();
  #epoch = 0;
  #callsLeft = Number.POSITIVE_INFINITY;

  constructor(options: PowerCutOptions) {
    this.canAppend = options.canAppend;
    this.system = options.system;
    this.#random = options.random;
  }

  /** How often the power went. */
  get cuts(): number {
    return this.#epoch;
  }

  cutAfter(calls: number): void {
    this.#callsLeft = calls;
  }

  /** A process's way to the storage. `gate` is waited for before each step of a call. */
  handle(gate: () => Promise<void> = async () => {}): Medium {
    const epoch = this.#epoch;
    const step = (): void => this.#step(epoch);
    const call = async <T>(effect: () => T): Promise<T> => {
      await gate();
      step();
      const result = effect();
      await gate();
      step();
      return result;
    };
    return {
      description: 'memory that loses power',
      canAppend: this.canAppend,
      isRemote: false,
      localDirectory: undefined,
      blocking: undefined,
      putIfAbsent: async (name, bytes, options) => {
        const mine = await call(() => this.#put(name, bytes, options));
        if (mine && options?.durable !== false) this.#syncFolder(name);
        return mine;
      },
      get: (name, range) => call(() => this.#get(name, range)),
      list: (prefix, options) => call(() => this.#list(prefix, options)),
      listFolders: (prefix) => call(() => this.#listFolders(prefix)),
      delete: async (names) => {
        for (const name of names) await call(() => this.#delete(name));
      },
      openAppend: async (name) => {
        const object = await call(() => this.#create(name));
        return this.#append(name, { object, step, gate });
      },
      syncNames: (prefix) => call(() => this.#syncFolder(prefix)),
      nowMs: async () => undefined,
      close: async () => {},
    };
  }

  powerCut(): void {
    this.#epoch++;
    this.#callsLeft = Number.POSITIVE_INFINITY;
    for (const [name, object] of this.#limbo) if (!this.#objects.has(name) && this.#random() < 0.5) this.#objects.set(name, object);
    this.#limbo.clear();
    for (const [name, object] of this.#objects) {
      if (!object.hasDurableName && this.#random() < 0.5) this.#objects.delete(name);
      object.bytes = this.#tear(object.bytes, object.synced);
      object.synced = object.bytes.length;
      object.hasDurableName = true;
    }
  }

  /** Keeps the first `synced` bytes, and of the rest what chance keeps. */
  #tear(bytes: Buffer, synced: number): Buffer {
    const length = synced + Math.floor(this.#random() ** 0.5 * (bytes.length - synced + 1));
    const torn = Buffer.from(bytes.subarray(0, length));
    const piece = this.#random() < 0.5 ? 1 + Math.floor(this.#random() * 100) : 512;
    const lossChance = this.#random() < 0.5 ? 0 : 0.4;
    for (let at = synced; at < length; at += piece) if (this.#random() < lossChance) torn.fill(0, at, Math.min(at + piece, length));
    return torn;
  }

  #step(epoch: number): void {
    if (epoch === this.#epoch && --this.#callsLeft <= 0) this.powerCut();
    if (epoch !== this.#epoch) throw new PeatError('STORAGE', 'the power was cut');
  }

  #put(name: string, bytes: Uint8Array, options: PutOptions = {}): boolean {
    const there = this.#objects.get(name);
    if (there !== undefined) return there.bytes.equals(bytes);
    const object = this.#add(name, Buffer.from(bytes));
    if (options.durable !== false) object.synced = bytes.length;
    return true;
  }

  #add(name: string, bytes: Buffer): StoredObject {
    const object = { bytes, synced: 0, hasDurableName: false, modifiedMs: this.system.wallNowMs() };
    this.#objects.set(name, object);
    return object;
  }

  #create(name: string): StoredObject {
    if (!this.canAppend) throw new PeatError('MEDIUM_UNSUITABLE', 'no append-only files', { file: name });
    if (this.#objects.has(name)) throw new PeatError('STORAGE', `${name} is there`, { file: name });
    return this.#add(name, Buffer.alloc(0));
  }

  #get(name: string, range?: ByteRange): Buffer | undefined {
    const bytes = this.#objects.get(name)?.bytes;
    if (bytes === undefined) return undefined;
    return Buffer.from(range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length));
  }

  #list(prefix: string, options: ListOptions = {}): ListedObject[] {
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix) && name > (options.after ?? '')).sort();
    return names.map((name) => {
      const { bytes, modifiedMs } = this.#objects.get(name) as StoredObject;
      return options.stats === true ? { name, size: bytes.length, modifiedMs } : { name };
    });
  }

  #listFolders(prefix: string): string[] {
    const folders = this.#list(prefix).flatMap(({ name }) => name.slice(prefix.length).split('/').slice(0, -1).slice(0, 1));
    return [...new Set(folders)].sort();
  }

  #delete(name: string): void {
    const object = this.#objects.get(name);
    if (object === undefined) return;
    this.#objects.delete(name);
    if (object.hasDurableName) this.#limbo.set(name, object);
  }

  /** Makes the names in the folder of `path` durable, and those in the folders above it. */
  #syncFolder(path: string): void {
    for (
      let folder = path.slice(0, path.lastIndexOf('/') + 1);
      ;
      folder = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1)
    ) {
      const isIn = (name: string): boolean => name.startsWith(folder) && !name.slice(folder.length).includes('/');
      for (const [name, object] of this.#objects) if (isIn(name)) object.hasDurableName = true;
      for (const name of this.#limbo.keys()) if (isIn(name)) this.#limbo.delete(name);
      if (folder === '') return;
    }
  }

  #append(name: string, context: { object: StoredObject; step: () => void; gate: () => Promise<void> }): AppendFile {
    const { object, step, gate } = context;
    let isClosed = false;
    const checkOpen = (): void => {
      if (isClosed) throw new PeatError('CLOSED', `${name} was closed`);
    };
    return {
      write: (bytes) => {
        checkOpen();
        step();
        object.bytes = Buffer.concat([object.bytes, bytes]);
        object.modifiedMs = this.system.wallNowMs();
        step();
      },
      sync: async () => {
        checkOpen();
        const { length } = object.bytes;
        await gate();
        step();
        object.synced = Math.max(object.synced, length);
        this.#syncFolder(name);
        await gate();
        step();
      },
      syncBlocking: () => {
        throw new PeatError('MEDIUM_UNSUITABLE', 'this memory does not block');
      },
      close: () => {
        isClosed = true;
      },
    };
  }
}
