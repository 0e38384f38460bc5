import { beforeEach, describe, expect, it } from 'vitest';
import { LOCK_SITES } from '../../../src/lock/lock-sites.ts';
import { LockStatus } from '../../../src/lock/lock-status.ts';
import { ticketName } from '../../../src/lock/queue-state.ts';
import { LockWorld, PREFIX, type TestProcess } from '../../support/lock-world.ts';

const LEASE = { site: LOCK_SITES.namedLock, leaseMs: 3000 };

let world: LockWorld;
let observer: TestProcess;
let status: LockStatus;

beforeEach(() => {
  world = new LockWorld();
  observer = world.process({ host: 'h1', wallOffsetMs: 7_200_000 });
  status = new LockStatus({ medium: world.medium, system: observer.system, facts: observer.facts, prefix: PREFIX });
});

describe('the status of a lock', () => {
  it('is empty where nobody is queued', async () => {
    expect(await status.listTickets()).toEqual([]);
    expect(await status.hasLiveHolder()).toBe(false);
  });

  it('lists who holds it and who waits, in order, with their signs of life', async () => {
    const [a, b, c] = [world.process({ host: 'h1' }), world.process({ host: 'h2' }), world.process({ host: 'h1' })];
    await (await a.lock.acquire(LEASE)).release();
    await a.lock.acquire({ ...LEASE, purpose: 'import' });
    void b.lock.acquire(LEASE);
    void c.lock.acquire({ ...LEASE, mode: 'shared' });
    await world.time.advance(1500);
    c.kill();
    const createdAtMs = a.system.wallNowMs() - 1500;
    const common = { leaseMs: 3000, createdAtMs, ageMs: 1500, silentMs: 500, leaseLeftMs: 2500 };
    expect(await status.listTickets()).toEqual([
      { ...common, number: 2, position: 0, holder: a.identity, mode: 'exclusive', purpose: 'import', state: 'alive' },
      { ...common, number: 3, position: 1, holder: b.identity, mode: 'exclusive', purpose: '', state: 'unknown' },
      { ...common, number: 4, position: 2, holder: c.identity, mode: 'shared', purpose: '', state: 'dead' },
    ]);
  });

  it('gives all that share it the first place', async () => {
    const processes = Array.from({ length: 5 }, () => world.process());
    const modes = ['shared', 'shared', 'exclusive', 'shared', 'exclusive'] as const;
    for (const [i, mode] of modes.entries()) {
      void processes[i]?.lock.acquire({ ...LEASE, mode });
      await world.time.advance(20);
    }
    expect((await status.listTickets()).map(({ position }) => position)).toEqual([0, 0, 1, 2, 3]);
  });

  it('tells what is left of the lease, and no less than nothing', async () => {
    const a = world.process({ host: 'h2' });
    await a.lock.acquire(LEASE);
    a.kill();
    await world.time.advance(2000);
    expect(await status.listTickets()).toMatchObject([{ silentMs: 2000, leaseLeftMs: 1000 }]);
    await world.time.advance(2000);
    expect(await status.listTickets()).toMatchObject([{ silentMs: 4000, leaseLeftMs: 0 }]);
  });

  it('lists a ticket that can not be read', async () => {
    await world.medium.putIfAbsent(ticketName(PREFIX, 1), Buffer.from('?'));
    expect(await status.listTickets()).toMatchObject([{ number: 1, position: 0, holder: undefined, state: 'unknown', ageMs: 0 }]);
  });
});

describe('whether someone alive holds the lock', () => {
  it('is told by the process on the same host', async () => {
    const a = world.process({ host: 'h1' });
    await a.lock.acquire(LEASE);
    a.stop();
    await world.time.advance(100_000);
    expect(await status.hasLiveHolder()).toBe(true);
    a.kill();
    expect(await status.hasLiveHolder()).toBe(false);
  });

  it('is told by the age of the last beat elsewhere, by the clock of the medium', async () => {
    const b = world.process({ host: 'h2', wallOffsetMs: -7_200_000 });
    await b.lock.acquire(LEASE);
    await world.time.advance(100_000);
    expect(await status.hasLiveHolder()).toBe(true);
    b.kill();
    await world.time.advance(3500);
    expect(await status.hasLiveHolder()).toBe(false);
  });

  it('is assumed where the medium across a network has no clock, and told by this machine elsewhere', async () => {
    const b = world.process({ host: 'h2' });
    await b.lock.acquire(LEASE);
    b.kill();
    await world.time.advance(100_000);
    for (const isRemote of [true, false]) {
      const { medium } = observer.hooks;
      const timeless = { ...medium, isRemote, nowMs: async () => undefined };
      const blind = new LockStatus({ medium: timeless, system: observer.system, facts: observer.facts, prefix: PREFIX });
      expect(await blind.hasLiveHolder()).toBe(isRemote);
    }
  });

  it('counts those who wait behind a dead holder', async () => {
    const [a, c] = [world.process({ host: 'h1' }), world.process({ host: 'h1' })];
    await a.queue.enqueue('na', LEASE);
    await c.queue.enqueue('nc', LEASE);
    a.kill();
    expect(await status.hasLiveHolder()).toBe(true);
    c.kill();
    expect(await status.hasLiveHolder()).toBe(false);
  });
});
