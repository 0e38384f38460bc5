import { describe, expect, it } from 'vitest';
import type { LockMode } from '../../../src/lock/lock-sites.ts';
import { liveTickets } from '../../../src/lock/queue-state.ts';
import type { ListedObject } from '../../../src/medium/medium.ts';
import { LockWorld, type TestProcess } from '../../support/lock-world.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

const TEXT = { leaseMs: 1000 };

interface Trial {
  readonly world: LockWorld;
  readonly random: VirtualSystem;
  /** Of those that ask, this share asks for the shared mode. */
  readonly sharedShare: number;
  /** Numbers in the order in which they began to hold. */
  readonly held: number[];
  readonly stolen: Set<number>;
  readonly holding: Map<number, LockMode>;
  /** The highest number that held in this mode. */
  readonly highest: Record<LockMode, number>;
  /** How often a shared one began to hold beside another. */
  togethers: number;
  readonly faults: string[];
}

/**
 * Takes time over each call, and lists as directories are read: every name is looked at in its own moment, in an
 * order of its own, while others create and delete.
 */
function makeSlow(process: TestProcess, { random, world }: Trial): void {
  const dawdle = (): Promise<void> => process.system.sleep(random.random() * 5);
  process.hooks.before = dawdle;
  process.hooks.listed = async (atStart: ListedObject[]) => {
    const [any] = atStart;
    const prefix = any?.name.slice(0, any.name.lastIndexOf('/') + 1) ?? 'lock/user/test/';
    const salt = Math.floor(random.random() * 1000);
    const seen: ListedObject[] = [];
    for (let phase = 0; phase < 4; phase++) {
      const now = await world.medium.list(prefix);
      seen.push(...now.filter(({ name }) => phaseOf(name, salt) === phase));
      await dawdle();
    }
    return seen.sort((x, y) => (x.name < y.name ? -1 : 1));
  };
}

function phaseOf(name: string, salt: number): number {
  let hash = salt;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return (hash >>> 13) % 4;
}

async function client(process: TestProcess, trial: Trial, rounds: number): Promise<void> {
  const { queue, system } = process;
  const { stolen, random } = trial;
  for (let round = 0; round < rounds; round++) {
    const mode = random.random() < trial.sharedShare ? 'shared' : 'exclusive';
    const number = await queue.enqueue(`${process.identity.pid}-${round}`, { ...TEXT, mode });
    for (;;) {
      const wasStolen = stolen.has(number);
      const look = await queue.look(number, mode);
      if (look.kind === 'void') break;
      if (look.kind === 'wait') {
        if (random.random() < 0.02) {
          await queue.finish(number, 'cancelled');
          break;
        }
        await system.sleep(1);
        continue;
      }
      if (wasStolen) trial.faults.push(`${number} holds although its look began after it was stolen`);
      if (!stolen.has(number)) noteHold(trial, number, mode);
      trial.holding.set(number, mode);
      await system.sleep(random.random() * 10);
      trial.holding.delete(number);
      await queue.finish(number, 'released');
      break;
    }
    if (random.random() < 0.5) await queue.sweep();
  }
}

/** Exclusive ones hold alone, and after all that have held; shared ones beside shared ones, and after all exclusive ones that have held. */
function noteHold(trial: Trial, number: number, mode: LockMode): void {
  const { faults, highest, holding, stolen } = trial;
  const before = Math.max(highest.exclusive, mode === 'exclusive' ? highest.shared : 0);
  if (number <= before) faults.push(`${number} (${mode}) holds after ${before}`);
  for (const [other, otherMode] of holding) {
    if (stolen.has(other)) continue;
    if (mode === 'exclusive' || otherMode === 'exclusive') faults.push(`${number} (${mode}) holds beside ${other} (${otherMode})`);
    else trial.togethers++;
  }
  highest[mode] = Math.max(number, highest[mode]);
  trial.held.push(number);
}

/** Steals from the living now and then: the queue must bear it. */
async function thief(process: TestProcess, trial: Trial): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await process.system.sleep(trial.random.random() * 60);
    const [lowest] = liveTickets(await process.queue.state());
    if (lowest === undefined) continue;
    // A stale thief: much may have happened since it looked. It counts once its marker is there.
    await process.system.sleep(trial.random.random() * 20);
    await process.queue.finish(lowest, 'stolen');
    trial.stolen.add(lowest);
  }
}

async function run(seed: number, sharedShare: number): Promise<Trial> {
  const world = new LockWorld();
  const random = new VirtualSystem(world.time, { seed });
  const trial: Trial = {
    world,
    random,
    sharedShare,
    held: [],
    stolen: new Set(),
    holding: new Map(),
    highest: { exclusive: 0, shared: 0 },
    togethers: 0,
    faults: [],
  };
  const processes = Array.from({ length: 5 }, () => world.process());
  for (const process of processes) makeSlow(process, trial);
  // A steal takes effect between the call and its return: whoever begins to hold in between is stolen from already.
  const work = processes.map((process, i) => (i === 4 ? thief(process, trial) : client(process, trial, 4)));
  await world.time.until(Promise.all(work), { stepMs: 1, limitMs: 100_000 });
  return trial;
}

describe('the queue under interleaved processes', () => {
  const seed = Number(process.env['PEAT_SEED'] ?? Date.now() % 1_000_000);

  it(`never has two holders, never goes back, and never stands still (PEAT_SEED=${seed})`, async () => {
    for (let i = 0; i < 20; i++) {
      const { faults, held } = await run(seed + i, 0);
      expect(faults, `PEAT_SEED=${seed + i}`).toEqual([]);
      expect(held.length).toBeGreaterThan(0);
    }
  });

  it(`never has an exclusive holder beside any other, with shared ones among them (PEAT_SEED=${seed})`, async () => {
    let togethers = 0;
    for (let i = 0; i < 20; i++) {
      const trial = await run(seed + i, 0.6);
      expect(trial.faults, `PEAT_SEED=${seed + i}`).toEqual([]);
      togethers += trial.togethers;
    }
    expect(togethers).toBeGreaterThan(0);
  });
});
