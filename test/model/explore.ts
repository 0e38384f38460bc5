/**
 * A breadth-first explorer of explicit-state models: it visits every state that a model can reach, each once, and tells
 * the shortest way to one that must not be.
 *
 * What a model is: an initial state, `steps` (everything that anyone may do next, each with a label), `violation` (what is
 * wrong with a state), and, for liveness, `finished`: then from every reachable state a finished one must still be
 * reachable. That says that nobody is ever trapped; it does not say that a particular one is served.
 *
 * What always holds: a state is plain data (numbers, strings, booleans, null, undefined, arrays, plain objects) and is
 * never changed after it was handed over; a step builds a new one that shares what it did not change. Two states are the
 * same if their data is the same, the fields in the same order. Sets are kept as sorted arrays by the model (`adding`).
 *
 * How it is fast: each array and object within a state is looked up by its contents, level by level, and is given a number,
 * which it keeps (so it must not be frozen). The cost of a state is that of the parts that are new, and its key is short.
 * Only keys and parents are kept; a trace is found by walking the steps again.
 */
export interface Model<S> {
  readonly name: string;
  readonly initial: S;
  steps(state: S, to: (label: string, next: S) => void): void;
  /** What is wrong with this state, or undefined. */
  violation(state: S): string | undefined;
  /** Given: from every state one where this is true must be reachable. */
  finished?(state: S): boolean;
}

/** What a class with the steps of a model gives; `live` asks whether everyone can still finish, too. */
export function modelOf<S>(
  name: string,
  steps: Omit<Model<S>, 'name' | 'initial'> & { initial(): S; finished(state: S): boolean },
  { live }: { live: boolean },
): Model<S> {
  return {
    name,
    initial: steps.initial(),
    steps: (state, to) => steps.steps(state, to),
    violation: (state) => steps.violation(state),
    ...(live ? { finished: (state: S) => steps.finished(state) } : {}),
  };
}

export interface ExploreOptions {
  /** Explore no more states than this; default 3,000,000. */
  readonly statesMax?: number;
}

export interface Exploration {
  /** `bound`: the states were too many, and those that were seen are sound; liveness was not judged. */
  readonly verdict: 'holds' | 'violated' | 'trapped' | 'bound';
  readonly states: number;
  readonly transitions: number;
  readonly seconds: number;
  readonly problem?: string;
  /** The labels from the initial state to the one in which the problem shows. */
  readonly trace?: readonly string[];
}

export function explore<S>(model: Model<S>, options: ExploreOptions = {}): Exploration {
  const startedMs = performance.now();
  const statesMax = options.statesMax ?? 3_000_000;
  const keys = new Keys();
  const numbers = new Map<string, number>();
  const parents = new IntList();
  const edges = new IntList();
  const finished = new IntList();
  let transitions = 0;
  let frontier: S[] = [];
  let next: S[] = [];

  const result = (verdict: Exploration['verdict'], found?: { problem: string; at: number }): Exploration => ({
    verdict,
    states: numbers.size,
    transitions,
    seconds: (performance.now() - startedMs) / 1000,
    ...(found === undefined ? {} : { problem: found.problem, trace: traceTo(model, { keys, numbers, parents, at: found.at }) }),
  });
  const visit = (state: S, from: number): void => {
    const key = keys.of(state);
    let number = numbers.get(key);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(key, number);
      parents.push(from);
      next.push(state);
    }
    if (model.finished !== undefined && from >= 0) edges.push2(from, number);
  };

  visit(model.initial, -1);
  let at = 0;
  while (next.length > 0) {
    [frontier, next] = [next, []];
    for (const state of frontier) {
      const problem = model.violation(state);
      if (problem !== undefined) return result('violated', { problem, at });
      if (model.finished?.(state) === true) finished.push(at);
      const from = at;
      model.steps(state, (_label, to) => {
        transitions++;
        visit(to, from);
      });
      at++;
    }
    if (numbers.size > statesMax) return result('bound');
  }
  if (model.finished !== undefined) {
    const trapped = firstTrapped(numbers.size, edges, finished);
    if (trapped !== undefined) return result('trapped', { problem: 'no finished state can be reached from here', at: trapped });
  }
  return result('holds');
}

/** One line about an exploration, and the trace below it if there is one. */
export function describeExploration(name: string, exploration: Exploration): string {
  const { verdict, states, transitions, seconds, problem, trace } = exploration;
  const line = `${name}: ${verdict}, ${states} states, ${transitions} transitions, ${seconds.toFixed(1)} s`;
  return problem === undefined ? line : `${line}\n  ${problem}\n  ${trace?.join(' ; ')}`;
}

/** A sorted copy of a list that is kept as a set, with one element more. */
export function adding<T>(set: readonly T[], element: T, compare: (a: T, b: T) => number): T[] {
  const at = set.findIndex((other) => compare(other, element) >= 0);
  if (at === -1) return [...set, element];
  const there = set[at];
  if (there !== undefined && compare(there, element) === 0) return set as T[];
  return [...set.slice(0, at), element, ...set.slice(at)];
}

/** Where a part of a state keeps its number. A symbol, so that neither the key nor `Object.keys` sees it. */
const MARK = Symbol('number');

interface Mark {
  /** Copies by `...` take the mark along: it counts only where it was made. */
  readonly of: object;
  readonly by: Keys;
  readonly number: number;
}

/** Gives a short text to a state, the same for the same data and only for that. */
class Keys {
  readonly #byContents = new Map<string, number>();

  /** The key of a whole state. */
  of(state: unknown): string {
    return typeof state === 'object' && state !== null ? this.#contents(state) : String(this.#code(state));
  }

  #contents(value: object): string {
    let text: string;
    if (Array.isArray(value)) {
      text = '[';
      for (let i = 0; i < value.length; i++) text += `${this.#code(value[i])},`;
    } else {
      text = '{';
      for (const name in value) text += `${name}:${this.#code((value as Record<string, unknown>)[name])},`;
    }
    return text;
  }

  #code(value: unknown): string | number {
    switch (typeof value) {
      case 'number':
        return value;
      case 'string':
        return `${value.length}'${value}`;
      case 'boolean':
        return value ? 't' : 'f';
      case 'undefined':
        return 'u';
      case 'object':
        return value === null ? 'n' : `#${this.#number(value)}`;
      default:
        throw new TypeError(`a state is plain data, not a ${typeof value}`);
    }
  }

  #number(value: { [MARK]?: Mark }): number {
    const mark = value[MARK];
    if (mark !== undefined && mark.of === value && mark.by === this) return mark.number;
    const contents = this.#contents(value);
    let number = this.#byContents.get(contents);
    if (number === undefined) {
      number = this.#byContents.size;
      this.#byContents.set(contents, number);
    }
    value[MARK] = { of: value, by: this, number };
    return number;
  }
}

/** A growing list of 32-bit integers: a tenth of the memory that an array of numbers takes while it grows. */
class IntList {
  length = 0;
  #items = new Int32Array(1024);

  push(item: number): void {
    if (this.length === this.#items.length) {
      const items = new Int32Array(this.length * 2);
      items.set(this.#items);
      this.#items = items;
    }
    this.#items[this.length++] = item;
  }

  push2(first: number, second: number): void {
    this.push(first);
    this.push(second);
  }

  at(index: number): number {
    return this.#items[index] as number;
  }
}

/** The first state, in the order of the search, from which no finished one can be reached. */
function firstTrapped(states: number, edges: IntList, finished: IntList): number | undefined {
  // Predecessors of each state, one after the other: `starts[s]` is where those of s begin.
  const starts = new Int32Array(states + 1);
  for (let i = 1; i < edges.length; i += 2) starts[edges.at(i) + 1] = (starts[edges.at(i) + 1] as number) + 1;
  for (let s = 0; s < states; s++) starts[s + 1] = (starts[s + 1] as number) + (starts[s] as number);
  const filled = starts.slice();
  const predecessors = new Int32Array(edges.length / 2);
  for (let i = 0; i < edges.length; i += 2) {
    const to = edges.at(i + 1);
    const place = filled[to] as number;
    predecessors[place] = edges.at(i);
    filled[to] = place + 1;
  }
  const reaches = new Uint8Array(states);
  const stack: number[] = [];
  const mark = (state: number): void => {
    if (reaches[state] === 1) return;
    reaches[state] = 1;
    stack.push(state);
  };
  for (let i = 0; i < finished.length; i++) mark(finished.at(i));
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    for (let i = starts[state] as number; i < (starts[state + 1] as number); i++) mark(predecessors[i] as number);
  }
  const trapped = reaches.indexOf(0);
  return trapped === -1 ? undefined : trapped;
}

/** Walks from the initial state along the parents of a state, and collects the labels. */
function traceTo<S>(
  model: Model<S>,
  target: { keys: Keys; numbers: ReadonlyMap<string, number>; parents: IntList; at: number },
): readonly string[] {
  const path: number[] = [];
  for (let at = target.at; at > 0; at = target.parents.at(at)) path.unshift(at);
  const labels: string[] = [];
  let state = model.initial;
  for (const number of path) {
    let found: { label: string; to: S } | undefined;
    model.steps(state, (label, to) => {
      if (found === undefined && target.numbers.get(target.keys.of(to)) === number) found = { label, to };
    });
    if (found === undefined) throw new Error(`the steps of ${model.name} are not the same twice`);
    labels.push(found.label);
    state = found.to;
  }
  return labels;
}
