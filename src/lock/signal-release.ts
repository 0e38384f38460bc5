/**
 * Gives locks back when a signal ends the process. While there is something to give back, INT, TERM and HUP are listened for. When one
 * comes, and nobody else in the program listens for it, everything is given back, for at most 5 s, and then the process dies of that
 * signal, so its exit status is the one that it would have had. A second signal meanwhile ends it at once.
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
  /** Never rejects. */
  giveBack(why: string): Promise<void>;
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
    if (this.#releasables.size === 0 && !this.#isEnding) for (const signal of SIGNALS) this.#seam.prepend(signal, this.#listener);
    this.#releasables.add(releasable);
    return () => {
      if (this.#releasables.delete(releasable) && this.#releasables.size === 0) this.#stopListening();
    };
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
    const over = new AbortController();
    const all = Promise.all([...this.#releasables].map((one) => one.giveBack(`${signal} ends this process`)));
    try {
      await Promise.race([all, this.#system.sleep(GIVE_BACK_MS_MAX, { signal: over.signal })]);
    } finally {
      over.abort();
      this.#seam.ending.count--;
      if (this.#seam.ending.count === 0) this.#seam.raise(signal);
    }
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
