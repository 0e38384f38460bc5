/** Runs a scenario from its beginning to the first broken promise, or to its end. */

import { unleash } from './chaos.ts';
import { bareCompactor, callingCompactor, electedCompactor } from './compactor-actor.ts';
import { Life } from './life.ts';
import { locker } from './locker.ts';
import { PLOTS, type Plot } from './plots.ts';
import type { Host } from './process.ts';
import { reader } from './reader.ts';
import type { CompactorKind, Scenario } from './scenario.ts';
import { settle } from './settle.ts';
import { Stage } from './stage.ts';
import { updater } from './updater.ts';
import { World, type WorldOptions } from './world.ts';
import { writer } from './writer.ts';

export interface Outcome {
  readonly scenario: Scenario;
  /** What was wrong first; undefined if nothing was. */
  readonly violation: string | undefined;
  readonly traceHash: string;
  readonly lastLines: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
  /** How often what happened. */
  readonly counts: ReadonlyMap<string, number>;
}

const RESTART_MS_MAX = 60_000;
/** Without faults everything under way ends in this time: calls that are slow take up to twenty minutes, and stops up to forty. */
const FINISH_MS_MAX = 4 * 3_600_000;

const COMPACTORS: Record<CompactorKind, (life: Life) => Promise<void>> = {
  elected: electedCompactor,
  once: callingCompactor,
  bare: bareCompactor,
};

export async function simulate(scenario: Scenario, options: WorldOptions = {}): Promise<Outcome> {
  const world = new World(scenario, options);
  const onRejection = (error: unknown): void => world.violate(`nobody handles ${error instanceof Error ? error.stack : String(error)}`);
  process.on('unhandledRejection', onRejection);
  try {
    await run(world);
  } catch (error) {
    world.violate(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  const { scheduler, counts, violation } = world;
  const { traceHash, lastLines, events, nowMs } = scheduler;
  return { scenario, violation, traceHash, lastLines, events, virtualMs: nowMs, counts };
}

async function run(world: World): Promise<void> {
  const { scenario, scheduler } = world;
  const { lengthMs } = scenario;
  await drive(world, world.create());
  if (scenario.plot !== undefined) {
    await drive(world, perform(world, PLOTS[scenario.plot]));
    if (world.violation === undefined) await drive(world, settle(world));
    return;
  }
  world.isFaulty = true;
  const actors = new Actors(world);
  for (let i = 0; i < scenario.writers; i++) actors.start(`writer${i}`, writer);
  for (let i = 0; i < scenario.updaters; i++) actors.start(`updater${i}`, updater);
  for (let i = 0; i < scenario.readers; i++) actors.start(`reader${i}`, reader);
  for (let i = 0; i < scenario.lockers; i++) actors.start(`locker${i}`, locker);
  scenario.compactors.forEach((kind, i) => {
    actors.start(`${kind}${i}`, COMPACTORS[kind]);
  });
  unleash(world, lengthMs);
  await scheduler.run(() => world.violation !== undefined || scheduler.nowMs >= lengthMs);
  world.isClosing = true;
  world.isFaulty = false;
  world.storage.isFull = false;
  const endMs = scheduler.nowMs + FINISH_MS_MAX;
  await scheduler.run(() => world.violation !== undefined || actors.running.size === 0 || scheduler.nowMs >= endMs);
  if (world.violation !== undefined) return;
  if (actors.running.size > 0) {
    world.violate(`not ended ${FINISH_MS_MAX} ms after the last fault: ${[...actors.running].join()}`);
    return;
  }
  await drive(world, settle(world));
}

async function perform(world: World, plot: Plot): Promise<void> {
  const stage = new Stage(world);
  world.stage = stage;
  await plot(stage);
  await stage.close();
  world.stage = undefined;
}

/** Lets time go on until a promise has settled. */
async function drive(world: World, work: Promise<void>): Promise<void> {
  let isSettled = false;
  let failure: { readonly error: unknown } | undefined;
  work.then(
    () => {
      isSettled = true;
    },
    (error: unknown) => {
      isSettled = true;
      failure = { error };
    },
  );
  const goesOn = await world.scheduler.run(() => isSettled || world.violation !== undefined);
  if (failure !== undefined) throw failure.error;
  if (!goesOn) throw new Error('nothing is left to happen, and something is still waited for');
}

/** Starts actors, and starts them again when they have died. */
class Actors {
  readonly running = new Set<string>();
  readonly #world: World;
  #started = 0;

  constructor(world: World) {
    this.#world = world;
  }

  start(name: string, body: (life: Life) => Promise<void>, number = 0): void {
    const world = this.#world;
    const host = world.hosts[this.#started++ % world.hosts.length] as Host;
    const process = world.process({ name: `${name}.${number}`, host });
    const life = new Life({ world, process, number });
    this.running.add(name);
    const leave = (): void => {
      this.running.delete(name);
      world.processes.delete(process);
    };
    process.onDeath(() => {
      leave();
      if (world.isClosing) return;
      this.running.add(name);
      world.scheduler.after(life.random.spread(100, RESTART_MS_MAX), () => {
        this.running.delete(name);
        if (!world.isClosing) this.start(name, body, number + 1);
      });
    });
    process.after(0, () => {
      body(life).then(leave, (error: unknown) => {
        leave();
        world.violate(`${process.name} fails: ${error instanceof Error ? error.stack : String(error)}`);
      });
    });
  }
}
