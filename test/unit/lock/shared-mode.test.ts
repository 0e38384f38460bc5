import { beforeEach, describe, expect, it } from 'vitest';
import type { PeatError } from '../../../src/base/errors.ts';
import { LOCK_SITES } from '../../../src/lock/lock-sites.ts';
import { ticketName } from '../../../src/lock/queue-state.ts';
import type { LockHandle } from '../../../src/lock/ticket-lock.ts';
import { LockWorld, PREFIX, type TestProcess } from '../../support/lock-world.ts';

const EXCLUSIVE = { site: LOCK_SITES.namedLock, leaseMs: 3000 };
const SHARED = { ...EXCLUSIVE, mode: 'shared' } as const;

let world: LockWorld;

beforeEach(() => {
  world = new LockWorld();
});

/** Asks, lets the others have their turn, and tells whether it holds. */
async function ask(process: TestProcess, options: typeof EXCLUSIVE): Promise<Asked> {
  const asked: Asked = { held: undefined };
  void process.lock.acquire(options).then((handle) => {
    asked.held = handle;
  });
  await world.time.advance(50);
  return asked;
}

interface Asked {
  held: LockHandle | undefined;
}

describe('a shared lock', () => {
  it('is held by all who share it, each with a token of its own', async () => {
    const asked = [];
    for (const host of ['h1', 'h2', 'h1']) asked.push(await ask(world.process({ host }), SHARED));
    expect(asked.map(({ held }) => held?.token)).toEqual([1, 2, 3]);
    expect(asked.every(({ held }) => held?.mode === 'shared')).toBe(true);
  });

  it('keeps an exclusive one out until the last of them has given it back, in whatever order', async () => {
    const shared = [await ask(world.process(), SHARED), await ask(world.process(), SHARED), await ask(world.process(), SHARED)];
    const exclusive = await ask(world.process(), EXCLUSIVE);
    for (const i of [1, 0, 2]) {
      await world.time.advance(1000);
      expect(exclusive.held).toBeUndefined();
      await shared[i]?.held?.release();
    }
    await world.time.advance(300);
    expect(exclusive.held?.token).toBe(4);
  });

  it('waits for an exclusive one that holds', async () => {
    const exclusive = await ask(world.process(), EXCLUSIVE);
    const shared = [await ask(world.process(), SHARED), await ask(world.process(), SHARED)];
    expect(shared.map(({ held }) => held)).toEqual([undefined, undefined]);
    await exclusive.held?.release();
    await world.time.advance(300);
    expect(shared.map(({ held }) => held?.token)).toEqual([2, 3]);
  });

  it('waits for an exclusive one that came before and waits itself, so that nobody starves', async () => {
    const first = await ask(world.process(), SHARED);
    const exclusive = await ask(world.process(), EXCLUSIVE);
    const later = await ask(world.process(), SHARED);
    expect([exclusive.held, later.held]).toEqual([undefined, undefined]);
    await first.held?.release();
    await world.time.advance(300);
    expect([exclusive.held?.token, later.held]).toEqual([2, undefined]);
    await exclusive.held?.release();
    await world.time.advance(300);
    expect(later.held?.token).toBe(3);
  });

  it('is shared with those who hold as soon as the exclusive one between gives up', async () => {
    await ask(world.process(), SHARED);
    const controller = new AbortController();
    const exclusive = world.process().lock.acquire({ ...EXCLUSIVE, signal: controller.signal });
    exclusive.catch(() => {});
    await world.time.advance(50);
    const later = await ask(world.process(), SHARED);
    expect(later.held).toBeUndefined();
    controller.abort(new Error('never mind'));
    await world.time.advance(300);
    expect(later.held?.token).toBe(3);
  });

  it('is shared with those who hold once the exclusive one between is dead', async () => {
    const first = await ask(world.process(), SHARED);
    const dead = world.process();
    await ask(dead, EXCLUSIVE);
    const later = await ask(world.process(), SHARED);
    dead.kill();
    await world.time.advance(300);
    expect(later.held?.token).toBe(3);
    expect(first.held?.signal.aborted).toBe(false);
  });

  it('loses the dead among its holders only, at once on the same host and together after a lease elsewhere', async () => {
    const [near, far, farther, alive] = [world.process(), world.process({ host: 'h2' }), world.process({ host: 'h3' }), world.process()];
    for (const process of [near, far, farther]) await ask(process, SHARED);
    const last = await ask(alive, SHARED);
    for (const process of [near, far, farther]) process.kill();
    const exclusive = await ask(world.process(), EXCLUSIVE);
    expect(await world.files()).toContain('1.done');
    expect(await world.files()).not.toContain('2.done');
    await world.time.advance(3500);
    expect(await world.files()).toEqual(expect.arrayContaining(['2.done', '3.done']));
    expect(await world.files()).not.toContain('4.done');
    expect(exclusive.held).toBeUndefined();
    await last.held?.release();
    await world.time.advance(300);
    expect(exclusive.held?.token).toBe(5);
  });

  it('takes a ticket that can not be read for an exclusive one', async () => {
    await world.medium.putIfAbsent(ticketName(PREFIX, 1), Buffer.alloc(0));
    const shared = await ask(world.process(), SHARED);
    await world.time.advance(2000);
    expect(shared.held).toBeUndefined();
  });

  it('reads each ticket ahead once, however long it waits', async () => {
    await ask(world.process(), SHARED);
    await ask(world.process(), EXCLUSIVE);
    await ask(world.process(), SHARED);
    const waiter = world.process();
    const reads: string[] = [];
    waiter.hooks.before = (call, name) => {
      if (call === 'get' && /\/\d+$/.test(name)) reads.push(name);
    };
    await ask(waiter, SHARED);
    await world.time.advance(800);
    expect(reads.sort()).toEqual([1, 2, 3].map((n) => ticketName(PREFIX, n)));
  });

  it('is had at once, or not at all, by one that only tries', async () => {
    const tryShared = { ...SHARED, tryOnly: true };
    const first = await ask(world.process(), SHARED);
    expect((await world.process().lock.acquire(tryShared)).token).toBe(2);
    await expect(world.process().lock.acquire({ ...EXCLUSIVE, tryOnly: true })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    await ask(world.process(), EXCLUSIVE);
    await expect(world.process().lock.acquire(tryShared)).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    expect(await world.files()).toEqual(['1', '2', '3']);
    expect(first.held?.signal.aborted).toBe(false);
  });

  it('is refused in a mode that there is not', async () => {
    await expect(world.process().lock.acquire({ ...EXCLUSIVE, mode: 'both' as 'shared' })).rejects.toThrow(RangeError);
  });

  it('times out with the first of those who hold it, and how many more', async () => {
    const first = world.process({ host: 'web1' });
    await ask(first, { ...SHARED, purpose: 'report' } as typeof EXCLUSIVE);
    await ask(world.process(), SHARED);
    const error: PeatError = await world.time.until(
      world
        .process()
        .lock.acquire({ ...EXCLUSIVE, maxWaitMs: 500 })
        .then(
          () => new Error('not reached') as PeatError,
          (caught: PeatError) => caught,
        ),
    );
    expect(error.holder).toBe(`pid ${first.identity.pid} on web1 since 2024-01-01T00:00:00.000Z, shared (report), and 1 more`);
  });
});
