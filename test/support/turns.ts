/**
 * Interleaves actors at their calls of a medium: each call waits for its turn, and a seeded choice says whose it is. An
 * actor may be frozen for a while, like a process that got SIGSTOP, while the others go on and time passes.
 */
import type { AppendFile, ByteRange, ListedObject, ListOptions, Medium, PutOptions } from '../../src/medium/medium.ts';
import { settle, type VirtualSystem } from './virtual-system.ts';

interface Waiting {
  readonly actor: string;
  go(): void;
}

export interface TurnsOptions {
  /** Chance, at a turn, that its actor is frozen instead. */
  readonly freezeChance?: number;
  /** Turns that a frozen actor misses at most. */
  readonly frozenTurnsMax?: number;
  /** Time that passes at each turn at most. */
  readonly stepMsMax?: number;
}

export class Turns {
  readonly #system: VirtualSystem;
  readonly #options: Required<TurnsOptions>;
  #waiting: Waiting[] = [];
  readonly #frozenUntil = new Map<string, number>();
  #turn = 0;

  constructor(system: VirtualSystem, options: TurnsOptions = {}) {
    this.#system = system;
    this.#options = { freezeChance: 0.01, frozenTurnsMax: 300, stepMsMax: 0, ...options };
  }

  take(actor: string): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ actor, go });
    });
  }

  /** Runs the actors to their ends. */
  async run(actors: readonly Promise<unknown>[]): Promise<void> {
    let isDone = false;
    const all = Promise.all(actors).finally(() => {
      isDone = true;
    });
    all.catch(() => {});
    while (!isDone) {
      await settle();
      this.#turn++;
      if (this.#options.stepMsMax > 0) await this.#system.advance(Math.floor(this.#system.random() * this.#options.stepMsMax));
      this.#choose()?.go();
    }
    await all;
  }

  #choose(): Waiting | undefined {
    const awake = this.#waiting.filter(({ actor }) => (this.#frozenUntil.get(actor) ?? 0) <= this.#turn);
    const chosen = awake[Math.floor(this.#system.random() * awake.length)];
    if (chosen === undefined) return undefined;
    if (this.#system.random() < this.#options.freezeChance) {
      this.#frozenUntil.set(chosen.actor, this.#turn + Math.floor(this.#system.random() * this.#options.frozenTurnsMax));
      return undefined;
    }
    this.#waiting = this.#waiting.filter((waiting) => waiting !== chosen);
    return chosen;
  }
}

/** The medium as one actor sees it. */
export function turnMedium(inner: Medium, turns: Turns, actor: string): Medium {
  const turn = async <T>(call: () => Promise<T>): Promise<T> => {
    await turns.take(actor);
    return await call();
  };
  return {
    description: inner.description,
    canAppend: inner.canAppend,
    isRemote: inner.isRemote,
    localDirectory: undefined,
    blocking: undefined,
    putIfAbsent: (name: string, bytes: Uint8Array, options?: PutOptions) => turn(() => inner.putIfAbsent(name, bytes, options)),
    get: (name: string, range?: ByteRange) => turn(() => inner.get(name, range)),
    list: (prefix: string, options?: ListOptions): Promise<ListedObject[]> => turn(() => inner.list(prefix, options)),
    listFolders: (prefix: string) => turn(() => inner.listFolders(prefix)),
    delete: (names: readonly string[]) =>
      turn(async () => {
        // Not at once: others see some gone and some not.
        for (const name of names) {
          await turns.take(actor);
          await inner.delete([name]);
        }
      }),
    openAppend: (name: string): Promise<AppendFile> => turn(() => inner.openAppend(name)),
    syncNames: (prefix: string) => turn(() => inner.syncNames(prefix)),
    nowMs: () => inner.nowMs(),
    lastAnsweredAtMs: () => inner.lastAnsweredAtMs(),
    close: () => inner.close(),
  };
}
