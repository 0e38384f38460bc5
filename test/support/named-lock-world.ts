/** Processes that take named locks, on a virtual clock, and a process's signals that a test sends itself. */
import type { Environment } from '../../src/lock/inherited-lock.ts';
import type { NamedLockOptions, StructuralLockOptions } from '../../src/lock/named-lock.ts';
import { NamedLocks } from '../../src/lock/named-locks.ts';
import { type SignalListener, SignalRelease, type SignalSeam } from '../../src/lock/signal-release.ts';
import { LockWorld, type ProcessOptions, type TestProcess } from './lock-world.ts';

export const STORE_ID = 'store00000000000000a';

export class TestSignals implements SignalSeam {
  readonly raised: string[] = [];
  readonly ending = { count: 0 };
  readonly #listeners = new Map<string, SignalListener[]>();

  listeners(signal: string): readonly SignalListener[] {
    return this.#listeners.get(signal) ?? [];
  }

  prepend(signal: string, listener: SignalListener): void {
    this.#listeners.set(signal, [listener, ...this.listeners(signal)]);
  }

  /** The program's own. */
  add(signal: string, listener: SignalListener): void {
    this.#listeners.set(signal, [...this.listeners(signal), listener]);
  }

  remove(signal: string, listener: SignalListener): void {
    this.#listeners.set(
      signal,
      this.listeners(signal).filter((one) => one !== listener),
    );
  }

  raise(signal: string): void {
    this.raised.push(signal);
  }

  /** As the system would: all that listen at this moment are called. */
  send(signal: NodeJS.Signals): void {
    for (const listener of this.listeners(signal)) listener(signal);
  }
}

type Ask = NamedLockOptions & { readonly stack?: string };

export class NamedProcess {
  readonly process: TestProcess;
  readonly signals: TestSignals = new TestSignals();
  readonly named: NamedLocks;

  constructor(process: TestProcess, environment: Environment) {
    this.process = process;
    const { system, facts, hooks } = process;
    this.named = new NamedLocks({
      medium: hooks.medium,
      system,
      facts,
      storeId: STORE_ID,
      environment,
      signals: new SignalRelease(this.signals, system),
    });
  }

  lock(name: string, { stack = '', ...options }: Ask = {}): ReturnType<NamedLocks['lock']> {
    return this.named.lock(name, { options, called: { stack } });
  }

  locks(names: readonly string[], { stack = '', ...options }: Ask = {}): ReturnType<NamedLocks['locks']> {
    return this.named.locks(names, { options, called: { stack } });
  }

  exclusive(options: StructuralLockOptions = {}): ReturnType<NamedLocks['exclusive']> {
    return this.named.exclusive({ options, called: {} });
  }
}

export class NamedLockWorld extends LockWorld {
  named(options: ProcessOptions & { environment?: Environment } = {}): NamedProcess {
    return new NamedProcess(this.process(options), options.environment ?? {});
  }

  /** Names of tickets that are not over. */
  async live(): Promise<string[]> {
    const names = (await this.medium.list('lock/')).map(({ name }) => name);
    const tickets = names.filter((name) => /\/\d{20}$/.test(name));
    return tickets.filter((name) => !names.includes(`${name}.done`) && !this.#isBelowFloor(names, name)).map(short);
  }

  #isBelowFloor(names: readonly string[], ticket: string): boolean {
    const folder = ticket.slice(0, ticket.lastIndexOf('/') + 1);
    return names.some((name) => name.startsWith(`${folder}floor-`) && name.slice(-20) >= ticket.slice(-20));
  }
}

function short(name: string): string {
  return name.replace(/0{2,}(?=\d)/g, '').replace('lock/', '');
}
