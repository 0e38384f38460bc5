/** Hosts, processes, and one lock of theirs, on a virtual clock. */
import { PeatError } from '../../src/base/errors.ts';
import type { LockTracer } from '../../src/lock/lock-tracer.ts';
import type { HolderIdentity, ProcessFacts, ProcessState } from '../../src/lock/process-facts.ts';
import { TicketLock } from '../../src/lock/ticket-lock.ts';
import { TicketQueue } from '../../src/lock/ticket-queue.ts';
import type { ListedObject, Medium, PutOptions } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import { type VirtualSystem, VirtualTime } from './virtual-system.ts';

export const PREFIX = 'lock/user/test/';

export interface Gate {
  /** Resolves when the call has come to the gate. */
  readonly reached: Promise<void>;
  open(): void;
}

export function storageError(errno: string): PeatError {
  return new PeatError('STORAGE', `the medium failed: ${errno}`, { cause: Object.assign(new Error(errno), { code: errno }) });
}

/** A medium whose calls can be held up, changed or failed from outside. */
export class HookedMedium {
  readonly inner: Medium;
  /** Called before each call, with the call's name and its first name or prefix. */
  before: (call: string, name: string) => unknown = () => {};
  /** Called after each put. */
  after: (call: string, name: string) => unknown = () => {};
  /** May replace what a listing shows. */
  listed: (objects: ListedObject[]) => ListedObject[] | Promise<ListedObject[]> = (objects) => objects;

  constructor(inner: Medium) {
    this.inner = inner;
  }

  /** From now on, calls whose name matches fail with this error of the system, until `mend`. */
  fail(errno: string, matches: (call: string, name: string) => boolean = () => true): void {
    this.before = (call, name) => {
      if (matches(call, name)) throw storageError(errno);
    };
  }

  mend(): void {
    this.before = () => {};
    this.after = () => {};
  }

  /** Holds up the first call that matches, before it has any effect. */
  gate(matches: (call: string, name: string) => boolean): Gate {
    let open = (): void => {};
    let note = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const reached = new Promise<void>((resolve) => {
      note = resolve;
    });
    let isOver = false;
    const { before } = this;
    this.before = async (call, name) => {
      await before(call, name);
      if (isOver || !matches(call, name)) return;
      isOver = true;
      note();
      await opened;
    };
    return { reached, open };
  }

  get medium(): Medium {
    const { inner } = this;
    return {
      description: inner.description,
      canAppend: inner.canAppend,
      isRemote: inner.isRemote,
      localDirectory: undefined,
      blocking: undefined,
      putIfAbsent: async (name: string, bytes: Uint8Array, options?: PutOptions) => {
        await this.before('put', name);
        const isMine = await inner.putIfAbsent(name, bytes, options);
        await this.after('put', name);
        return isMine;
      },
      get: async (name, range) => {
        await this.before('get', name);
        return await inner.get(name, range);
      },
      list: async (prefix, options) => {
        await this.before('list', prefix);
        return await this.listed(await inner.list(prefix, options));
      },
      listFolders: (prefix) => inner.listFolders(prefix),
      delete: async (names) => {
        await this.before('delete', names[0] ?? '');
        await inner.delete(names);
      },
      openAppend: (name) => inner.openAppend(name),
      syncNames: (prefix) => inner.syncNames(prefix),
      nowMs: () => inner.nowMs(),
      lastAnsweredAtMs: () => inner.lastAnsweredAtMs(),
      close: () => inner.close(),
    };
  }
}

export interface ProcessOptions {
  readonly host?: string;
  readonly wallOffsetMs?: number;
  readonly name?: string;
  readonly durable?: boolean;
  readonly tracer?: LockTracer;
}

/** A process: what the lock needs of it, and the levers to stop and kill it. */
export interface TestProcess {
  readonly system: VirtualSystem;
  readonly identity: HolderIdentity;
  readonly facts: ProcessFacts;
  readonly hooks: HookedMedium;
  readonly queue: TicketQueue;
  readonly lock: TicketLock;
  /** It runs no more; what it left behind stays. */
  kill(): void;
  stop(): void;
  resume(): void;
}

export class LockWorld {
  readonly time: VirtualTime = new VirtualTime();
  readonly medium: Medium = new MemoryMedium({ system: this.time.system(), canAppend: false, isRemote: true });
  readonly #states = new Map<string, ProcessState>();
  #pids = 100;

  process(options: ProcessOptions = {}): TestProcess {
    const { host = 'h1', wallOffsetMs = 0, name = 'test', durable = false, tracer } = options;
    const pid = this.#pids++;
    const system = this.time.system({ seed: pid, wallOffsetMs, monotonicOriginMs: pid * 1_000_000 });
    const identity: HolderIdentity = { host, bootId: `boot-of-${host}`, pidNamespace: 'pid:[1]', pid, startTime: pid * 7 };
    const id = JSON.stringify(identity);
    const facts: ProcessFacts = {
      self: identity,
      stateOf: (other) => (other.bootId === identity.bootId ? (this.#states.get(JSON.stringify(identityOf(other))) ?? 'dead') : 'unknown'),
    };
    const hooks = new HookedMedium(this.medium);
    const queueOptions = { medium: hooks.medium, system, facts, prefix: PREFIX, name, durable, tracer };
    const become = (state: ProcessState, paused: boolean) => () => {
      this.#states.set(id, state);
      system.paused = paused;
    };
    this.#states.set(id, 'alive');
    return {
      system,
      identity,
      facts,
      hooks,
      queue: new TicketQueue(queueOptions),
      lock: new TicketLock(queueOptions),
      kill: become('dead', true),
      stop: become('stopped', true),
      resume: become('alive', false),
    };
  }

  /** Names of the lock's files, without the prefix and leading zeros. */
  async files(): Promise<string[]> {
    return (await this.medium.list(PREFIX)).map(({ name }) => name.slice(PREFIX.length).replace(/0{2,}(?=\d)/g, ''));
  }
}

/** In the order of `identity` above: a decoded ticket has its keys sorted. */
function identityOf({ host, bootId, pidNamespace, pid, startTime }: HolderIdentity): HolderIdentity {
  return { host, bootId, pidNamespace, pid, startTime };
}
