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
 * go at either point; between the two a new name is seen by all and durable for nobody. What changes while a listing runs, it may show or
 * not. Blocking calls, where they are asked for, wait for nobody.
 */
import { PeatError } from '../../src/base/errors.ts';
import type { System } from '../../src/base/system.ts';
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
import { MediumTime } from '../../src/medium/medium-time.ts';
import { SortedNames } from '../../src/medium/sorted-names.ts';

interface StoredObject {
  bytes: Buffer;
  /** How many of the bytes are durable. */
  synced: number;
  hasDurableName: boolean;
  modifiedMs: number;
  /** Zeros that readers find behind the bytes. */
  zeros: number;
}

export interface PowerCutOptions {
  readonly system: Pick<System, 'wallNowMs'>;
  readonly canAppend: boolean;
  /** From 0 up to 1: decides what a power cut takes. */
  readonly random: () => number;
  /** Plays a medium across a network, which has a clock of its own. Default false. */
  readonly isRemote?: boolean;
  /** Append-only files may have blocks allocated ahead. Default false. */
  readonly preallocates?: boolean;
}

export interface StorageCall {
  readonly op: 'putIfAbsent' | 'get' | 'list' | 'listFolders' | 'delete' | 'openAppend' | 'sync' | 'syncNames' | 'nowMs';
  /** The object or the prefix. */
  readonly name: string;
  /** Of a put. */
  readonly bytes?: Uint8Array;
}

/** Waited for before each step of a call. What it throws is the call's failure: of one that had no effect, or had it. */
export type Gate = (call: StorageCall, step: 'effect' | 'answer') => Promise<void>;

export interface HandleOptions {
  /** Offers the calls that block. Default false. */
  readonly blocking?: boolean;
}

export class PowerCutStorage {
  readonly canAppend: boolean;
  /** While true nothing can be created, and appends fail in their midst. */
  isFull = false;
  readonly #options: PowerCutOptions;
  readonly #random: () => number;
  readonly #objects = new Map<string, StoredObject>();
  readonly #names = new SortedNames();
  /** Deleted, but not for good. */
  readonly #limbo = new Map<string, StoredObject>();
  #epoch = 0;
  #callsLeft = Number.POSITIVE_INFINITY;

  constructor(options: PowerCutOptions) {
    this.#options = options;
    this.canAppend = options.canAppend;
    this.#random = options.random;
  }

  /** How often the power went. */
  get cuts(): number {
    return this.#epoch;
  }

  /** What is there now, in order. */
  get names(): readonly string[] {
    return this.#names.all;
  }

  cutAfter(calls: number): void {
    this.#callsLeft = calls;
  }

  /** A process's way to the storage. */
  handle(gate: Gate = async () => {}, options: HandleOptions = {}): Medium {
    const epoch = this.#epoch;
    const step = (): void => this.#step(epoch);
    const time = new MediumTime();
    const call = async <T>(facts: StorageCall, effect: () => T, onAnswer?: ListOptions['onAnswer']): Promise<T> => {
      await gate(facts, 'effect');
      step();
      const result = effect();
      const dateMs = this.#options.system.wallNowMs();
      await gate(facts, 'answer');
      step();
      if (this.#options.isRemote === true) {
        const answeredAtMs = time.note(dateMs);
        onAnswer?.(answeredAtMs);
      }
      return result;
    };
    return {
      description: 'memory that loses power',
      canAppend: this.canAppend,
      isRemote: this.#options.isRemote === true,
      localDirectory: undefined,
      blocking: options.blocking === true ? this.#blocking(step) : undefined,
      putIfAbsent: async (name, bytes, putOptions) => {
        const mine = await call({ op: 'putIfAbsent', name, bytes }, () => this.#put(name, bytes, putOptions));
        if (mine && putOptions?.durable !== false) this.#syncFolder(name);
        return mine;
      },
      get: (name, range) => call({ op: 'get', name }, () => this.#get(name, range)),
      list: async (prefix, listOptions) => {
        const before = await call({ op: 'list', name: prefix }, () => this.#list(prefix, listOptions), listOptions?.onAnswer);
        return this.#blur(before, this.#list(prefix, listOptions));
      },
      listFolders: (prefix) => call({ op: 'listFolders', name: prefix }, () => this.#listFolders(prefix)),
      delete: async (names) => {
        for (const name of names) await call({ op: 'delete', name }, () => this.#delete(name));
      },
      openAppend: async (name) => {
        const object = await call({ op: 'openAppend', name }, () => this.#create(name));
        return this.#append(name, { object, step, gate });
      },
      syncNames: (prefix) => call({ op: 'syncNames', name: prefix }, () => this.#syncFolder(prefix)),
      nowMs: async () =>
        this.#options.isRemote === true ? await call({ op: 'nowMs', name: '' }, () => this.#options.system.wallNowMs()) : undefined,
      lastAnsweredAtMs: () => time.lastAnsweredAtMs(),
      close: async () => {},
    };
  }

  #blocking(step: () => void): BlockingMedium {
    const call = <T>(effect: () => T): T => {
      step();
      const result = effect();
      step();
      return result;
    };
    return {
      putIfAbsent: (name, bytes, options) =>
        call(() => {
          const mine = this.#put(name, bytes, options);
          if (mine && options?.durable !== false) this.#syncFolder(name);
          return mine;
        }),
      get: (name, range) => call(() => this.#get(name, range)),
      list: (prefix, options) => call(() => this.#list(prefix, options)),
      openAppend: (name) => this.#append(name, { object: call(() => this.#create(name)), step, gate: async () => {} }),
      syncNames: (prefix) => call(() => this.#syncFolder(prefix)),
      watermark: (prefix): Watermark | undefined => this.#names.watermark(prefix),
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
    this.#names.reset(this.#objects.keys());
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
    if (this.isFull) throw noSpace(name);
    const object = { bytes, synced: 0, hasDurableName: false, modifiedMs: this.#options.system.wallNowMs(), zeros: 0 };
    this.#objects.set(name, object);
    this.#names.add(name);
    return object;
  }

  #create(name: string): StoredObject {
    if (!this.canAppend) throw new PeatError('MEDIUM_UNSUITABLE', 'no append-only files', { file: name });
    if (this.#objects.has(name)) throw new PeatError('STORAGE', `${name} is there`, { file: name });
    const object = this.#add(name, Buffer.alloc(0));
    if (this.#options.preallocates === true && this.#random() < 0.5) object.zeros = 8 + Math.floor(this.#random() * 500);
    return object;
  }

  #get(name: string, range?: ByteRange): Buffer | undefined {
    const object = this.#objects.get(name);
    if (object === undefined) return undefined;
    const bytes = object.zeros === 0 ? object.bytes : Buffer.concat([object.bytes, Buffer.alloc(object.zeros)]);
    return Buffer.from(range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length));
  }

  #list(prefix: string, options: ListOptions = {}): ListedObject[] {
    const listed: ListedObject[] = [];
    for (const name of this.#names.under(prefix, options.after)) {
      const { bytes, zeros, modifiedMs } = this.#objects.get(name) as StoredObject;
      listed.push(options.stats === true ? { name, size: bytes.length + zeros, modifiedMs } : { name });
    }
    return listed;
  }

  /** Of what only one of two listings shows, each may be shown or not. */
  #blur(before: readonly ListedObject[], after: readonly ListedObject[]): ListedObject[] {
    const blurred: ListedObject[] = [];
    for (let b = 0, a = 0; b < before.length || a < after.length; ) {
      const old = before[b];
      const young = after[a];
      if (old !== undefined && old.name === young?.name) {
        blurred.push(young);
        a++;
        b++;
      } else if (young === undefined || (old !== undefined && old.name < young.name)) {
        if (this.#random() < 0.5) blurred.push(old as ListedObject);
        b++;
      } else {
        if (this.#random() < 0.5) blurred.push(young);
        a++;
      }
    }
    return blurred;
  }

  #listFolders(prefix: string): string[] {
    const folders = this.#list(prefix).flatMap(({ name }) => name.slice(prefix.length).split('/').slice(0, -1).slice(0, 1));
    return [...new Set(folders)].sort();
  }

  #delete(name: string): void {
    const object = this.#objects.get(name);
    if (object === undefined) return;
    this.#objects.delete(name);
    this.#names.delete(name);
    if (object.hasDurableName) this.#limbo.set(name, object);
  }

  /** Makes the names in the folder of `path` durable, and those in the folders above it. */
  #syncFolder(path: string): void {
    for (
      let folder = path.slice(0, path.lastIndexOf('/') + 1);
      ;
      folder = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1)
    ) {
      const isIn = (name: string): boolean => !name.slice(folder.length).includes('/');
      for (const name of this.#names.under(folder)) {
        if (isIn(name)) (this.#objects.get(name) as StoredObject).hasDurableName = true;
      }
      for (const name of this.#limbo.keys()) if (name.startsWith(folder) && isIn(name)) this.#limbo.delete(name);
      if (folder === '') return;
    }
  }

  #append(name: string, context: { object: StoredObject; step: () => void; gate: Gate }): AppendFile {
    const { object, step, gate } = context;
    let isClosed = false;
    const checkOpen = (): void => {
      if (isClosed) throw new PeatError('CLOSED', `${name} was closed`);
    };
    const syncTo = (length: number): void => {
      object.synced = Math.max(object.synced, length);
      this.#syncFolder(name);
    };
    return {
      write: (bytes) => {
        checkOpen();
        step();
        const taken = this.isFull ? bytes.subarray(0, bytes.length >> 1) : bytes;
        object.bytes = Buffer.concat([object.bytes, taken]);
        object.modifiedMs = this.#options.system.wallNowMs();
        if (this.isFull) throw noSpace(name);
        step();
      },
      sync: async () => {
        checkOpen();
        const { length } = object.bytes;
        await gate({ op: 'sync', name }, 'effect');
        step();
        syncTo(length);
        await gate({ op: 'sync', name }, 'answer');
        step();
      },
      syncBlocking: () => {
        checkOpen();
        step();
        syncTo(object.bytes.length);
        step();
      },
      close: () => {
        isClosed = true;
        object.zeros = 0;
      },
    };
  }
}

function noSpace(name: string): PeatError {
  const cause = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  return new PeatError('STORAGE', `${name}: ${cause.message}`, { file: name, cause });
}
