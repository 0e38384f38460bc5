/** A parent's lock in its children: `PEAT_LOCKS`. On a virtual clock. */
import { describe, expect, it } from 'vitest';
import { decodeSharedTickets, handOn } from '../../../src/lock/inherited-lock.ts';
import { NamedLockWorld, STORE_ID } from '../../support/named-lock-world.ts';

describe('a lock that a parent process holds', () => {
  it("is held by its child under the same token, and stays the parent's when the child gives it back", async () => {
    const world = new NamedLockWorld();
    const held = await world.named().lock('deploy', { mode: 'exclusive' });
    const child = world.named({ environment: held.env });
    const lock = await child.lock('deploy', { maxWaitMs: 0 });
    expect([lock.token, lock.tokens, lock.names]).toEqual([held.token, held.tokens, held.names]);
    expect(await world.live()).toEqual(['user/deploy/1']);
    await lock.release();
    expect(await world.live()).toEqual(['user/deploy/1']);
    // In shared mode as well, and more than once: an exclusive ticket stands for both.
    await (await child.lock('deploy', { mode: 'shared', maxWaitMs: 0 })).release();
    await held.release();
    expect((await child.lock('deploy')).token).toBe(2);
  });

  it('is lost to the child when the parent gives it back, within a second', async () => {
    const world = new NamedLockWorld();
    const held = await world.named().lock('deploy');
    const lock = await world.named({ environment: held.env }).lock('deploy');
    await world.time.advance(30_000);
    expect(lock.signal.aborted).toBe(false);
    await held.release();
    await world.time.advance(1000);
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST', lock: 'deploy' });
  });

  it('is lost to the child when the parent is killed', async () => {
    const world = new NamedLockWorld();
    const parent = world.named();
    const held = await parent.lock('deploy');
    const lock = await world.named({ environment: held.env }).lock('deploy');
    parent.process.kill();
    await world.time.advance(1000);
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
    await expect(world.named({ environment: held.env }).lock('deploy')).resolves.toMatchObject({ token: 2 });
  });

  it('is lost to a child that can not look at it for a lease, and not before', async () => {
    const world = new NamedLockWorld();
    const held = await world.named().lock('deploy', { leaseMs: 3000 });
    const child = world.named({ environment: held.env });
    const lock = await child.lock('deploy');
    await world.time.advance(1000);
    child.process.hooks.before = () => {
      throw new Error('stale file handle');
    };
    await world.time.advance(2000);
    expect(lock.signal.aborted).toBe(false);
    await world.time.advance(2000);
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
    await held.release();
  });

  it('in shared mode does not make the child exclusive', async () => {
    const world = new NamedLockWorld();
    const held = await world.named().lock('index', { mode: 'shared' });
    const child = world.named({ environment: held.env });
    await expect(world.time.until(child.lock('index', { maxWaitMs: 100 }))).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    expect((await child.lock('index', { mode: 'shared' })).token).toBe(1);
    await held.release();
  });

  it('is handed on to grandchildren, beside what the child holds itself', async () => {
    const world = new NamedLockWorld();
    const parents = await world.named().lock('a');
    const childs = await world.named({ environment: parents.env }).lock('b');
    const grandchild = world.named({ environment: { PATH: '/bin', ...childs.env } });
    const lock = await grandchild.locks(['b', 'a'], { maxWaitMs: 0 });
    expect(lock.tokens).toEqual([parents.token, childs.token]);
    expect(await world.live()).toEqual(['user/a/1', 'user/b/1']);
    await parents.release();
    await world.time.advance(1000);
    expect(lock.signal.aborted).toBe(true);
    await childs.release();
  });

  it('may be one of several that a child asks for: it takes and gives back the rest itself', async () => {
    const world = new NamedLockWorld();
    const held = await world.named().lock('b');
    const lock = await world.named({ environment: held.env }).locks(['a', 'b', 'c']);
    expect(await world.live()).toEqual(['user/a/1', 'user/b/1', 'user/c/1']);
    await lock.release();
    expect(await world.live()).toEqual(['user/b/1']);
    await held.release();
  });

  it('may be the structural one', async () => {
    const world = new NamedLockWorld();
    const held = await world.named().exclusive();
    const lock = await world.named({ environment: held.env }).exclusive({ maxWaitMs: 0 });
    expect(lock.token).toBe(held.token);
    await lock.release();
    expect(await world.live()).toEqual(['structural/store/1']);
    await held.release();
  });

  it('is not believed on its word: not with another nonce, another store, or a ticket that is over', async () => {
    const world = new NamedLockWorld();
    const over = await world.named().lock('a');
    await over.release();
    const holder = world.named();
    const held = await holder.lock('a');
    const text = held.env['PEAT_LOCKS'] as string;
    const wrong = [
      over.env['PEAT_LOCKS'] as string,
      text.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      text.replace(STORE_ID, 'store00000000000000b'),
      text.replace(':2:', ':3:'),
      'nonsense',
      ':::',
    ];
    for (const PEAT_LOCKS of [...wrong, wrong.join(' ')]) {
      const asked = world.named({ environment: { PEAT_LOCKS } }).lock('a', { maxWaitMs: 0 });
      await expect(world.time.until(asked), PEAT_LOCKS).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    }
    // The right one among wrong ones is found.
    const environment = { PEAT_LOCKS: [...wrong, text].join(' ') };
    expect((await world.named({ environment }).lock('a', { maxWaitMs: 0 })).token).toBe(2);
    await held.release();
  });
});

describe('the variable', () => {
  it('reads back what was written, without doubles', () => {
    const tickets = [
      { storeId: 'abc', prefix: 'lock/user/a%2fb/', token: 7, nonce: 'v0' },
      { storeId: 'abc', prefix: 'lock/structural/store/', token: 1, nonce: 'v1' },
    ];
    const own = tickets.map((ticket) => ({ ...ticket, isInherited: false }));
    const text = handOn(undefined, [...own, ...own]);
    expect(text).toBe('abc:lock/user/a%2fb/:7:v0 abc:lock/structural/store/:1:v1');
    expect(decodeSharedTickets({ PEAT_LOCKS: ` ${text} \n` })).toEqual(tickets);
    expect(decodeSharedTickets({})).toEqual([]);
  });

  it('hands on what was inherited: of other stores, of locks that were not asked for, and of later releases', async () => {
    const world = new NamedLockWorld();
    const held = await world.named().lock('a');
    const foreign = 'store00000000000000b:lock/user/x/:7:v0 store00000000000000b:lock/user/a/:1:v1 later!form';
    const child = world.named({ environment: { PEAT_LOCKS: `${foreign} ${held.env['PEAT_LOCKS']}` } });
    const childs = await child.lock('b');
    expect(childs.env['PEAT_LOCKS']?.split(' ').slice(0, 4)).toEqual([...foreign.split(' '), held.env['PEAT_LOCKS']]);
    expect((await world.named({ environment: childs.env }).lock('a', { maxWaitMs: 0 })).token).toBe(held.token);
    for (const lock of [held, childs]) await lock.release();
  });

  it('does not grow in a chain of processes that each take the lock anew', async () => {
    const world = new NamedLockWorld();
    let environment = {};
    for (let token = 1; token <= 3; token++) {
      const lock = await world.named({ environment }).lock('a');
      await lock.release();
      environment = lock.env;
      expect(decodeSharedTickets(environment)).toMatchObject([{ token }]);
    }
  });
});
