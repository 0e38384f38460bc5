import { beforeEach, describe, expect, it } from 'vitest';
import type { PeatError } from '../../../src/base/errors.ts';
import { LOCK_SITES } from '../../../src/lock/lock-sites.ts';
import { floorName } from '../../../src/lock/queue-state.ts';
import type { LockHandle } from '../../../src/lock/ticket-lock.ts';
import { LockWorld, PREFIX } from '../../support/lock-world.ts';
import { settle } from '../../support/virtual-system.ts';

const SITE = { site: LOCK_SITES.namedLock };
const LEASE = { ...SITE, leaseMs: 3000 };

let world: LockWorld;

beforeEach(() => {
  world = new LockWorld();
});

/** Advances time until the promise settles. */
async function until<T>(promise: Promise<T>): Promise<T> {
  return await world.time.until(promise);
}

describe('taking turns', () => {
  it('hands out rising tokens, and gives the lock back', async () => {
    const { lock } = world.process();
    for (let token = 1; token <= 3; token++) {
      const handle = await lock.acquire(LEASE);
      expect(handle.token).toBe(token);
      expect(handle.signal.aborted).toBe(false);
      await handle[Symbol.asyncDispose]();
    }
    expect(await world.files()).toEqual(['1', '1.done', '2', '2.done', '3', '3.done']);
    expect(world.time.sleeping).toBe(0);
  });

  it('lets 16 waiters in, one after the other, in the order in which they came', async () => {
    const order: number[] = [];
    let inside = 0;
    const work = Array.from({ length: 16 }, async (_, i) => {
      const { lock, system } = world.process({ host: `h${i % 3}` });
      await system.sleep(i + 1);
      const handle = await lock.acquire(LEASE);
      expect(++inside).toBe(1);
      order.push(i);
      await system.sleep(100 + i);
      inside--;
      await handle.release();
    });
    await until(Promise.all(work));
    expect(order).toEqual(Array.from({ length: 16 }, (_, i) => i));
    expect(world.time.sleeping).toBe(0);
  });

  it('sweeps what has piled up', async () => {
    const { lock } = world.process();
    for (let i = 0; i < 100; i++) await (await lock.acquire(LEASE)).release();
    expect((await world.files()).length).toBeLessThan(40);
    expect((await lock.acquire(LEASE)).token).toBe(101);
  });

  it('wakes early on a hint, and bears a hint that fails', async () => {
    const [a, b] = [world.process(), world.process()];
    const first = await a.lock.acquire(LEASE);
    let wake = (): void => {};
    let hints = 0;
    const hint = async (): Promise<void> => {
      if (++hints === 1) throw new Error('no hints today');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    };
    const second = b.lock.acquire({ ...LEASE, wake: hint });
    await world.time.advance(10_000);
    await first.release();
    const before = world.time.nowMs;
    wake();
    await settle();
    await settle();
    expect((await second).token).toBe(2);
    expect(world.time.nowMs).toBe(before);
  });

  it('refuses options that make no sense', async () => {
    const { lock } = world.process();
    await expect(lock.acquire({ ...SITE, leaseMs: 0 })).rejects.toThrow(/^leaseMs .*got 0$/);
    await expect(lock.acquire({ ...SITE, leaseMs: 2 ** 31 })).rejects.toThrow(/^leaseMs .*got 2147483648$/);
    await expect(lock.acquire({ ...SITE, leaseMs: 1, maxWaitMs: 2 ** 31 })).rejects.toThrow(/^maxWaitMs .*got 2147483648$/);
    await expect(lock.acquire({ ...SITE, leaseMs: 1, maxWaitMs: -1 })).rejects.toThrow(RangeError);
    await expect(lock.acquire({ ...SITE, leaseMs: 1, pollMs: Number.NaN })).rejects.toThrow(RangeError);
  });
});

describe('giving up', () => {
  it.each([
    ['its time is over', 500, { code: 'LOCK_TIMEOUT' }],
    ['its signal says so', 60_000, { message: 'enough' }],
  ])('works before it has a place, where others are always faster: %s', async (_, maxWaitMs, expected) => {
    const waiter = world.process();
    const other = world.process();
    waiter.hooks.before = async (call, name) => {
      if (call !== 'put' || !/\/\d{20}$/.test(name)) return;
      await world.time.system().sleep(50);
      await world.medium.putIfAbsent(name, Buffer.from(`other ${name}`));
    };
    const stop = new AbortController();
    const asked = waiter.lock.acquire({ ...SITE, leaseMs: 3000, maxWaitMs, signal: stop.signal });
    const failed = expect(asked).rejects.toMatchObject(expected);
    await world.time.advance(800);
    stop.abort(new Error('enough'));
    await world.time.advance(800);
    await failed;
    expect((await other.queue.state()).tickets.length).toBeLessThan(20);
  });

  it('times out with an error that names the holder', async () => {
    const [a, b] = [world.process({ host: 'web1' }), world.process()];
    await a.lock.acquire({ ...LEASE, purpose: 'nightly import' });
    const error = await until(
      b.lock.acquire({ ...LEASE, maxWaitMs: 500 }).then(
        () => undefined,
        (caught: PeatError) => caught,
      ),
    );
    expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', lock: 'test', waitedMs: 500 });
    expect(error?.holder).toBe(`pid ${a.identity.pid} on web1 since 2024-01-01T00:00:00.000Z, exclusive (nightly import)`);
    // Only the holder's beats and its watch over them go on.
    expect(world.time.sleeping).toBe(2);
    expect(await world.files()).toEqual(['1', '2', '2.done']);
  });

  it('stops waiting when the signal is aborted, and lets those behind pass', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    const first = await a.lock.acquire(LEASE);
    const controller = new AbortController();
    const second = b.lock.acquire({ ...LEASE, signal: controller.signal });
    await world.time.advance(100);
    const third = c.lock.acquire(LEASE);
    await world.time.advance(100);
    controller.abort(new Error('never mind'));
    await expect(until(second)).rejects.toThrow('never mind');
    await first.release();
    expect((await until(third)).token).toBe(3);
    await expect(b.lock.acquire({ ...LEASE, signal: controller.signal })).rejects.toThrow('never mind');
  });

  it('tries only once, and leaves no file, if someone is queued', async () => {
    const [a, b] = [world.process(), world.process()];
    const handle = await a.lock.acquire(LEASE);
    await expect(b.lock.acquire({ ...LEASE, tryOnly: true })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', waitedMs: 0 });
    expect(await world.files()).toEqual(['1']);
    await handle.release();
    expect((await b.lock.acquire({ ...LEASE, tryOnly: true })).token).toBe(2);
  });

  it('takes over from a dead holder even if it tries only once', async () => {
    const [a, b] = [world.process(), world.process()];
    await a.lock.acquire(LEASE);
    a.kill();
    expect((await b.lock.acquire({ ...LEASE, tryOnly: true })).token).toBe(2);
  });

  it('ends its ticket when the storage fails in mid-wait, and throws that failure', async () => {
    const [a, b] = [world.process(), world.process()];
    await a.lock.acquire(LEASE);
    const waiting = b.lock.acquire(LEASE);
    await world.time.advance(100);
    b.hooks.before = (call) => {
      if (call === 'list') throw new Error('EIO');
    };
    await expect(until(waiting)).rejects.toThrow('EIO');
    expect(await world.files()).toEqual(['1', '2', '2.done']);
  });

  it('ends a ticket whose creation reported a failure although it happened, as soon as the storage is back', async () => {
    const [a, b] = [world.process(), world.process()];
    let isDown = false;
    a.hooks.before = () => {
      if (isDown) throw new Error('the network is down');
    };
    a.hooks.after = (call) => {
      if (call !== 'put') return;
      isDown = true;
      throw new Error('the answer was lost');
    };
    await expect(a.lock.acquire(LEASE)).rejects.toThrow('the answer was lost');
    expect(await world.files()).toEqual(['1']);
    const next = b.lock.acquire(LEASE);
    await world.time.advance(2000);
    isDown = false;
    a.hooks.after = () => {};
    expect((await until(next)).token).toBe(2);
  });

  it('gives back later what it can not give back now, and never throws', async () => {
    const [a, b] = [world.process(), world.process()];
    const handle = await a.lock.acquire(LEASE);
    a.hooks.before = () => {
      throw new Error('the network is down');
    };
    await handle.release();
    await handle.release();
    const next = b.lock.acquire(LEASE);
    await world.time.advance(10_000);
    expect(await world.files()).not.toContain('1.done');
    a.hooks.before = () => {};
    expect((await until(next)).token).toBe(2);
  });
});

describe('dead holders', () => {
  it('are stolen from at once on the same host, in whatever state they left the queue', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    await a.lock.acquire(LEASE);
    // b dies between taking its ticket and its first look.
    await b.queue.enqueue('nb', LEASE);
    a.kill();
    b.kill();
    const handle = await c.lock.acquire(LEASE);
    expect(handle.token).toBe(3);
    expect(world.time.nowMs).toBe(0);
  });

  it('are passed over while they wait', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process({ host: 'h2' })];
    const first = await a.lock.acquire(LEASE);
    void b.lock.acquire(LEASE);
    await world.time.advance(50);
    const third = c.lock.acquire(LEASE);
    await world.time.advance(50);
    b.kill();
    await world.time.advance(4000);
    await first.release();
    expect((await until(third)).token).toBe(3);
  });

  it('are stolen from by one of two waiters, and the other waits for that one', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    await a.lock.acquire(LEASE);
    a.kill();
    const handles: LockHandle[] = [];
    const work = [b, c].map(async ({ lock }) => handles.push(await lock.acquire(LEASE)));
    await world.time.advance(1000);
    expect(handles.map(({ token }) => token)).toEqual([2]);
    await handles[0]?.release();
    await until(Promise.all(work));
    expect(handles.map(({ token }) => token)).toEqual([2, 3]);
  });

  it('on another host are stolen from once they were silent for a lease before the eyes of the waiter', async () => {
    const [a, b] = [world.process({ host: 'h1' }), world.process({ host: 'h2' })];
    await a.lock.acquire(LEASE);
    a.kill();
    await world.time.advance(60_000);
    const began = world.time.nowMs;
    const handle = await until(b.lock.acquire(LEASE));
    expect(handle.token).toBe(2);
    expect(world.time.nowMs - began).toBeGreaterThanOrEqual(3000);
    expect(world.time.nowMs - began).toBeLessThan(3600);
  });

  it('on another host are stolen from in the end by one that only tries, again and again', async () => {
    const [a, b] = [world.process({ host: 'h1' }), world.process({ host: 'h2' })];
    await a.lock.acquire(LEASE);
    const tokens: number[] = [];
    const attempt = async (): Promise<void> => {
      await b.lock.acquire({ ...LEASE, tryOnly: true }).then(
        ({ token }) => tokens.push(token),
        () => {},
      );
      await world.time.advance(60_000);
    };
    for (let i = 0; i < 10; i++) await attempt();
    expect(tokens).toEqual([]);
    a.kill();
    for (let i = 0; i < 5 && tokens.length === 0; i++) await attempt();
    expect(tokens).toEqual([2]);
  });

  it('on another host are alive as long as they beat, however wrong their clock is', async () => {
    for (const wallOffsetMs of [-7_200_000, 7_200_000]) {
      world = new LockWorld();
      const [a, b] = [world.process({ host: 'h1', wallOffsetMs }), world.process({ host: 'h2' })];
      const first = await a.lock.acquire(LEASE);
      let isHeld = false;
      const second = b.lock.acquire(LEASE).then((handle) => {
        isHeld = true;
        return handle;
      });
      await world.time.advance(120_000);
      expect(isHeld).toBe(false);
      expect(first.signal.aborted).toBe(false);
      await first.release();
      expect((await until(second)).token).toBe(2);
    }
  });

  it('are not taken for dead by a waiter that was itself asleep', async () => {
    const [a, b] = [world.process({ host: 'h1' }), world.process({ host: 'h2' })];
    const first = await a.lock.acquire(LEASE);
    const second = b.lock.acquire(LEASE);
    await world.time.advance(100);
    // The machine that runs both sleeps for an hour.
    world.time.skip(3_600_000);
    void second;
    await world.time.advance(0);
    expect(await world.files()).not.toContain('1.done');
    await first.release();
    expect((await until(second)).token).toBeGreaterThan(1);
  });

  it('that are only stopped keep the lock for a lease, and learn of the steal when they go on', async () => {
    const [a, b] = [world.process(), world.process()];
    const first = await a.lock.acquire(LEASE);
    const second = b.lock.acquire(LEASE);
    await world.time.advance(100);
    a.stop();
    await world.time.advance(2500);
    expect(await world.files()).not.toContain('1.done');
    expect((await until(second)).token).toBe(2);
    expect(first.signal.aborted).toBe(false);
    a.resume();
    await world.time.advance(0);
    expect(first.signal.aborted).toBe(true);
    expect(first.signal.reason).toMatchObject({ code: 'LOCK_LOST', lock: 'test' });
    await first.release();
    expect(await world.files()).toEqual(expect.arrayContaining(['1.done', '2']));
  });

  it('that were stopped for less than a lease keep the lock', async () => {
    const [a, b] = [world.process(), world.process()];
    const first = await a.lock.acquire(LEASE);
    void b.lock.acquire(LEASE);
    for (let i = 0; i < 5; i++) {
      a.stop();
      await world.time.advance(2000);
      a.resume();
      await world.time.advance(1000);
    }
    expect(first.signal.aborted).toBe(false);
    expect(await world.files()).not.toContain('1.done');
  });
});

describe('a holder', () => {
  it('beats, and stops with the handle', async () => {
    const a = world.process();
    const handle = await a.lock.acquire(LEASE);
    await world.time.advance(3500);
    expect(await world.files()).toEqual(['1', '1.beat-3']);
    await handle.release();
    await world.time.advance(10_000);
    expect(await world.files()).toEqual(['1', '1.beat-3', '1.done']);
    expect(world.time.sleeping).toBe(0);
  });

  it('learns at its next beat that it was stolen from, also if that was swept', async () => {
    const [a, b] = [world.process(), world.process()];
    const handle = await a.lock.acquire(LEASE);
    await b.queue.finish(handle.token, 'stolen');
    await b.queue.sweep();
    expect(handle.signal.aborted).toBe(false);
    await world.time.advance(1000);
    expect(handle.signal.aborted).toBe(true);
    await handle.release();
    expect(await world.files()).toEqual(['1.done', 'floor-1']);
  });

  it('bears beats that fail for less than a lease', async () => {
    const a = world.process();
    const handle = await a.lock.acquire(LEASE);
    await world.time.advance(1100);
    a.hooks.before = () => {
      throw new Error('the network is down');
    };
    await world.time.advance(2500);
    a.hooks.before = () => {};
    await world.time.advance(10_000);
    expect(handle.signal.aborted).toBe(false);
  });

  it('declares itself lost when its beats fail, or hang, for a lease', async () => {
    for (const fail of [() => Promise.reject(new Error('the network is down')), () => new Promise<void>(() => {})]) {
      world = new LockWorld();
      const a = world.process();
      const handle = await a.lock.acquire(LEASE);
      a.hooks.before = fail;
      await world.time.advance(2999);
      expect(handle.signal.aborted).toBe(false);
      await world.time.advance(1);
      expect(handle.signal.aborted).toBe(true);
    }
  });

  it('counts its lease from before a beat was written, since others may have seen it then', async () => {
    const a = world.process();
    const handle = await a.lock.acquire(LEASE);
    a.hooks.after = () => a.system.sleep(1500);
    await world.time.advance(2500);
    // The beat of 1000 ms returned only now.
    a.hooks.before = () => new Promise(() => {});
    await world.time.advance(1499);
    expect(handle.signal.aborted).toBe(false);
    await world.time.advance(1);
    expect(handle.signal.aborted).toBe(true);
  });

  it('is not handed a lock that a late start made void', async () => {
    const [a, b] = [world.process(), world.process()];
    await world.medium.putIfAbsent(floorName(PREFIX, 9), Buffer.from('f'));
    let listings = 0;
    // a's first listing is from before anything was in the queue.
    a.hooks.listed = (objects) => (++listings === 1 ? [] : objects);
    expect((await a.lock.acquire(LEASE)).token).toBe(10);
    expect((await until(b.lock.acquire({ ...LEASE, maxWaitMs: 1 }).catch((error: PeatError) => error))) as PeatError).toMatchObject({
      code: 'LOCK_TIMEOUT',
    });
  });
});
