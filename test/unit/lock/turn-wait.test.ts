import { beforeEach, describe, expect, it } from 'vitest';
import type { PeatError } from '../../../src/base/errors.ts';
import { LOCK_SITES } from '../../../src/lock/lock-sites.ts';
import type { LockTracer } from '../../../src/lock/lock-tracer.ts';
import { LockWorld, type TestProcess } from '../../support/lock-world.ts';

const LEASE = { site: LOCK_SITES.namedLock, leaseMs: 600_000 };

let world: LockWorld;

beforeEach(() => {
  world = new LockWorld();
});

/** Counts what a process lists. */
function countListings(process: TestProcess): { count: number } {
  const listings = { count: 0 };
  process.hooks.before = (call) => {
    if (call === 'list') listings.count++;
  };
  return listings;
}

describe('a wait', () => {
  it('looks often next in line, and less often further back', async () => {
    await world.process().lock.acquire(LEASE);
    const counts = [];
    for (let i = 0; i < 16; i++) {
      const process = world.process();
      counts.push(countListings(process));
      void process.lock.acquire(LEASE);
      await world.time.advance(0);
    }
    for (const each of counts) each.count = 0;
    await world.time.advance(50);
    const looks = counts.map(({ count }) => count);
    expect(looks).toEqual([...looks].sort((x, y) => y - x));
    expect(looks[0]).toBeGreaterThanOrEqual(5);
    expect(looks[15]).toBeLessThanOrEqual(2);
  });

  it('looks ever less often while nothing moves, and at least as often as it was asked to', async () => {
    await world.process().lock.acquire(LEASE);
    const waiter = world.process();
    const looks = countListings(waiter);
    void waiter.lock.acquire({ ...LEASE, pollMs: 100 });
    await world.time.advance(10_000);
    looks.count = 0;
    await world.time.advance(10_000);
    expect(looks.count).toBe(100);
  });

  it('of many makes no herd: a lock that goes through 16 hands costs each of them a few looks', async () => {
    const counts: { count: number }[] = [];
    const work = Array.from({ length: 16 }, async (_, i) => {
      const process = world.process();
      counts.push(countListings(process));
      await process.system.sleep(i / 100);
      const handle = await process.lock.acquire(LEASE);
      await process.system.sleep(20);
      await handle.release();
    });
    await world.time.until(Promise.all(work), { stepMs: 1 });
    const all = counts.reduce((sum, { count }) => sum + count, 0);
    expect(all / 16).toBeLessThan(30);
    // As fast as it can be: nearly all of the time somebody held the lock.
    expect(world.time.nowMs).toBeLessThan(16 * 20 * 1.5);
  });

  it('that fails names the holder as what it is: this process itself', async () => {
    const a = world.process({ host: 'web1' });
    await a.lock.acquire({ ...LEASE, callSite: 'sync.ts:41' });
    const error: PeatError = await world.time.until(
      a.lock.acquire({ ...LEASE, maxWaitMs: 10 }).then(
        () => new Error('not reached') as PeatError,
        (caught: PeatError) => caught,
      ),
    );
    expect(error.message).toBe(
      `lock test was not free within 10 ms: held by this process, pid ${a.identity.pid} on web1 since 2024-01-01T00:00:00.000Z, exclusive (sync.ts:41)`,
    );
  });
});

/** Writes down what it is told. */
function noteTo(events: string[]): LockTracer {
  return {
    wait: ({ site, name, mode, callSite }) => {
      events.push(`wait ${site.id} ${name} ${mode} ${callSite}`);
      return {
        failed: (code) => events.push(`failed ${code}`),
        acquired: (token) => {
          events.push(`acquired ${token}`);
          return { run: (work) => work(), released: (how) => events.push(how) };
        },
      };
    },
    flush: () => Promise.resolve(),
  };
}

describe('a tracer', () => {
  it('is told of a wait, a hold and its end', async () => {
    const events: string[] = [];
    const a = world.process({ tracer: noteTo(events) });
    const held = await a.lock.acquire({ ...LEASE, mode: 'shared', callSite: 'sync.ts:41' });
    expect(held.run(() => 7)).toBe(7);
    await held.release();
    await held.release();
    expect(events).toEqual(['wait named-lock test shared sync.ts:41', 'acquired 1', 'released']);
  });

  it('is told of waits that came to nothing, and why', async () => {
    const events: string[] = [];
    const a = world.process({ tracer: noteTo(events) });
    await world.process().lock.acquire(LEASE);
    await expect(a.lock.acquire({ ...LEASE, tryOnly: true })).rejects.toThrow();
    await expect(world.time.until(a.lock.acquire({ ...LEASE, signal: AbortSignal.timeout(0) }))).rejects.toThrow();
    a.hooks.fail('EIO');
    await expect(a.lock.acquire(LEASE)).rejects.toThrow();
    expect(events.filter((event) => !event.startsWith('wait'))).toEqual(['failed LOCK_TIMEOUT', 'failed TimeoutError', 'failed STORAGE']);
  });

  it('is told of a lock that was lost, when it is', async () => {
    const events: string[] = [];
    const a = world.process({ tracer: noteTo(events) });
    const held = await a.lock.acquire({ ...LEASE, leaseMs: 3000 });
    await world.process().queue.finish(1, 'stolen');
    await world.time.advance(1000);
    expect(events.slice(1)).toEqual(['acquired 1', 'lost']);
    await held.release();
    expect(events.slice(1)).toEqual(['acquired 1', 'lost', 'released']);
  });
});
