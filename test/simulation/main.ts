/**
 * The simulation as a program: runs seeds, and where a promise is broken, prints the seed, cuts the scenario down, and tells how to see it
 * again. `run.mjs` builds it and hands over the options.
 */
import { type Scenario, smaller } from './scenario.ts';
import { type Outcome, simulate } from './simulate.ts';

export { scenarioOf } from './scenario.ts';

export interface SimulationOptions {
  /** Those that seeds make, or one that a failure has printed. */
  readonly scenarios: readonly Scenario[];
  /** Print each step. */
  readonly trace: boolean;
  readonly json: boolean;
  /** Cut a failing scenario down. */
  readonly shrink: boolean;
  /** How long that may take, ms. */
  readonly shrinkMsMax: number;
  readonly print: (line: string) => void;
  /** A line that the next one may take the place of; undefined where nobody looks. */
  readonly progress: ((line: string) => void) | undefined;
}

export interface SimulationReport {
  readonly scenarios: number;
  readonly events: number;
  readonly virtualHours: number;
  /** Of each scenario: tells its course of events from every other. */
  readonly traces: readonly string[];
  /** How often what happened. */
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: Failure | undefined;
}

interface Failure {
  readonly seed: number;
  readonly violation: string;
  readonly traceHash: string;
  /** The smallest scenario that was found to fail. */
  readonly scenario: Scenario;
}

const LINES_SHOWN = 40;

/** Runs until the first broken promise. */
export async function run(options: SimulationOptions): Promise<SimulationReport> {
  const counts = new Map<string, number>();
  const traces: string[] = [];
  let events = 0;
  let virtualMs = 0;
  let failure: Failure | undefined;
  for (const scenario of options.scenarios) {
    options.progress?.(`seed ${scenario.seed}, ${traces.length} of ${options.scenarios.length} done`);
    const outcome = await simulate(scenario, options.trace ? { onTrace: options.print } : {});
    traces.push(outcome.traceHash);
    events += outcome.events;
    virtualMs += outcome.virtualMs;
    for (const [what, count] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (outcome.violation === undefined) continue;
    failure = await explain(outcome, options);
    break;
  }
  return {
    scenarios: traces.length,
    events,
    virtualHours: virtualMs / 3_600_000,
    traces,
    counts: Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
    failure,
  };
}

async function explain(outcome: Outcome, options: SimulationOptions): Promise<Failure> {
  const { scenario, violation = '', traceHash } = outcome;
  if (!options.json) {
    options.print(`seed ${scenario.seed}: ${violation}`);
    for (const line of outcome.lastLines.slice(-LINES_SHOWN)) options.print(`  ${line}`);
  }
  const least = options.shrink ? await shrink(outcome, options) : outcome;
  return { seed: scenario.seed, violation, traceHash, scenario: least.scenario };
}

/** Takes away what is not needed for some promise to be broken, as long as anything can be taken away. */
async function shrink(failing: Outcome, options: SimulationOptions): Promise<Outcome> {
  const endAtMs = performance.now() + options.shrinkMsMax;
  let least = failing;
  for (let isSmaller = true; isSmaller && performance.now() < endAtMs; ) {
    isSmaller = false;
    for (const scenario of smaller(least.scenario)) {
      options.progress?.(`cutting down, ${least.events} events`);
      const outcome = await simulate(scenario);
      if (outcome.violation === undefined) continue;
      least = outcome;
      isSmaller = true;
      break;
    }
  }
  return least;
}
