/**
 * The order of all that happens in a simulation: events in virtual time, one after the other.
 *
 * An event runs, and what it sets off runs to its end, before the next one: nothing of the engine waits for anything but promises and
 * the calls that come through its two seams. So a seed says all, and the trace of one run is that of every other.
 */
import { crc32 } from 'node:zlib';

interface Event {
  readonly atMs: number;
  readonly order: number;
  run(): void;
}

export interface SchedulerOptions {
  /** Told of each line of the trace, as it comes. */
  readonly onTrace?: ((line: string) => void) | undefined;
  /** More events than this are a livelock. */
  readonly eventsMax: number;
}

const LAST_LINES = 400;

export class Scheduler {
  nowMs = 0;
  events = 0;
  readonly #options: SchedulerOptions;
  /** A binary heap: the earliest first. */
  readonly #heap: Event[] = [];
  readonly #lastLines: string[] = [];
  #orders = 0;
  #traceHash = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Tells one course of events from every other. */
  get traceHash(): string {
    return this.#traceHash.toString(16).padStart(8, '0');
  }

  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  trace(line: string): void {
    const stamped = `${this.nowMs.toFixed(3)} ${line}`;
    this.#traceHash = crc32(stamped, this.#traceHash);
    this.#lastLines.push(stamped);
    if (this.#lastLines.length > 2 * LAST_LINES) this.#lastLines.splice(0, LAST_LINES);
    this.#options.onTrace?.(stamped);
  }

  after(ms: number, run: () => void): void {
    const event = { atMs: this.nowMs + Math.max(0, ms), order: this.#orders++, run };
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent] as Event, event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  /** Resolves after `ms`. */
  delay(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** For a process that blocks: time passes, and nobody runs meanwhile. */
  skip(ms: number): void {
    this.nowMs += ms;
  }

  /** Runs events until `isOver` says so, or none is left. False if none was left. */
  async run(isOver: () => boolean): Promise<boolean> {
    await turn();
    while (!isOver()) {
      const event = this.#next();
      if (event === undefined) return false;
      if (++this.events > this.#options.eventsMax) throw new Error(`more than ${this.#options.eventsMax} events: a livelock?`);
      this.nowMs = Math.max(this.nowMs, event.atMs);
      event.run();
      await turn();
    }
    return true;
  }

  #next(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (isBefore(last, heap[child] as Event)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Everything runs that waits for nothing but promises. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
