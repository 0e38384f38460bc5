/** Named locks against the structural one (rule C6): forced interleavings, then random ones, on a virtual clock. */
import { describe, expect, it } from 'vitest';
import type { NamedLock } from '../../../src/lock/named-lock.ts';
import { testSeed } from '../../support/child.ts';
import { NamedLockWorld, type NamedProcess } from '../../support/named-lock-world.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

/** Notes when a promise has resolved. */
function flagOf(promise: Promise<unknown>): { isDone: boolean } {
  const flag = { isDone: false };
  void promise.then(() => {
    flag.isDone = true;
  });
  return flag;
}

const looksAtStructural = (call: string, name: string): boolean => call === 'list' && name === 'lock/structural/store/';
const listsNames = (call: string, name: string): boolean => call === 'list' && name === 'lock/user/';

describe('the structural lock', () => {
  it('waits for every holder of a named lock, in either mode, and for none that comes later', async () => {
    const world = new NamedLockWorld();
    const locks = [
      await world.named().lock('a'),
      await world.named().lock('b', { mode: 'shared' }),
      await world.named().lock('b', { mode: 'shared' }),
      await world.named().locks(['c', 'd']),
    ];
    const structural = world.named().exclusive();
    const held = flagOf(structural);
    await world.time.advance(500);
    const late = world.named().lock('e');
    const lateHeld = flagOf(late);
    for (const lock of locks) {
      await world.time.advance(1000);
      expect(held.isDone).toBe(false);
      await lock.release();
    }
    const lock = await world.time.until(structural);
    expect(lock).toMatchObject({ names: [], mode: 'exclusive', token: 1, tokens: [1] });
    await world.time.advance(1000);
    expect(lateHeld.isDone).toBe(false);
    await lock.release();
    await (await world.time.until(late)).release();
  });

  it('is seen by a named locker whose turn came just before, if its ticket is there before that one looks', async () => {
    const world = new NamedLockWorld();
    const named = world.named();
    const gate = named.process.hooks.gate(looksAtStructural);
    const asked = named.lock('a');
    const held = flagOf(asked);
    await gate.reached;
    const structural = world.named().exclusive();
    const structuralHeld = flagOf(structural);
    await world.time.advance(1000);
    // Its ticket stands in the way, although it does not hold yet.
    expect(structuralHeld.isDone).toBe(false);
    gate.open();
    const lock = await world.time.until(structural);
    await world.time.advance(1000);
    expect(held.isDone).toBe(false);
    await lock.release();
    expect((await world.time.until(asked)).token).toBe(2);
  });

  it('sees a named locker that looked just before its ticket was there', async () => {
    const world = new NamedLockWorld();
    const structural = world.named();
    const gate = structural.process.hooks.gate((call, name) => call === 'put' && name.startsWith('lock/structural/'));
    const asked = structural.exclusive();
    const held = flagOf(asked);
    await gate.reached;
    const lock = await world.named().lock('a');
    gate.open();
    await world.time.advance(2000);
    expect(held.isDone).toBe(false);
    await lock.release();
    await (await world.time.until(asked)).release();
  });

  it('need not see a name that comes to be while it lists the names: that locker sees it', async () => {
    const world = new NamedLockWorld();
    const structural = world.named();
    const gate = structural.process.hooks.gate(listsNames);
    const asked = structural.exclusive();
    await gate.reached;
    const late = world.named().lock('new');
    const held = flagOf(late);
    await world.time.advance(1000);
    expect(held.isDone).toBe(false);
    gate.open();
    const lock = await world.time.until(asked);
    expect(held.isDone).toBe(false);
    await lock.release();
    await (await world.time.until(late)).release();
  });

  it('is not misled by a listing that shows a ticket as live whose marker was swept meanwhile', async () => {
    const world = new NamedLockWorld();
    const gone = await world.named().lock('a');
    await gone.release();
    const holder = await world.named().lock('a');
    const structural = world.named();
    // The listing read the first ticket's name before its deletion, and where its marker had been after that.
    structural.process.hooks.listed = (objects) => {
      if (!objects.some(({ name }) => name.endsWith('1.done'))) return objects;
      structural.process.hooks.listed = (same) => same;
      return objects.filter(({ name }) => !name.endsWith('1.done'));
    };
    const asked = structural.exclusive();
    const held = flagOf(asked);
    await world.time.advance(2000);
    expect(held.isDone).toBe(false);
    await holder.release();
    await (await world.time.until(asked)).release();
  });

  it('is not kept waiting by a stream of named lockers, nor by one that waits behind a holder', async () => {
    const world = new NamedLockWorld();
    let isOver = false;
    const visit = async (): Promise<void> => {
      const process = world.named();
      while (!isOver) {
        const lock = await process.lock('busy');
        await process.process.system.sleep(50);
        await lock.release();
      }
    };
    const visits = Promise.all([visit(), visit(), visit()]);
    await world.time.advance(500);
    const lock = await world.time.until(world.named().exclusive({ maxWaitMs: 5000 }));
    expect(await world.live()).toEqual(['structural/store/1']);
    isOver = true;
    await lock.release();
    await world.time.until(visits);
  });

  it.each([
    ['of the same host', 'h1', 400],
    ['of another host', 'h2', 2500],
  ])('of a killed holder %s holds nobody up beyond its lease', async (_, host, limitMs) => {
    const world = new NamedLockWorld();
    const holder = world.named({ host });
    await holder.exclusive({ leaseMs: 2000 });
    holder.process.kill();
    const lock = await world.time.until(world.named({ host: 'h1' }).lock('a'), { limitMs });
    await lock.release();
    expect(await world.live()).toEqual([]);
  });

  it.each([
    ['of the same host', 'h1', 400],
    ['of another host', 'h2', 2500],
  ])('takes a named lock away from a killed holder %s', async (_, host, limitMs) => {
    const world = new NamedLockWorld();
    const holder = world.named({ host });
    await holder.locks(['a', 'b'], { leaseMs: 2000 });
    holder.process.kill();
    await (await world.time.until(world.named({ host: 'h1' }).exclusive(), { limitMs })).release();
    expect(await world.live()).toEqual([]);
  });

  it('that is given up leaves nothing behind, and lets the named lockers in', async () => {
    const world = new NamedLockWorld();
    const holder = await world.named().lock('a');
    const structural = world.named().exclusive({ maxWaitMs: 1000 });
    const failed = expect(structural).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', lock: 'a' });
    const waiting = world.named().lock('b');
    await world.time.until(structural.catch(() => undefined));
    await failed;
    await (await world.time.until(waiting)).release();
    expect(await world.live()).toEqual(['user/a/1']);
    await holder.release();
  });

  it('that is lost while it waits for the named ones is queued for again', async () => {
    const world = new NamedLockWorld();
    const holder = await world.named().lock('a');
    const structural = world.named();
    const asked = structural.exclusive({ leaseMs: 1000 });
    await world.time.advance(100);
    await world.process().queue.state();
    await world.medium.putIfAbsent('lock/structural/store/00000000000000000001.done', Buffer.from('broken by hand'));
    await world.time.advance(2000);
    await holder.release();
    expect((await world.time.until(asked)).token).toBe(2);
  });
});

describe('random runs', () => {
  it('of named locks, several, and structural ones never overlap and never deadlock', async () => {
    const random = new VirtualSystem(undefined, { seed: testSeed() });
    const below = (n: number): number => Math.floor(random.random() * n);
    const world = new NamedLockWorld();
    /** Who is inside: `name/mode`, or `structural`. Kept by the test alone. */
    const inside = new Map<NamedLock, readonly string[]>();
    let entered = 0;
    const enter = (lock: NamedLock): void => {
      const mine = lock.names.length === 0 ? ['structural'] : lock.names.map((name) => `${name}/${lock.mode}`);
      for (const others of inside.values()) {
        if (mine[0] === 'structural' || others[0] === 'structural') throw new Error(`${mine.join()} beside ${others.join()}`);
        for (const one of mine) {
          const clash = others.find((other) => other.split('/')[0] === one.split('/')[0] && !(one === other && one.endsWith('shared')));
          if (clash !== undefined) throw new Error(`${one} beside ${clash}`);
        }
      }
      inside.set(lock, mine);
      entered++;
    };
    const ask = (process: NamedProcess): Promise<NamedLock> => {
      const kind = below(8);
      if (kind === 0) return process.exclusive({ maxWaitMs: 3_600_000 });
      const options = { mode: below(2) === 0 ? ('shared' as const) : ('exclusive' as const), maxWaitMs: 3_600_000 };
      if (kind < 5) return process.lock(`n${below(3)}`, options);
      return process.locks(below(2) === 0 ? ['n2', 'n0'] : ['n1', 'n2', 'n0'], options);
    };
    const run = async (process: NamedProcess): Promise<void> => {
      const { system, hooks } = process.process;
      hooks.before = async () => {
        if (below(4) === 0) await system.sleep(below(20));
      };
      for (let i = 0; i < 30; i++) {
        const lock = await ask(process);
        enter(lock);
        await system.sleep(below(30));
        inside.delete(lock);
        await lock.release();
      }
    };
    const processes = Array.from({ length: 6 }, (_, i) => world.named({ host: `h${i % 2}` }));
    await world.time.until(Promise.all(processes.map(run)), { stepMs: 1000 });
    expect(entered).toBe(180);
    expect(await world.live()).toEqual([]);
  });
});
