/**
 * What a namespace may hold, as its callers were told: what was acknowledged is there, what failed is not, and what has an unknown outcome is
 * there as a whole or not at all. Writes take effect in the order in which they were called.
 */
import { isPeatError, type PeatErrorCode } from '../../src/base/errors.ts';

export type State = ReadonlyMap<string, unknown>;
export type Effect = (state: Map<string, unknown>) => void;
type Outcome = 'acknowledged' | 'failed' | 'unknown';

/** Errors of a write that say that nothing was written. */
const NOTHING_WRITTEN: ReadonlySet<PeatErrorCode> = new Set(['STORAGE', 'ACCESS_DENIED', 'TEMPORARY', 'LOCK_TIMEOUT']);

export const put =
  (key: string, value: unknown): Effect =>
  (state) => {
    state.set(key, value);
  };

export const del =
  (key: string): Effect =>
  (state) => {
    state.delete(key);
  };

export const all =
  (...effects: readonly Effect[]): Effect =>
  (state) => {
    for (const effect of effects) effect(state);
  };

/** What an error says of a call; undefined if no such call may fail with it because of its medium. */
export function outcomeOf(error: unknown): Outcome | undefined {
  if (isPeatError(error, 'OUTCOME_UNKNOWN')) return 'unknown';
  if (isPeatError(error) && NOTHING_WRITTEN.has(error.code)) return 'failed';
  if (!(error instanceof AggregateError)) return undefined;
  const outcomes = error.errors.map(outcomeOf);
  if (outcomes.includes(undefined)) return undefined;
  return outcomes.includes('unknown') ? 'unknown' : 'failed';
}

interface Deed {
  readonly effect: Effect;
  /** Where its outcome is unknown it may take effect after what was called later. */
  readonly mayComeLate: boolean;
  outcome: Outcome;
}

export class Ledger {
  #start: State;
  #deeds: Deed[] = [];

  constructor(start: State = new Map()) {
    this.#start = start;
  }

  /** To be called when the write is called, not when it is answered. Until it is, its outcome is unknown. */
  begin(effect: Effect, { mayComeLate = false } = {}): (outcome: Outcome) => void {
    const deed: Deed = { effect, mayComeLate, outcome: 'unknown' };
    this.#deeds.push(deed);
    return (outcome) => {
      deed.outcome = outcome;
    };
  }

  /** All that may be there; the first one has all that is unknown. */
  possible(): State[] {
    let states: State[] = [this.#start];
    for (const { effect, outcome } of this.#deeds) {
      if (outcome === 'failed') continue;
      const after = states.map((state) => applied(state, effect));
      states = outcome === 'acknowledged' ? after : [...after, ...states];
    }
    const late = this.#deeds.filter(({ outcome, mayComeLate }) => mayComeLate && outcome === 'unknown');
    return [...states, ...late.flatMap(({ effect }) => states.map((state) => applied(state, effect)))];
  }

  /** Undefined if what was read may be there; else what is wrong with it. */
  judge(read: State): string | undefined {
    const states = this.possible();
    const text = textOf(read);
    if (states.some((state) => textOf(state) === text)) return undefined;
    return `${difference(states[0] as State, read)} (of ${states.length} states that may be)`;
  }

  /** What was read once stays: nothing is undecided any more. */
  settle(read: State): void {
    this.#start = read;
    this.#deeds = [];
  }
}

function applied(state: State, effect: Effect): State {
  const next = new Map(state);
  effect(next);
  return next;
}

function textOf(state: State): string {
  return JSON.stringify([...state].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function difference(expected: State, read: State): string {
  const short = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 40));
  const keys = [...new Set([...expected.keys(), ...read.keys()])].sort();
  const differing = keys.filter((key) => JSON.stringify(expected.get(key)) !== JSON.stringify(read.get(key)));
  return differing.map((key) => `${key}: ${short(expected.get(key))} may be there, ${short(read.get(key))} is read`).join('; ');
}
