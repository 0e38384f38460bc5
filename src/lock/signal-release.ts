/**
 * Gives locks back when a signal ends the process. While there is something to give back, INT, TERM and HUP are listened for. When one
 * comes, and nobody else in the program listens for it, everything is given back, for at most 5 s, and then the process dies of that
 * signal, so its exit status is the one that it would have had. A second signal meanwhile ends it at once.
 *
 * The program learns that its locks are gone only in the same turn in which the process dies: its listeners for that run, and nothing else. If it learnt
 * it before, a program that heeds `lock.signal` would end by itself, with an uncaught error, a code of its own, or none, before the
 * signal is sent. The price: until then its work goes on, for a moment of which others may already have the lock; a few milliseconds, or up to 5 s
 * where storage hangs. That is the same as with a process that was stopped and goes on, against which only fencing tokens help.
 *
 * A program with a listener of its own is in charge: nothing is done here. The listener here comes first in line, so that those that
 * listen for one signal only (`once`) are still there to be counted.
 *
 * A process may hold more than one copy of this package. They know each other's listeners by a mark, don't count them as the program's
 * own, and the last one that is done sends the signal, by a count that they share.
 */
import { nodeSystem, type System } from '../base/system.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type EndingSignal = (typeof SIGNALS)[number];
export type SignalListener = (signal: NodeJS.Signals) => void;

/** What is needed of the process. */
export interface SignalSeam {
  listeners(signal: NodeJS.Signals): readonly object[];
  /** Adds a listener before all others. */
  prepend(signal: EndingSignal, listener: SignalListener): void;
  remove(signal: EndingSignal, listener: SignalListener): void;
  /** Sends the signal to this process. */
  raise(signal: NodeJS.Signals): void;
  /** How many copies of this package are giving back. */
  readonly ending: { count: number };
}

/** Something to give back: what is held, or waited for. */
export interface Releasable {
  /** Ends the wait, or gives back; the program does not learn it yet. Never rejects. */
  giveBack(why: string): Promise<void>;
  /** The program learns it: what waits for the lock fails, its `signal` aborts. */
  tell(why: string): void;
}

const GIVE_BACK_MS_MAX = 5000;
const MARK = Symbol.for('peatlog.signal-release');

export class SignalRelease {
  readonly #seam: SignalSeam;
  readonly #system: System;
  readonly #releasables = new Set<Releasable>();
  #isEnding = false;
  readonly #listener: SignalListener = Object.assign((signal: NodeJS.Signals) => this.#onSignal(signal), { [MARK]: true });

  constructor(seam: SignalSeam, system: System) {
    this.#seam = seam;
    this.#system = system;
  }

  /** Until the returned function is called. */
  add(releasable: Releasable): () => void {
    if (this.#releasables.size === 0 && !this.#isEnding) this.#listen();
    this.#releasables.add(releasable);
    return () => {
      if (this.#releasables.delete(releasable) && this.#releasables.size === 0) this.#stopListening();
    };
  }

  #listen(): void {
    for (const signal of SIGNALS) this.#seam.prepend(signal, this.#listener);
  }

  #stopListening(): void {
    for (const signal of SIGNALS) this.#seam.remove(signal, this.#listener);
  }

  #onSignal(signal: NodeJS.Signals): void {
    if (this.#seam.listeners(signal).some((listener) => !(MARK in listener))) return;
    void this.#end(signal);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    // The next signal, and the one sent below, finds the process as if nobody had ever listened.
    this.#isEnding = true;
    this.#stopListening();
    this.#seam.ending.count++;
    const why = `${signal} ends this process`;
    const ended = [...this.#releasables];
    const over = new AbortController();
    const all = Promise.all(ended.map((one) => one.giveBack(why)));
    try {
      await Promise.race([all, this.#system.sleep(GIVE_BACK_MS_MAX, { signal: over.signal })]);
    } finally {
      over.abort();
      this.#seam.ending.count--;
      for (const one of ended) {
        this.#releasables.delete(one);
        one.tell(why);
      }
      if (this.#seam.ending.count === 0) this.#raise(signal);
    }
  }

  /** The process goes on if the program began to listen meanwhile: then it is in charge, and what it takes from now on is guarded as before. */
  #raise(signal: NodeJS.Signals): void {
    this.#seam.raise(signal);
    this.#isEnding = false;
    if (this.#releasables.size > 0) this.#listen();
  }
}

/** Shared by all copies of this package in the process. */
const shared = globalThis as { [MARK]?: { count: number } };

const nodeSignals: SignalSeam = {
  listeners: (signal) => process.listeners(signal),
  prepend: (signal, listener) => process.prependListener(signal, listener),
  remove: (signal, listener) => process.removeListener(signal, listener),
  raise: (signal) => process.kill(process.pid, signal),
  get ending() {
    shared[MARK] ??= { count: 0 };
    return shared[MARK];
  },
};

let ofThisProcess: SignalRelease | undefined;

/** One for all stores of the process. */
export function nodeSignalRelease(): SignalRelease {
  ofThisProcess ??= new SignalRelease(nodeSignals, nodeSystem);
  return ofThisProcess;
}
