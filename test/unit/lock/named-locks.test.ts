/** Locks that callers name: names, several at once, timeouts, closing. On a virtual clock. */
import { describe, expect, it } from 'vitest';
import { PeatError } from '../../../src/base/errors.ts';
import { NamedLockWorld } from '../../support/named-lock-world.ts';

async function failure(promise: Promise<unknown>): Promise<PeatError> {
  return await promise.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error as PeatError,
  );
}

describe('a named lock', () => {
  it('goes from one holder to the next in the order of their tickets, with rising tokens', async () => {
    const world = new NamedLockWorld();
    const order: string[] = [];
    const tokens: number[] = [];
    const visit = async (who: string): Promise<void> => {
      const process = world.named();
      const lock = await process.lock('deploy');
      order.push(who);
      tokens.push(lock.token);
      await process.process.system.sleep(1000);
      await lock.release();
    };
    const visits: Promise<void>[] = [];
    for (const who of ['a', 'b', 'c', 'd']) {
      visits.push(visit(who));
      await world.time.advance(1);
    }
    await world.time.until(Promise.all(visits));
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    expect(tokens).toEqual([1, 2, 3, 4]);
    expect(await world.live()).toEqual([]);
  });

  it('is held by several in shared mode, and by one alone in exclusive mode', async () => {
    const world = new NamedLockWorld();
    const first = await world.named().lock('index', { mode: 'shared' });
    const second = await world.named().lock('index', { mode: 'shared' });
    expect([first.mode, second.mode]).toEqual(['shared', 'shared']);
    let hasWriter = false;
    const writer = world.named().lock('index');
    void writer.then(() => {
      hasWriter = true;
    });
    await first.release();
    await world.time.advance(1000);
    expect(hasWriter).toBe(false);
    await second.release();
    const held = await world.time.until(writer);
    await expect(world.time.until(world.named().lock('index', { mode: 'shared', maxWaitMs: 500 }))).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
    });
    await held.release();
  });

  it.each([[''], ['a'.repeat(256)], ['/'.repeat(86)], ['\ud800']])('refuses the name %j, and shows it', async (name) => {
    const shown = JSON.stringify(name.slice(0, 10)).slice(0, -1);
    await expect(new NamedLockWorld().named().lock(name)).rejects.toThrow(RangeError);
    await expect(new NamedLockWorld().named().lock(name)).rejects.toThrow(shown);
  });

  it.each(['a'.repeat(255), '/'.repeat(85), '..', '../../peat.json', 'ns/a\\b', 'Größe 7 %2f', 'con'])(
    'takes the name %j as it is',
    async (name) => {
      const world = new NamedLockWorld();
      const lock = await world.named().lock(name);
      expect(lock.names).toEqual([name]);
      const files = (await world.medium.list('')).map((object) => object.name);
      expect(files.filter((file) => !/^lock\/user\/[A-Za-z0-9_%-]+\/\d{20}$/.test(file))).toEqual([]);
      await expect(world.time.until(world.named().lock(name, { maxWaitMs: 10 }))).rejects.toMatchObject({
        code: 'LOCK_TIMEOUT',
        lock: name,
      });
      await lock.release();
    },
  );

  it('refuses options that make no sense, and shows them', async () => {
    const process = new NamedLockWorld().named();
    await expect(process.lock('a', { mode: 'upgradable' as never })).rejects.toThrow(/upgradable/);
    await expect(process.lock('a', { maxWaitMs: -1 })).rejects.toThrow(/-1/);
    await expect(process.lock('a', { maxWaitMs: Number.NaN })).rejects.toThrow(/NaN/);
    await expect(process.lock('a', { leaseMs: 5 })).rejects.toThrow(/leaseMs.*5/);
    await expect(process.lock('a', { leaseMs: 30 * 86_400_000 })).rejects.toThrow(/leaseMs.*2592000000/);
    await expect(process.lock('a', { leaseMs: Number.POSITIVE_INFINITY })).rejects.toThrow(/leaseMs.*Infinity/);
    await expect(process.lock('a', { maxWaitMs: 30 * 86_400_000 })).rejects.toThrow(/maxWaitMs.*2592000000/);
    await (await process.lock('a', { maxWaitMs: Number.POSITIVE_INFINITY, leaseMs: 2 ** 31 - 1 })).release();
    await expect(process.lock('a', { ttl: 5 } as never)).rejects.toThrow(/ttl/);
    await expect(process.lock(5 as never)).rejects.toThrow(TypeError);
    await expect(process.exclusive({ mode: 'shared' } as never)).rejects.toThrow(/mode/);
  });
});

describe('a wait that is given up', () => {
  it('tells who holds the lock: host, process, since when, where in the program, and how long it waited', async () => {
    const world = new NamedLockWorld();
    const holder = world.named({ host: 'web1' });
    const lock = await holder.lock('deploy', { stack: 'Error\n    at run (file:///srv/app/deploy.ts:42:7)\n' });
    await world.time.advance(500);
    const failed = world.time.until(world.named().lock('deploy', { maxWaitMs: 1000 }));
    await expect(failed).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', lock: 'deploy' });
    const { message, holder: who, waitedMs } = await failure(failed);
    expect(who).toContain(`pid ${holder.process.identity.pid} on web1 since 2024-01-01T00:00:00.000Z`);
    expect(who).toContain('/srv/app/deploy.ts:42');
    expect(waitedMs).toBeGreaterThanOrEqual(1000);
    expect(message).toContain(`within ${waitedMs} ms`);
    await lock.release();
  });

  it('leaves nothing behind: no live ticket, and nobody waits for it', async () => {
    const world = new NamedLockWorld();
    const holder = await world.named().lock('deploy');
    await expect(world.time.until(world.named().lock('deploy', { maxWaitMs: 300 }))).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    const stop = new AbortController();
    const reason = new Error('no more');
    const stopped = world.named().lock('deploy', { signal: stop.signal });
    await world.time.advance(100);
    stop.abort(reason);
    await expect(world.time.until(stopped)).rejects.toBe(reason);
    expect(await world.live()).toEqual(['user/deploy/1']);
    const next = world.named().lock('deploy', { maxWaitMs: 10 });
    await holder.release();
    expect((await world.time.until(next)).token).toBe(4);
  });

  it('says so where this very process is the holder, with the line that took the lock', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    const lock = await process.lock('deploy', { stack: 'Error\n    at /srv/app/outer.ts:7:1\n' });
    const again = world.time.until(process.lock('deploy', { maxWaitMs: 50, stack: 'Error\n    at /srv/app/inner.ts:9:1\n' }));
    await expect(again).rejects.toThrow(/this process.*\/srv\/app\/outer\.ts:7/);
    await lock.release();
  });

  it('counts all stages together: the turn, and the structural lock', async () => {
    const world = new NamedLockWorld();
    const holder = await world.named().lock('deploy');
    const waiting = world.named().lock('deploy', { maxWaitMs: 1000 });
    await world.time.advance(600);
    const structural = world.named().exclusive();
    await world.time.advance(1);
    await holder.release();
    await expect(world.time.until(waiting)).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', lock: 'structural' });
    const { waitedMs = 0 } = await failure(waiting);
    expect(waitedMs).toBeGreaterThanOrEqual(1000);
    expect(waitedMs).toBeLessThan(1300);
    await (await world.time.until(structural)).release();
  });

  it('for the structural lock tells that this process holds what that one waits for', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    const outer = await process.lock('outer', { purpose: 'nightly' });
    const structural = world.named().exclusive();
    await world.time.advance(10);
    await expect(world.time.until(process.lock('inner', { maxWaitMs: 500 }))).rejects.toThrow(/structural.*outer \(nightly\)/);
    await outer.release();
    await (await world.time.until(structural)).release();
  });
});

describe('several named locks', () => {
  it('are one handle, in the order of the bytes of their names', async () => {
    const world = new NamedLockWorld();
    await (await world.named().lock('\u{1f600}')).release();
    const lock = await world.named().locks(['b', '\u{1f600}', '\uff21', 'a']);
    expect(lock.names).toEqual(['a', 'b', '\uff21', '\u{1f600}']);
    expect(lock.tokens).toEqual([1, 1, 1, 2]);
    expect(lock.token).toBe(1);
    expect(await world.live()).toHaveLength(4);
    await lock.release();
    expect(await world.live()).toEqual([]);
  });

  it('never wait for each other, whatever the order they are asked for in', async () => {
    const world = new NamedLockWorld();
    const visit = async (names: string[]): Promise<void> => {
      const process = world.named();
      for (let i = 0; i < 10; i++) {
        const lock = await process.locks(names);
        await process.process.system.sleep(10);
        await lock.release();
      }
    };
    await world.time.until(Promise.all([visit(['a', 'b', 'c']), visit(['c', 'b', 'a']), visit(['b', 'c']), visit(['c', 'a'])]));
    expect(await world.live()).toEqual([]);
  });

  it.each([
    [[], '[]'],
    [['a', 'b', 'a'], '"a"'],
    [['a', ''], '""'],
  ])('refuse %j', async (names, shown) => {
    const asked = new NamedLockWorld().named().locks(names);
    await expect(asked).rejects.toThrow(RangeError);
    await expect(asked).rejects.toThrow(shown);
  });

  it('are all given back where one of them can not be had', async () => {
    const world = new NamedLockWorld();
    const holder = await world.named().lock('c');
    await expect(world.time.until(world.named().locks(['a', 'b', 'c', 'd'], { maxWaitMs: 200 }))).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      lock: 'c',
    });
    expect(await world.live()).toEqual(['user/c/1']);
    await holder.release();
  });

  it('that could not be given back after a failure are told with it, and given back later', async () => {
    const world = new NamedLockWorld();
    const holder = await world.named().lock('b');
    const process = world.named();
    const full = new PeatError('STORAGE', 'no space left');
    process.process.hooks.before = (call, name) => {
      if (call === 'put' && name.startsWith('lock/user/a/') && name.endsWith('.done')) throw full;
    };
    const failed = world.time.until(process.locks(['a', 'b'], { maxWaitMs: 200 }));
    await expect(failed).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', lock: 'b' });
    const { cause } = await failure(failed);
    expect((cause as AggregateError).errors).toContain(full);
    expect(await world.live()).toEqual(['user/a/1', 'user/b/1']);
    process.process.hooks.before = () => {};
    await world.time.advance(60_000);
    await holder.release();
    expect(await world.live()).toEqual([]);
  });

  it('are lost as soon as one of them is lost', async () => {
    const world = new NamedLockWorld();
    const process = world.named({ host: 'h1' });
    const lock = await process.locks(['a', 'b'], { leaseMs: 1000 });
    process.process.stop();
    const thief = world.named({ host: 'h2' }).lock('b', { leaseMs: 1000 });
    await world.time.until(thief);
    process.process.resume();
    await world.time.advance(2000);
    expect(lock.signal.aborted).toBe(true);
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST', lock: expect.stringMatching(/^[ab]$/) });
  });
});

describe('closing', () => {
  it('gives back what is held, tells the holders, and gives up the waits', async () => {
    const world = new NamedLockWorld();
    const other = await world.named().lock('taken');
    const process = world.named();
    const held = await process.locks(['a', 'b']);
    const given = await process.lock('given back');
    await given.release();
    const waiting = process.lock('taken');
    const refused = expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await world.time.advance(100);
    await world.time.until(process.named.close());
    await refused;
    expect(held.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
    expect(given.signal.aborted).toBe(false);
    expect(await world.live()).toEqual(['user/taken/1']);
    await expect(process.lock('a')).rejects.toMatchObject({ code: 'CLOSED' });
    await other.release();
  });

  it('waits for what could not be given back, also before it, and that storage takes again after a while', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    const early = await process.lock('early');
    await process.lock('held');
    process.process.hooks.fail('ENOSPC', (call) => call === 'put');
    await early.release();
    // By now, the pauses between its attempts are long.
    await world.time.advance(40_000);
    const closed = process.named.close();
    await world.time.advance(1000);
    process.process.hooks.mend();
    await world.time.until(closed);
    expect(await world.live()).toEqual([]);
  });

  it('fails after some seconds where storage does not, and names the lock, its token, and the way out', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    await process.lock('nightly');
    await process.exclusive({ maxWaitMs: 0 }).catch(() => undefined);
    process.process.hooks.fail('ENOSPC', (call) => call === 'put');
    const closed = failure(world.time.until(process.named.close()));
    const error = await closed;
    expect(error).toMatchObject({ code: 'STORAGE', lock: 'nightly', cause: { cause: { code: 'ENOSPC' } } });
    expect(error.message).toContain('peat lock release --token 1 LOCATION nightly');
    process.process.hooks.mend();
    // If the medium outlives the store, it is given back all the same.
    await world.time.advance(1000);
    expect(await world.live()).toEqual([]);
  });
});
