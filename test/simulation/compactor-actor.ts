/** Actors that compact, each in one of the ways that programs have: elected for long, now and then, or without asking anyone. */
import { compactOnce, type PassContext } from '../../compactor/index.ts';
import type { Life } from './life.ts';
import { mediumFor } from './medium.ts';
import { CONSTANTS, LAYOUT, type World } from './world.ts';

/** The compactor process: waits for its election, and compacts until it is told to stop. */
export async function electedCompactor(life: Life): Promise<void> {
  const { world, process, random } = life;
  const { store } = await life.open();
  const stop = new AbortController();
  const done = store.runCompactor({
    signal: stop.signal,
    pollMs: random.pick([5000, 20_000]),
    gatherMs: 1000,
    onEvent: ({ event, message }) => {
      world.scheduler.trace(`${process.name} ${event} ${message ?? ''}`);
      if (event === 'pass') world.count('pass');
      if (event === 'warning' && message !== undefined) judgeWarning(world, message);
    },
  });
  while (!world.isClosing) await process.sleep(5000);
  stop.abort();
  await done;
  await life.attempt('close', () => store.close());
}

/** A program that calls `compact` now and then. */
export async function callingCompactor(life: Life): Promise<void> {
  const { world, random } = life;
  while (!world.isClosing) {
    const { store } = await life.open();
    for (let i = random.between(1, 10); i > 0 && !world.isClosing; i--) {
      const { result } = await life.attempt('compact', () => store.compact({ maxWaitMs: 30_000 }));
      for (const warning of result?.flatMap(({ warnings }) => warnings) ?? []) judgeWarning(world, warning);
      await life.pause();
    }
    await life.attempt('close', () => store.close());
  }
}

/** Passes that nobody was elected for: two at once cost work, never data. */
export async function bareCompactor(life: Life): Promise<void> {
  const { world, random } = life;
  const context = passContext(life);
  while (!world.isClosing) {
    await life.pause();
    // Before the first write there is no namespace.
    if (!world.storage.names.some((name) => name.startsWith(LAYOUT.root))) continue;
    const bytesMax = random.chance(0.3) ? random.between(1, 4000) : 1 << 20;
    await onePass(life, context, bytesMax);
  }
}

export function passContext({ world, process }: Life): PassContext {
  return {
    medium: mediumFor(process, world),
    system: process,
    layout: LAYOUT,
    constants: CONSTANTS,
    log: (message: string) => world.scheduler.trace(`${process.name} logs: ${message}`),
  };
}

export async function onePass(life: Life, context: PassContext, bytesMax: number): Promise<void> {
  const { world } = life;
  const { result } = await life.attempt('pass', () => compactOnce(context, { bytesMax }));
  for (const warning of result?.warnings ?? []) judgeWarning(world, warning);
  if (result?.horizonMovedTo !== undefined) world.count('horizon');
  if (result?.outcome === 'lost') world.count('lost pass');
}

/** Nothing is ever damaged here; but what a power cut tears in the midst of what was never synced looks like it. */
export function judgeWarning(world: World, warning: string): void {
  world.scheduler.trace(`warning: ${warning}`);
  if (warning.startsWith('cleaning up ')) return;
  if (world.scenario.durability === 'os' && warning.endsWith("from a power cut in durability 'os' or from damage")) return;
  world.violate(`a compactor warns of damage: ${warning}`);
}
