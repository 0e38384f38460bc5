/** What all actors of a simulation share: time, storage, hosts, what was promised to whom, and the first promise that was broken. */
import { namespaceLayout } from '../../src/format/layout.ts';
import { DEFAULT_CONSTANTS, type StoreConstants } from '../../src/format/store-file.ts';
import { isPeatError, type PeatErrorCode } from '../../src/index.ts';
import { newStore } from '../support/new-store.ts';
import { PowerCutStorage } from '../support/power-cut-storage.ts';
import type { Circumstances } from './medium.ts';
import { OwnKeys, type ReadSpan } from './own-keys.ts';
import { Host, SimulatedProcess } from './process.ts';
import { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import { Scheduler } from './scheduler.ts';
import type { Stage } from './stage.ts';
import { TurningPoints } from './turning-points.ts';
import { UpdateHistory } from './update-history.ts';

/**
 * Drains and deletions happen within a run; a drain is still older than any segment that is written to, and a root lives as long as a
 * snapshot of it.
 */
export const CONSTANTS: StoreConstants = {
  ...DEFAULT_CONSTANTS,
  retentionMs: 400_000,
  graceMs: 60_000,
  drainAgeMs: 400_000,
  drainAgeRoots: 4,
  rootsKept: 4,
  stripes: 4,
};

export const NAMESPACE = 'sim';
export const LAYOUT = namespaceLayout(NAMESPACE);

/** What may happen to a call while calls of the medium fail and others are in the way; nothing else may, damage least of all. */
const EXPECTED: ReadonlySet<PeatErrorCode> = new Set<PeatErrorCode>([
  'STORAGE',
  'OUTCOME_UNKNOWN',
  'TEMPORARY',
  'LOCK_TIMEOUT',
  'LOCK_LOST',
  'UPDATE_TIMEOUT',
  'SNAPSHOT_EXPIRED',
]);

export interface WorldOptions {
  readonly onTrace?: ((line: string) => void) | undefined;
  readonly eventsMax?: number | undefined;
}

export class World implements Circumstances {
  readonly scenario: Scenario;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly storage: PowerCutStorage;
  readonly turningPoints: TurningPoints;
  readonly hosts: readonly Host[];
  readonly processes = new Set<SimulatedProcess>();
  readonly own = new OwnKeys();
  readonly updates = new UpdateHistory();
  /** In a play. */
  stage: Stage | undefined;
  /** Keys that one process writes blindly and others update. */
  readonly mixedKeys: string[] = [];
  /** Tokens of writes that were acknowledged. */
  readonly tokens: string[] = [];
  readonly counts = new Map<string, number>();
  isFaulty = false;
  /** Nothing new is begun. */
  isClosing = false;
  /** What went wrong first. */
  violation: string | undefined;
  /** The storage's. */
  readonly #clock: SimulatedProcess;
  #moments = 0;
  #pids = 0;
  #ids = 0;
  #latestWallMs = 0;
  #isWritten = false;

  constructor(scenario: Scenario, options: WorldOptions = {}) {
    const { medium, hosts } = scenario;
    this.scenario = scenario;
    this.random = new Random(scenario.seed);
    this.scheduler = new Scheduler({ onTrace: options.onTrace, eventsMax: options.eventsMax ?? 1_500_000 });
    this.turningPoints = new TurningPoints(this.scheduler);
    this.hosts = Array.from({ length: hosts }, (_, i) => new Host(`host${i}`));
    const storageRandom = this.random.fork('storage');
    // Files are dated by the machine that they are on; across a network it has a clock that nobody sets.
    this.#clock = this.process({ name: 'storage', host: medium.isRemote ? new Host('server') : (this.hosts[0] as Host) });
    this.processes.delete(this.#clock);
    this.storage = new PowerCutStorage({ ...medium, system: this.#clock, random: () => storageRandom.next(), preallocates: true });
  }

  /** The next moment of the sequence that histories go by. */
  moment(): number {
    return this.#moments++;
  }

  nextId(): number {
    return this.#ids++;
  }

  process({ name, host }: { name: string; host: Host }): SimulatedProcess {
    const process = new SimulatedProcess({ name, host, pid: ++this.#pids, scheduler: this.scheduler, random: this.random.fork(name) });
    this.processes.add(process);
    return process;
  }

  /** The store is there before anything goes wrong. */
  async create(): Promise<void> {
    const system = this.process({ name: 'creator', host: this.hosts[0] as Host });
    await newStore({ medium: this.storage.handle(), system, canAppend: this.scenario.medium.canAppend }, CONSTANTS);
    system.kill();
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  violate(what: string): void {
    this.scheduler.trace(`VIOLATION ${what}`);
    this.violation ??= what;
  }

  check(problem: string | undefined, who: SimulatedProcess): void {
    if (problem !== undefined) this.violate(`${who.name}: ${problem}`);
  }

  /** The span of a read that begins now; `end` closes it. */
  beginRead(process: SimulatedProcess): { end(): ReadSpan } {
    const from = this.moment();
    const wallMs = process.wallNowMs();
    return {
      end: () => ({
        from,
        to: this.moment(),
        wallMs: Math.min(wallMs, process.wallNowMs()),
        latestWallMs: this.noteClocks(),
      }),
    };
  }

  /** Before a clock is set back, too. */
  noteClocks(): number {
    for (const process of [this.#clock, ...this.processes]) this.#latestWallMs = Math.max(this.#latestWallMs, process.wallNowMs());
    return this.#latestWallMs;
  }

  /** Runs one operation. What it throws must be an error that the circumstances explain; its code is returned. */
  async attempt<T>(process: SimulatedProcess, { what, run }: { what: string; run: () => Promise<T> }): Promise<Attempted<T>> {
    this.scheduler.trace(`${process.name} > ${what}`);
    const wasWritten = this.#isWritten;
    try {
      const result = await run();
      this.scheduler.trace(`${process.name} < ${what}`);
      this.count(what.split(' ')[0] as string);
      return { result };
    } catch (error) {
      this.scheduler.trace(`${process.name} < ${what}: ${String(error)}`);
      const code = isPeatError(error) ? error.code : undefined;
      if (!this.#isExpected(code, wasWritten)) {
        this.violate(`${process.name}: ${what} throws ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
      this.count(`${what.split(' ')[0]} ${code}`);
      return { code: code ?? 'STORAGE' };
    }
  }

  #isExpected(code: PeatErrorCode | undefined, wasWritten: boolean): boolean {
    switch (code) {
      case undefined:
        return false;
      case 'CLOCK_SKEW':
        return this.scenario.faults.clockJumps + this.scenario.faults.stops > 0;
      // Who first writes to it creates it.
      case 'NAMESPACE_NOT_FOUND':
        return !wasWritten;
      default:
        return EXPECTED.has(code);
    }
  }

  /** A write was acknowledged: the namespace is there from now on. */
  noteWritten(token?: string): void {
    this.#isWritten = true;
    if (token !== undefined) this.tokens.push(token);
  }

  powerCut(): void {
    this.scheduler.trace('power cut');
    for (const process of this.processes) process.kill();
    this.processes.clear();
    this.storage.powerCut();
    for (const host of this.hosts) host.restart();
    this.own.powerCut();
    this.updates.powerCut();
  }
}

export type Attempted<T> = { readonly result: T; readonly code?: never } | { readonly code: PeatErrorCode; readonly result?: never };
