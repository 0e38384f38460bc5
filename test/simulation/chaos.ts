/** What goes wrong, beside single calls: deaths, suspensions, power cuts, clocks that jump, disks that fill up. */
import type { Faults } from './scenario.ts';
import type { World } from './world.ts';

const STOP_MS_MAX = 40 * 60_000;
const JUMP_MS_MAX = 400 * 86_400_000;
const FULL_MS_MAX = 10 * 60_000;

/** @param lengthMs all of it happens before this */
export function unleash(world: World, lengthMs: number): void {
  const random = world.random.fork('chaos');
  const actions: Partial<Record<keyof Faults, () => void>> = {
    crashes: () => {
      const process = anyone();
      if (process === undefined) return;
      world.scheduler.trace(`${process.name} is killed`);
      world.processes.delete(process);
      process.kill();
    },
    stops: () => {
      const process = anyone();
      if (process === undefined) return;
      const ms = random.spread(1000, STOP_MS_MAX);
      // Where the machine is paused its clocks stand still: only a remote medium goes on meanwhile.
      const machine = world.scenario.medium.isRemote && random.chance(0.4);
      world.scheduler.trace(`${process.name} is stopped for ${Math.round(ms)} ms${machine ? ' with its machine' : ''}`);
      process.stop(ms, { machine });
    },
    powerCuts: () => world.powerCut(),
    clockJumps: () => {
      const host = random.pick(world.hosts);
      world.noteClocks();
      const ms = (random.chance(0.5) ? 1 : -1) * random.spread(100, JUMP_MS_MAX);
      host.wallOffsetMs += ms;
      world.scheduler.trace(`the clock of ${host.name} jumps by ${Math.round(ms)} ms`);
    },
    fullDisks: () => {
      world.storage.isFull = true;
      world.scheduler.trace('the disk is full');
      world.scheduler.after(random.spread(1000, FULL_MS_MAX), () => {
        world.storage.isFull = false;
        world.scheduler.trace('there is room again');
      });
    },
  };
  const anyone = (): ReturnType<typeof random.pick<typeof world.processes extends Set<infer P> ? P : never>> | undefined => {
    const alive = [...world.processes].filter(({ state }) => state === 'alive');
    return alive.length === 0 ? undefined : random.pick(alive);
  };
  for (const [kind, act] of Object.entries(actions)) {
    for (let i = 0; i < world.scenario.faults[kind as keyof Faults]; i++) {
      world.scheduler.after(random.next() * lengthMs, () => {
        if (world.isFaulty) act();
      });
    }
  }
}
