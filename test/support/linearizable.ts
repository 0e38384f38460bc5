/**
 * Tells whether a history is linearizable: whether each operation can be given one moment between its invocation and its end, such that the
 * operations, one at a time in the order of these moments, do what a plain sequential object would have done.
 *
 * The search is Wing and Gong's, with Lowe's memory of configurations ("Testing for linearizability", 2017): lay out the invocations and ends
 * in the order of time; any operation invoked before the first end among those not yet placed may come next; try them, depth first;
 * go back where a place can't be filled; never search from the same configuration twice. A configuration is which operations have been
 * placed, and the state. All that were invoked before the first open end are placed but for those that stand there, and none
 * invoked later is: so the end and those that stand before it say it all, and the memory is exact.
 *
 * An operation without an end (its client was killed, or told that nobody knows) may be placed at any time after its invocation, or never. One
 * that changes nothing in any state is placed as soon as it can be: that never takes a chance from any other one.
 */

export interface Timed {
  readonly invokedAt: number;
  /** Infinity: it may take effect at any time, or never. */
  readonly endedAt: number;
}

export interface SequentialObject<State, Op> {
  readonly initial: State;
  /**
   * The state after the operation; the same (`===`) only if it would change nothing in any state; undefined if, in this state, it
   * could not have returned what it did.
   */
  readonly apply: (state: State, operation: Op) => State | undefined;
  /** Equal for equal states only. */
  readonly keyOf: (state: State) => string;
}

export type Verdict<State, Op> =
  | { readonly kind: 'linearizable'; readonly order: readonly Op[] }
  /** `order` is the longest that was found, `state` the one after it, `stuck` those of which one would have to be next. */
  | { readonly kind: 'violation'; readonly order: readonly Op[]; readonly state: State; readonly stuck: readonly Op[] }
  | { readonly kind: 'undecided'; readonly configurations: number };

interface Placed<State> {
  readonly event: number;
  readonly before: State;
  /** It changes nothing: no other choice has to be tried. */
  readonly isForced: boolean;
}

/** @param operations in any order; those that failed, and so have no effect, left out */
export function checkLinearizable<State, Op extends Timed>(
  object: SequentialObject<State, Op>,
  operations: readonly Op[],
  options: { readonly configurationsMax?: number } = {},
): Verdict<State, Op> {
  const { configurationsMax = 2_000_000 } = options;
  const line = new TimeLine(operations);
  const seen = new Set<string>();
  const placed: Placed<State>[] = [];
  const order = (): Op[] => placed.map(({ event }) => line.operationAt(event));
  let deepest: { order: readonly Op[]; state: State; stuck: readonly Op[] } | undefined;
  let state = object.initial;
  let event = line.first;

  while (line.openEnds > 0) {
    if (!line.isEnd(event)) {
      const next = object.apply(state, line.operationAt(event));
      if (next === undefined) {
        event = line.after(event);
        continue;
      }
      const isForced = next === state;
      line.take(event);
      const configuration = `${line.configuration()}|${object.keyOf(next)}`;
      if (!seen.has(configuration)) {
        seen.add(configuration);
        if (seen.size > configurationsMax) return { kind: 'undecided', configurations: seen.size };
        placed.push({ event, before: state, isForced });
        state = next;
        event = line.first;
        continue;
      }
      line.putBack(event);
      if (!isForced) {
        event = line.after(event);
        continue;
      }
    }
    // Nothing leads on from here: one that has ended can't be placed at any later time. Back to the latest choice.
    if (deepest === undefined || placed.length > deepest.order.length) deepest = { order: order(), state, stuck: line.candidates() };
    let last = placed.pop();
    for (; last !== undefined; last = placed.pop()) {
      line.putBack(last.event);
      state = last.before;
      if (!last.isForced) break;
    }
    if (last === undefined) return { kind: 'violation', ...deepest };
    event = line.after(last.event);
  }
  return { kind: 'linearizable', order: order() };
}

/** Invocations and ends in the order of their times, as a list from which operations are taken as they are placed, and put back. */
class TimeLine<Op extends Timed> {
  /** Ends of operations that are not placed. */
  openEnds = 0;
  readonly #operations: readonly Op[];
  /** Of event i, counted from 1: the operation's index, or for its end the index's complement. Event 0 is the head of the list. */
  readonly #events: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #endOf: Int32Array;

  constructor(operations: readonly Op[]) {
    this.#operations = operations;
    const marks = operations.flatMap(({ invokedAt, endedAt }, index) => {
      if (!(endedAt >= invokedAt)) throw new RangeError(`operation ${index} ended before it began: ${invokedAt}, ${endedAt}`);
      const begin = { at: invokedAt, mark: index };
      return endedAt === Number.POSITIVE_INFINITY ? [begin] : [begin, { at: endedAt, mark: ~index }];
    });
    // What happened at one time overlaps: invocations first.
    marks.sort((a, b) => a.at - b.at || (a.mark < 0 ? 1 : 0) - (b.mark < 0 ? 1 : 0));
    const size = marks.length + 1;
    this.#events = Int32Array.from([0, ...marks.map(({ mark }) => mark)]);
    this.#next = Int32Array.from({ length: size }, (_, i) => (i + 1 < size ? i + 1 : 0));
    this.#previous = Int32Array.from({ length: size }, (_, i) => (i === 0 ? size - 1 : i - 1));
    this.#endOf = new Int32Array(operations.length);
    marks.forEach(({ mark }, i) => {
      if (mark >= 0) return;
      this.#endOf[~mark] = i + 1;
      this.openEnds++;
    });
  }

  get first(): number {
    return this.#next[0] as number;
  }

  after(event: number): number {
    return this.#next[event] as number;
  }

  isEnd(event: number): boolean {
    return (this.#events[event] as number) < 0;
  }

  operationAt(event: number): Op {
    return this.#operations[this.#events[event] as number] as Op;
  }

  take(event: number): void {
    this.#unlink(event);
    const end = this.#endOf[this.#events[event] as number] as number;
    if (end === 0) return;
    this.#unlink(end);
    this.openEnds--;
  }

  /** In the reverse order of `take`. */
  putBack(event: number): void {
    const end = this.#endOf[this.#events[event] as number] as number;
    if (end !== 0) {
      this.#link(end);
      this.openEnds++;
    }
    this.#link(event);
  }

  /** The operations that may be next. */
  candidates(): Op[] {
    return this.#eventsBeforeEnd().map((event) => this.operationAt(event));
  }

  /** Says which operations are placed, as long as an end is open. */
  configuration(): string {
    const events = this.#eventsBeforeEnd();
    return `${events.length > 0 ? this.after(events.at(-1) as number) : this.first},${events.join()}`;
  }

  #eventsBeforeEnd(): number[] {
    const events: number[] = [];
    for (let event = this.first; event !== 0 && !this.isEnd(event); event = this.after(event)) events.push(event);
    return events;
  }

  #unlink(event: number): void {
    const [previous, next] = [this.#previous[event] as number, this.#next[event] as number];
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }

  #link(event: number): void {
    this.#next[this.#previous[event] as number] = event;
    this.#previous[this.#next[event] as number] = event;
  }
}
