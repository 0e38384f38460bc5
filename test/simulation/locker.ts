/** An actor that takes named locks, and holds them for a while. Tokens of a lock rise, and of those who can know that they hold it there is one. */
import type { NamedLock } from '../../src/index.ts';
import type { Life } from './life.ts';
import type { SimulatedProcess } from './process.ts';

interface Hold {
  readonly process: SimulatedProcess;
  readonly lock: NamedLock;
  readonly sinceMs: number;
}

interface LockHistory {
  /** The highest token of those that were handed out, and by when. */
  highest: number;
  readonly tokens: Set<number>;
  readonly holds: Set<Hold>;
}

const NAMES = ['a', 'b'];
const HOLD_MS_MAX = 120_000;

const histories = new WeakMap<object, Map<string, LockHistory>>();

export async function locker(life: Life): Promise<void> {
  const { world, random, process } = life;
  const { store } = await life.open();
  while (!world.isClosing) {
    const kind = random.next();
    const name = random.pick(NAMES);
    const before = historyOf(life, kind < 0.15 ? '' : name).highest;
    // Not the place of the call: that is another one in each build.
    const purpose = process.name;
    const options = { purpose, maxWaitMs: random.pick([1000, 60_000, 600_000]), leaseMs: random.pick([3000, 15_000, 60_000]) };
    const { result: lock } = await life.attempt(`lock ${kind < 0.15 ? 'all' : name}`, async () => {
      if (kind < 0.15) return await store.exclusive(options);
      return await store.lock(name, { ...options, mode: random.chance(0.3) ? 'shared' : 'exclusive' });
    });
    if (lock !== undefined) {
      const hold = { process, lock, sinceMs: world.scheduler.nowMs };
      begin(life, hold, before);
      await process.sleep(random.spread(1, HOLD_MS_MAX));
      end(life, hold);
      await life.attempt('unlock', () => lock.release());
    }
    await life.pause();
  }
  await life.attempt('close', () => store.close());
}

function historyOf(life: Life, name: string): LockHistory {
  let all = histories.get(life.world);
  if (all === undefined) {
    all = new Map();
    histories.set(life.world, all);
  }
  let history = all.get(name);
  if (history === undefined) {
    history = { highest: 0, tokens: new Set(), holds: new Set() };
    all.set(name, history);
  }
  return history;
}

function begin(life: Life, hold: Hold, before: number): void {
  const { world } = life;
  const [name = ''] = hold.lock.names;
  const history = historyOf(life, name);
  const { token } = hold.lock;
  if (history.tokens.has(token) || token <= before) world.violate(`${life.name} holds "${name}" with token ${token}, not above ${before}`);
  history.tokens.add(token);
  history.highest = Math.max(history.highest, token);
  for (const other of against(life, hold)) {
    if (isSure(hold) && isSure(other)) {
      world.violate(
        `${life.name} and ${other.process.name} both hold "${name}" and "${other.lock.names[0] ?? ''}", with ${token} and ${other.lock.token}`,
      );
    }
  }
  history.holds.add(hold);
}

/** Those that must not be held at the same time. */
function against(life: Life, { lock }: Hold): Hold[] {
  const [name] = lock.names;
  const holds = [...NAMES, ''].flatMap((other) =>
    name === undefined || other === '' || other === name ? [...historyOf(life, other).holds] : [],
  );
  return holds.filter((other) => !(lock.mode === 'shared' && other.lock.mode === 'shared'));
}

/** Nothing has kept it from noticing that it lost the lock. */
function isSure({ process, lock, sinceMs }: Hold): boolean {
  return process.state === 'alive' && process.lastStoppedAtMs < sinceMs && !lock.signal.aborted;
}

function end(life: Life, hold: Hold): void {
  historyOf(life, hold.lock.names[0] ?? '').holds.delete(hold);
}
