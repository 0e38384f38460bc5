/** All locks from outside, and the breaking of one. On a virtual clock. */
import { describe, expect, it } from 'vitest';
import { lockPrefix } from '../../../src/format/layout.ts';
import { breakLock, type LockListContext, listLocks } from '../../../src/lock/lock-list.ts';
import { NamedLockWorld } from '../../support/named-lock-world.ts';

function contextOf(world: NamedLockWorld): LockListContext {
  const { system, facts } = world.process();
  return { mediumOf: () => world.medium, system, facts };
}

describe('a list of locks', () => {
  it('shows every kind, holders and waiters in order, and no lock that nobody wants', async () => {
    const world = new NamedLockWorld();
    await (await world.named().lock('given back')).release();
    const holder = await world.named({ host: 'web1' }).lock('a/b', { purpose: 'nightly', leaseMs: 20_000 });
    const waiting = world.named().lock('a/b', { mode: 'shared' });
    await world.time.advance(100);
    const structural = world.named().exclusive();
    await world.medium.putIfAbsent(`${lockPrefix('stripe', 'runs/7')}00000000000000000001`, Buffer.from('damaged'));
    await world.medium.putIfAbsent('lock/unheard-of/x/00000000000000000001', Buffer.from('later release'));
    await world.time.advance(100);

    const locks = await listLocks(contextOf(world));
    expect(locks.map(({ kind, name, tickets }) => [kind, name, tickets.length])).toEqual([
      ['user', 'a/b', 2],
      ['stripe', 'runs/7', 1],
      ['structural', 'store', 1],
    ]);
    expect(locks[0]?.tickets).toMatchObject([
      { number: 1, holder: { host: 'web1' }, mode: 'exclusive', purpose: 'nightly', leaseMs: 20_000 },
      { number: 2, mode: 'shared' },
    ]);
    await holder.release();
    const lock = await world.time.until(structural);
    await lock.release();
    await (await world.time.until(waiting)).release();
  });
});

describe('breaking a lock', () => {
  it('takes it from the holder with that token, who learns it, and lets the next one in', async () => {
    const world = new NamedLockWorld();
    const lock = await world.named().lock('deploy', { purpose: 'forgotten' });
    const next = world.named().lock('deploy');
    await world.time.advance(100);
    const done = await breakLock(contextOf(world), { lock: 'deploy', token: 1 });
    expect(done).toMatchObject({
      kind: 'user',
      name: 'deploy',
      token: 1,
      broken: true,
      ticket: { purpose: 'forgotten' },
      left: [{ number: 2 }],
    });
    expect((await world.time.until(next)).token).toBe(2);
    await world.time.advance(6000);
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
  });

  it('does nothing with a token that is over, or that nobody has yet', async () => {
    const world = new NamedLockWorld();
    await (await world.named().lock('deploy')).release();
    const lock = await world.named().lock('deploy');
    for (const token of [1, 3, 99]) {
      expect(await breakLock(contextOf(world), { lock: 'deploy', token })).toMatchObject({ token, broken: false, ticket: undefined });
    }
    expect(await breakLock(contextOf(world), { lock: 'nobody asked for it', token: 1 })).toMatchObject({ broken: false, left: [] });
    await lock.release();
    expect((await world.named().lock('deploy')).token).toBe(3);
  });

  it('reaches locks of every kind', async () => {
    const world = new NamedLockWorld();
    await world.named().exclusive();
    expect(await breakLock(contextOf(world), { lock: { kind: 'structural', name: 'store' }, token: 1 })).toMatchObject({ broken: true });
    await (await world.named().lock('a', { maxWaitMs: 0 })).release();
  });

  it.each([
    ['deploy', 0],
    ['deploy', 1.5],
    ['deploy', undefined],
    ['', 1],
    [{ kind: 'odd', name: 'a' }, 1],
    [undefined, 1],
    [null, 1],
    [7, 1],
    ['a'.repeat(300), 1],
    ['\ud800', 1],
  ])('refuses %j with token %j', async (lock, token) => {
    await expect(breakLock(contextOf(new NamedLockWorld()), { lock: lock as never, token: token as never })).rejects.toThrow(
      /RangeError|got/,
    );
  });
});
