/**
 * Processes and hosts of a simulation, as the engine sees them: a `System`, and the facts that locks go by.
 *
 * A process that is dead never runs again: what it waits for never comes. One that is suspended finds, when it goes on, all that came
 * meanwhile. Its calls that were under way are the kernel's, or the network's, and take effect all the same.
 */
import type { System } from '../../src/base/system.ts';
import type { HolderIdentity, ProcessFacts, ProcessState } from '../../src/lock/process-facts.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const START_WALL_MS = Date.UTC(2024, 0, 1);

export class Host {
  readonly name: string;
  /** How far its wall clock is off; may jump. */
  wallOffsetMs = 0;
  /** Each restart of the machine is another boot. */
  boot = 1;
  /** Of this boot. */
  readonly processes = new Map<number, SimulatedProcess>();

  constructor(name: string) {
    this.name = name;
  }

  get bootId(): string {
    return `${this.name}-boot-${this.boot}`;
  }

  restart(): void {
    this.boot++;
    this.processes.clear();
  }
}

/** Whose code is running: nothing of another process runs before the next event. */
let running: SimulatedProcess | undefined;

function become(process: SimulatedProcess): void {
  running = process;
}

/** Takes the place of the real one in the simulation's build; see `build.ts`. */
export function nodeProcessFacts(): ProcessFacts {
  if (running === undefined) throw new Error('nobody is running');
  return running.facts;
}

export interface ProcessOptions {
  readonly name: string;
  readonly host: Host;
  readonly pid: number;
  readonly scheduler: Scheduler;
  readonly random: Random;
}

export class SimulatedProcess implements System {
  readonly name: string;
  readonly host: Host;
  readonly facts: ProcessFacts;
  readonly random: Random;
  readonly #scheduler: Scheduler;
  readonly #monotonicOriginMs: number;
  /** What this machine's clocks have missed while it was paused as a whole. */
  #missedMs = 0;
  #hasClocksStopped = false;
  #stops = 0;
  #state: 'alive' | 'stopped' | 'dead' = 'alive';
  /** What came while it was stopped. */
  readonly #held: (() => void)[] = [];
  readonly #onDeath: (() => void)[] = [];
  /** When it was last suspended, or not scheduled on time; for judging what it may have missed. */
  lastStoppedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ name, host, pid, scheduler, random }: ProcessOptions) {
    this.name = name;
    this.host = host;
    this.random = random;
    this.#scheduler = scheduler;
    this.#monotonicOriginMs = random.below(1_000_000_000);
    host.processes.set(pid, this);
    const self: HolderIdentity = { host: host.name, bootId: host.bootId, pidNamespace: 'pid:[1]', pid, startTime: pid };
    this.facts = { self, stateOf: (identity) => stateOf(host, identity) };
  }

  get state(): 'alive' | 'stopped' | 'dead' {
    return this.#state;
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  kill(): void {
    if (this.isDead) return;
    this.#state = 'dead';
    this.#held.length = 0;
    for (const tell of this.#onDeath.splice(0)) tell();
  }

  onDeath(tell: () => void): void {
    this.#onDeath.push(tell);
  }

  /** @param machine whether its clocks stand still, too */
  stop(ms: number, { machine = false }: { machine?: boolean } = {}): void {
    if (this.#state !== 'alive') return;
    this.#state = 'stopped';
    this.lastStoppedAtMs = this.#scheduler.nowMs;
    this.#hasClocksStopped = machine;
    const stop = ++this.#stops;
    this.#scheduler.after(ms, () => {
      if (stop === this.#stops) this.resume();
    });
  }

  /** Goes on, if it was stopped. */
  resume(): void {
    if (this.#state !== 'stopped') return;
    const { nowMs } = this.#scheduler;
    if (this.#hasClocksStopped) this.#missedMs += nowMs - this.lastStoppedAtMs;
    this.lastStoppedAtMs = nowMs;
    this.#state = 'alive';
    for (const run of this.#held.splice(0)) this.after(0, run);
  }

  /** Runs something as this process, once it can. */
  after(ms: number, run: () => void): void {
    this.#scheduler.after(ms, () => this.#run(run));
  }

  #run(run: () => void): void {
    if (this.#state === 'dead') return;
    if (this.#state === 'stopped') {
      this.#held.push(run);
      return;
    }
    become(this);
    run();
  }

  wallNowMs(): number {
    return Math.floor(this.wallNowPreciseMs());
  }

  wallNowPreciseMs(): number {
    return START_WALL_MS + this.#scheduler.nowMs - this.#missedMs + this.host.wallOffsetMs;
  }

  monotonicNowMs(): number {
    return this.#monotonicOriginMs + this.#scheduler.nowMs - this.#missedMs;
  }

  sleep(ms: number, options: { signal?: AbortSignal | undefined; background?: boolean } = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      this.after(ms, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
    });
  }

  sleepSync(ms: number): void {
    this.#scheduler.skip(ms);
  }

  randomBytes(count: number): Uint8Array {
    return this.random.bytes(count);
  }

  turn(): Promise<void> {
    return this.sleep(0);
  }
}

function stateOf(observer: Host, identity: HolderIdentity): ProcessState {
  if (identity.host !== observer.name) return 'unknown';
  if (identity.bootId !== observer.bootId) return 'unknown';
  return observer.processes.get(identity.pid)?.state ?? 'dead';
}
