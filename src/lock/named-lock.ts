/** What a caller holds: one named lock, several of them, or the structural lock. */
import { PeatError } from '../base/errors.ts';
import { handOn, LOCKS_VARIABLE } from './inherited-lock.ts';
import type { LockMode } from './lock-sites.ts';

export interface StructuralLockOptions {
  /** Gives up with `LOCK_TIMEOUT` after so many milliseconds, all in all. Default 60,000. */
  readonly maxWaitMs?: number | undefined;
  /**
   * How long the holder may show no sign of life before others take the lock, ms; a process of the same machine that has ended is
   * replaced at once. Default 15,000.
   */
  readonly leaseMs?: number | undefined;
  /** Gives up with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** What for, for those who wait, and for `listLocks`. Default: the file and line of the call. */
  readonly purpose?: string | undefined;
  /** Called before each pause of the wait; the pause ends when its promise does. A hint: its failure is ignored. */
  readonly wake?: (() => Promise<unknown>) | undefined;
}

export interface NamedLockOptions extends StructuralLockOptions {
  /** Holders in `'shared'` mode hold together, those in `'exclusive'` mode alone. Default `'exclusive'`. */
  readonly mode?: LockMode | undefined;
}

export interface NamedLock extends AsyncDisposable {
  /** What was asked for, in the order of the names' bytes; none for the structural lock. */
  readonly names: readonly string[];
  readonly mode: LockMode;
  /**
   * The fencing number: higher than that of every holder before. Have it checked where you write: refuse lower ones than were seen (C5).
   * Of several locks the one of the first name; see `tokens`.
   */
  readonly token: number;
  /** In the order of `names`; of the structural lock, its own. */
  readonly tokens: readonly number[];
  /** Aborted when (one of) the locks is lost, with a `LOCK_LOST` error: stolen, its lease not kept, or the store closed. */
  readonly signal: AbortSignal;
  /** For the environment of a child process that is to work under this lock: `{ env: { ...process.env, ...lock.env } }`. */
  readonly env: Readonly<Record<string, string>>;
  /** Gives back. Idempotent, and never rejects: what can't be written now is written later, while the process lives. */
  release(): Promise<void>;
}

/** One ticket of a `NamedLock`: a `LockHandle`, or an `InheritedLock`. */
export interface HeldTicket {
  readonly token: number;
  readonly nonce: string;
  readonly signal: AbortSignal;
  readonly releaseFailure: unknown;
  /** Runs the holder's work, so that a trace can tell what it does. */
  run<T>(work: () => T): T;
  release(): Promise<void>;
}

export interface HeldPart {
  readonly name: string;
  readonly prefix: string;
  readonly ticket: HeldTicket;
  readonly isInherited: boolean;
}

export interface HeldNamedLockFacts {
  readonly names: readonly string[];
  readonly mode: LockMode;
  readonly parts: readonly HeldPart[];
  readonly storeId: string;
  /** What this process was handed by its own parent, as it stands in its environment. */
  readonly inherited: string | undefined;
  /** For people: what it is held for. */
  readonly purpose: string;
}

export class HeldNamedLock implements NamedLock {
  readonly names: readonly string[];
  readonly mode: LockMode;
  readonly purpose: string;
  readonly #facts: HeldNamedLockFacts;
  readonly #lost = new AbortController();
  readonly #afterwards: (() => void)[] = [];
  #isReleased = false;
  #isRevoked = false;
  #releasing: Promise<void> | undefined;

  constructor(facts: HeldNamedLockFacts) {
    this.#facts = facts;
    this.names = facts.names;
    this.mode = facts.mode;
    this.purpose = facts.purpose;
    for (const { ticket } of facts.parts) {
      const { signal } = ticket;
      if (signal.aborted) this.#lost.abort(signal.reason);
      else signal.addEventListener('abort', () => this.#lost.abort(signal.reason), { once: true });
    }
  }

  get token(): number {
    return this.tokens[0] as number;
  }

  get tokens(): readonly number[] {
    return this.#facts.parts.map(({ ticket }) => ticket.token);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get env(): Readonly<Record<string, string>> {
    const { storeId, parts, inherited } = this.#facts;
    const own = parts.map(({ prefix, isInherited, ticket: { token, nonce } }) => ({ storeId, prefix, token, nonce, isInherited }));
    return { [LOCKS_VARIABLE]: handOn(inherited, own) };
  }

  /** `then` is called once it was given back. */
  whenReleased(then: () => void): void {
    if (this.#isReleased) then();
    else this.#afterwards.push(then);
  }

  run<T>(work: () => T): T {
    return this.#facts.parts.reduce<() => T>(
      (inner, { ticket }) =>
        () =>
          ticket.run(inner),
      work,
    )();
  }

  release(): Promise<void> {
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  /** Gives back in the holder's place, who does not learn it by that. */
  revoke(): Promise<void> {
    this.#isRevoked ||= this.#releasing === undefined;
    return this.release();
  }

  /** Tells the holder that the lock is its own no more, unless it gave back itself. */
  lose(why: string): void {
    if (this.#releasing !== undefined && !this.#isRevoked) return;
    const lock = this.#facts.parts.map(({ name }) => name).join(', ');
    this.#lost.abort(new PeatError('LOCK_LOST', `lock ${lock} was lost: ${why}`, { lock }));
  }

  async #release(): Promise<void> {
    await giveBack(this.#facts.parts);
    this.#isReleased = true;
    for (const then of this.#afterwards) then();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Gives all back, whatever happens, and says what could not be given back at once. */
export async function giveBack(parts: readonly HeldPart[]): Promise<unknown[]> {
  await Promise.all(parts.map(({ ticket }) => ticket.release()));
  return parts.map(({ ticket }) => ticket.releaseFailure).filter((failure) => failure !== undefined);
}
