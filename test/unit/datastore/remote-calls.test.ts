/** Calls of a medium across a network: the fewest that the protocol allows, and the looks that are made all the same where time has passed. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryMedium, open, type Store } from '../../../src/index.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { VirtualSystem, VirtualTime } from '../../support/virtual-system.ts';

/** This machine, and the one that the medium is on. */
let system: VirtualSystem;
let server: VirtualSystem;
let inner: MemoryMedium;
let medium: FaultyMedium;
let store: Store;

/** @param time of the server: by default one that goes on without this machine */
async function begin(time?: VirtualTime): Promise<void> {
  system = new VirtualSystem(time);
  server = new VirtualSystem(time);
  inner = new MemoryMedium({ system: server, canAppend: false, blocking: false, isRemote: true });
  medium = new FaultyMedium(inner, { system });
  store = await open(medium, { system, autoCompact: false });
}

/** Puts, listings, gets. */
async function callsOf(run: () => Promise<unknown>): Promise<string> {
  medium.resetCounts();
  await run();
  const { putIfAbsent, list, get } = medium.counts;
  return `${putIfAbsent}/${list}/${get}`;
}

describe('on a medium across a network', () => {
  beforeEach(() => begin());

  it('an append is a put, a read two listings, and an update a put with four', async () => {
    const runs = store.namespace<number>('runs');
    await runs.put('a', 1);
    expect(await callsOf(() => runs.put('a', 2))).toBe('1/0/0');
    await runs.get('a');
    expect(await callsOf(() => runs.get('a'))).toBe('0/2/0');
    const increment = (): Promise<unknown> => runs.update('a', (count = 0) => count + 1);
    await increment();
    expect(await callsOf(increment)).toBe('1/4/0');
    expect(await callsOf(() => runs.get('a'))).toBe('0/2/0');
    expect(await runs.get('a')).toBe(4);
  });

  it('an append looks again where the whole machine was suspended before it, and none of its clocks shows that', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    await server.advance(59_000);
    expect(await callsOf(() => runs.put('a', 2))).toBe('1/0/0');
    await server.advance(1000);
    // By now the medium has told the time: the root is read before the append already.
    expect(await callsOf(() => runs.put('a', 3))).toBe('1/1/0');
    await server.advance(60_000);
    // Nobody can know before the append.
    expect(await callsOf(() => runs.put('a', 4))).toBe('1/1/0');
    expect(await runs.get('a')).toBe(4);
  });

  it('an append whose machine was suspended while horizons passed its segment is not acknowledged unseen', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 'first');
    const others = await open(inner, { system: server, autoCompact: false });
    for (let i = 0; i < 75; i++) {
      await others.namespace('runs').put('clock', i);
      await server.advance(61_000);
      await server.time.until(others.compact());
    }
    expect((await others.namespace('runs').stats()).horizon).toBeGreaterThan(0);
    const calls = callsOf(() =>
      runs.put('a', 'second').catch((error: unknown) => expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })),
    );
    expect((await calls).split('/')[1]).not.toBe('0');
    const seen = await others.namespace('runs').get('a');
    expect(await runs.get('a')).toBe(seen);
  });

  it('a read looks again where the machine was suspended in its midst', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    await runs.get('a');
    medium.inject({ when: { op: 'list', name: /root\/$/ }, effect: 'delay', delayMs: 1 });
    const calls = callsOf(() => runs.get('a'));
    await server.advance(60_000);
    await system.advance(1);
    expect(await calls).toBe('0/3/0');
  });

  it('appends and reads look again where the medium no longer tells its time', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    medium.lastAnsweredAtMs = () => undefined;
    expect(await callsOf(() => runs.put('a', 2))).toBe('1/1/0');
    await runs.get('a');
    expect(await callsOf(() => runs.get('a'))).toBe('0/3/0');
  });

  it('appends look again where the clock of the medium was set back', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    server.wallOffsetMs -= 3_600_000;
    expect(await callsOf(() => runs.put('a', 2))).toBe('1/1/0');
    // The segment, too, is of unknown age now: it is sealed and left.
    expect(await callsOf(() => runs.put('a', 3))).toBe('2/0/0');
    expect(await callsOf(() => runs.put('a', 4))).toBe('1/0/0');
  });
});

describe('a compactor with nothing to do', () => {
  beforeEach(() => begin(new VirtualTime()));

  /** Calls a second, over an hour. */
  async function idleRate(): Promise<number> {
    medium.resetCounts();
    await system.advance(3_600_000);
    return Object.values(medium.counts).reduce((sum, count) => sum + count, 0) / 3600;
  }

  it('makes less than 0.6 calls a second, publishes nothing more once the garbage is gone, and wakes up when there is work', async () => {
    const runs = store.namespace('runs');
    for (let i = 0; i < 10; i++) await runs.put(`k${i}`, i);
    const stop = new AbortController();
    const roots = async (): Promise<number> => (await inner.list('ns/runs/root/')).length;
    const running = store.runCompactor({ signal: stop.signal });
    await system.advance(5 * 3_600_000);
    const before = await runs.stats();
    expect(await idleRate()).toBeLessThan(0.6);
    expect((await runs.stats()).root).toBe(before.root);
    expect(await roots()).toBeLessThanOrEqual(64);
    expect(await inner.list('ns/runs/log/')).toEqual([]);
    await runs.put('late', 1);
    await system.advance(17_000);
    expect((await runs.stats()).root).toBe(before.root + 1);
    stop.abort();
    await system.time.until(running);
  });
});
