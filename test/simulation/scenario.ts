/**
 * A scenario: who takes part in a simulation, and what goes wrong. A seed makes one; it is plain data, so that it can be
 * printed, cut down, and run again.
 *
 * Each seed leaves most features out: a history of few of them meets rarer combinations than one that always has all.
 */
import { LATER_PLOT_NAMES, PLOT_NAMES, type PlotName } from './plots.ts';
import { Random } from './random.ts';
import { WINDOWS, type WindowName } from './windows.ts';

export type CompactorKind = 'elected' | 'once' | 'bare';

export interface Scenario {
  readonly seed: number;
  readonly medium: {
    readonly canAppend: boolean;
    readonly isRemote: boolean;
    readonly blocking: boolean;
  };
  readonly writers: number;
  readonly updaters: number;
  readonly readers: number;
  readonly lockers: number;
  readonly compactors: readonly CompactorKind[];
  /** How long they begin new operations, in virtual time. */
  readonly lengthMs: number;
  /** About how many operations of each of them that makes. */
  readonly operations: number;
  readonly latencyMs: number;
  /** What is written goes through the page cache only. */
  readonly durability: 'sync' | 'os';
  readonly hosts: number;
  readonly faults: Faults;
  /** The calls at which processes are suspended again and again until others have moved on. */
  readonly window?: WindowName;
  /** Instead of actors who do what they like: a play; see `plots.ts`. */
  readonly plot?: PlotName;
}

export interface Faults {
  /** Chance of a call to fail, before its effect or after it. */
  readonly errors: number;
  /** Chance of a put to be executed again, or after it was given up, much later. On a remote medium. */
  readonly late: number;
  /** Chance of a call to take up to a thousand times as long, or up to twenty minutes. */
  readonly slow: number;
  /** Chance of a call to be held up until others have moved on; see `turning-points.ts`. */
  readonly holds: number;
  /** Chance of a process to be suspended for up to an hour at a call that others' calls may come before; see `medium.ts`. */
  readonly stalls: number;
  /** How often each of these happens in the course of the run. */
  readonly crashes: number;
  readonly stops: number;
  readonly powerCuts: number;
  readonly clockJumps: number;
  readonly fullDisks: number;
}

export const NO_FAULTS: Faults = {
  errors: 0,
  late: 0,
  slow: 0,
  holds: 0,
  stalls: 0,
  crashes: 0,
  stops: 0,
  powerCuts: 0,
  clockJumps: 0,
  fullDisks: 0,
};

/** Seeds from here on make scenarios of another kind: nothing goes wrong but that processes die and sleep, at one kind of call. */
const DIRECTED_FROM = 1_000_000;

/** From here on they make plays. */
const PLAYS_FROM = 2_000_000;

/** And from here on those of later plots. */
const LATER_PLAYS_FROM = 2_100_000;

/** What a plot is about does not happen on others. */
const MEDIA_OF_PLOTS: { readonly [name in PlotName]?: Partial<Scenario['medium']> } = {
  clocksStand: { canAppend: false, isRemote: true },
  powerGoes: { isRemote: false },
};

export function scenarioOf(seed: number): Scenario {
  if (seed >= PLAYS_FROM) return playScenario(seed);
  return seed < DIRECTED_FROM ? anyScenario(seed) : directedScenario(seed);
}

function playScenario(seed: number): Scenario {
  const random = new Random(seed).fork('scenario');
  const canAppend = random.chance(0.6);
  const medium = { canAppend, isRemote: !canAppend && random.chance(0.5), blocking: false };
  const latencyMs = random.pick([0.1, 1, 20]);
  const plot = random.pick(seed < LATER_PLAYS_FROM ? PLOT_NAMES : LATER_PLOT_NAMES);
  return {
    seed,
    medium: { ...medium, ...MEDIA_OF_PLOTS[plot] },
    writers: 0,
    updaters: 0,
    readers: 0,
    lockers: 0,
    compactors: [],
    lengthMs: 0,
    operations: 1,
    latencyMs,
    durability: 'sync',
    hosts: 1,
    faults: NO_FAULTS,
    plot,
  };
}

function directedScenario(seed: number): Scenario {
  const random = new Random(seed).fork('scenario');
  const isShort = random.chance(0.4);
  const canAppend = random.chance(0.5);
  return {
    seed,
    medium: { canAppend, isRemote: !canAppend && random.chance(0.5), blocking: false },
    writers: random.between(0, 3),
    updaters: random.between(0, 3),
    readers: random.between(1, 3),
    lockers: 0,
    compactors: Array.from({ length: random.between(2, 3) }, () => 'bare' as const),
    lengthMs: isShort ? 60_000 : random.pick([60, 120]) * 60_000,
    operations: isShort ? 200 : random.between(40, 120),
    latencyMs: random.pick([0.1, 1, 20]),
    durability: 'sync',
    hosts: 1,
    faults: { ...NO_FAULTS, crashes: random.chance(0.3) ? random.between(1, 5) : 0 },
    window: random.pick(WINDOWS),
  };
}

function anyScenario(seed: number): Scenario {
  const random = new Random(seed).fork('scenario');
  const lengthMs = random.pick([60_000, 30 * 60_000, 60 * 60_000, 120 * 60_000]);
  const sometimes = <T>(chance: number, value: () => T, otherwise: T): T => (random.chance(chance) ? value() : otherwise);
  const canAppend = random.chance(0.65);
  const isRemote = !canAppend && random.chance(0.7);
  const blocking = canAppend && random.chance(0.25);
  const compactors = Array.from({ length: random.pick([1, 1, 2, 2, 3]) }, () =>
    random.pick<CompactorKind>(['elected', 'once', 'bare', 'bare', 'bare']),
  );
  const faults: Faults = {
    errors: sometimes(0.35, () => random.pick([0.002, 0.01, 0.03]), 0),
    late: isRemote ? sometimes(0.6, () => random.pick([0.005, 0.02, 0.05]), 0) : 0,
    slow: sometimes(0.7, () => random.pick([0.002, 0.01, 0.03]), 0),
    holds: sometimes(0.6, () => random.pick([0.002, 0.01, 0.05]), 0),
    stalls: sometimes(0.7, () => random.pick([0.01, 0.05, 0.15]), 0),
    crashes: sometimes(0.5, () => random.between(1, 8), 0),
    stops: sometimes(0.7, () => random.between(1, 12), 0),
    powerCuts: isRemote ? 0 : sometimes(0.25, () => random.between(1, 3), 0),
    clockJumps: sometimes(0.3, () => random.between(1, 6), 0),
    fullDisks: sometimes(0.15, () => random.between(1, 3), 0),
  };
  const scenario: Scenario = {
    seed,
    medium: { canAppend, isRemote, blocking },
    writers: random.between(1, 3),
    updaters: sometimes(0.6, () => random.between(1, 3), 0),
    readers: random.between(1, 3),
    lockers: sometimes(0.3, () => random.between(2, 4), 0),
    compactors,
    lengthMs,
    // Where little time passes nothing ages, and all depends on who comes first: so there is much going on at once.
    operations: lengthMs === 60_000 ? random.between(100, 300) : random.between(20, 100),
    latencyMs: random.pick([0.1, 1, 20]),
    durability: random.chance(0.85) ? 'sync' : 'os',
    hosts: canAppend ? 1 : random.between(1, 3),
    faults: random.chance(0.1) ? NO_FAULTS : faults,
  };
  return { ...scenario, ...random.pick(FOCUSES)(scenario, random) };
}

type Change = (scenario: Scenario, random: Random) => Partial<Scenario>;

/** What rules of some kind need to be put to the test, with little else that would stand in the way. */
const FOCUSES: readonly Change[] = [
  () => ({}),
  () => ({}),
  () => ({}),
  // Races of updates and reads with passes, where nothing else is on its way.
  ({ medium, faults }, random) => ({
    medium: { ...medium, blocking: false },
    writers: 0,
    updaters: random.between(1, 3),
    readers: 3,
    lockers: 0,
    compactors: ['bare', 'bare'],
    lengthMs: 60_000,
    operations: 300,
    durability: 'sync',
    faults: { ...NO_FAULTS, late: faults.late, slow: 0.02, holds: 0.05 },
  }),
  // Writers that sleep while drains pass them by.
  ({ medium }, random) => ({
    medium: { ...medium, blocking: false },
    writers: 3,
    updaters: random.between(0, 1),
    readers: 2,
    lockers: 0,
    compactors: ['bare', 'bare'],
    lengthMs: 120 * 60_000,
    operations: 60,
    faults: { ...NO_FAULTS, slow: 0.01, holds: 0.01, stalls: 0.15, crashes: random.between(0, 8) },
  }),
];

/** Smaller scenarios that may fail in the same way, the boldest cuts first. */
export function smaller(scenario: Scenario): Scenario[] {
  const { faults, compactors } = scenario;
  const cuts: Partial<Scenario>[] = [];
  for (const kind of Object.keys(faults) as (keyof Faults)[]) if (faults[kind] > 0) cuts.push({ faults: { ...faults, [kind]: 0 } });
  for (const actors of ['lockers', 'updaters', 'readers', 'writers'] as const) {
    if (scenario[actors] > 0) cuts.push({ [actors]: 0 }, { [actors]: scenario[actors] - 1 });
  }
  for (let i = 0; i < compactors.length; i++) cuts.push({ compactors: compactors.filter((_, other) => other !== i) });
  if (scenario.operations > 1) {
    cuts.push({ operations: scenario.operations >> 1 }, { operations: Math.floor(scenario.operations * 0.8) });
  }
  if (scenario.lengthMs > 1000) cuts.push({ lengthMs: scenario.lengthMs / 2 }, { lengthMs: scenario.lengthMs * 0.8 });
  if (scenario.hosts > 1) cuts.push({ hosts: 1 });
  if (scenario.medium.blocking) cuts.push({ medium: { ...scenario.medium, blocking: false } });
  for (const kind of ['crashes', 'stops', 'powerCuts', 'clockJumps', 'fullDisks'] as const) {
    if (faults[kind] > 1) cuts.push({ faults: { ...faults, [kind]: faults[kind] - 1 } });
  }
  return cuts.map((cut) => ({ ...scenario, ...cut }));
}
