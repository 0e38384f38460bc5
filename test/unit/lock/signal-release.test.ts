/** What a process that holds locks does when a signal ends it; the signals are the test's own. */
import { describe, expect, it } from 'vitest';
import { SignalRelease } from '../../../src/lock/signal-release.ts';
import { NamedLockWorld, TestSignals } from '../../support/named-lock-world.ts';
import { settle, VirtualTime } from '../../support/virtual-system.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

describe.each(SIGNALS)('a process that gets %s', (signal) => {
  it('gives back what it holds and what it waits for, and then dies of it', async () => {
    const world = new NamedLockWorld();
    const other = await world.named().lock('taken');
    const process = world.named();
    const lock = await process.locks(['a', 'b']);
    const waiting = process.lock('taken');
    const refused = expect(waiting).rejects.toThrow(signal);
    await world.time.advance(100);
    process.signals.send(signal);
    expect(process.signals.raised).toEqual([]);
    await settle();
    await world.time.advance(10);
    await refused;
    expect(await world.live()).toEqual(['user/taken/1']);
    expect(process.signals.raised).toEqual([signal]);
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
    // The signal that it raises finds the default in place.
    for (const one of SIGNALS) expect(process.signals.listeners(one)).toEqual([]);
    await other.release();
  });

  it('is left in charge if it listens itself, even if for one signal only', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    const own: string[] = [];
    const once = (received: NodeJS.Signals): void => {
      process.signals.remove(signal, once);
      own.push(received);
    };
    process.signals.add(signal, once);
    const lock = await process.lock('a');
    process.signals.send(signal);
    await world.time.advance(10_000);
    expect(own).toEqual([signal]);
    expect(process.signals.raised).toEqual([]);
    expect(lock.signal.aborted).toBe(false);
    expect(await world.live()).toEqual(['user/a/1']);
    await lock.release();
  });
});

describe('signals', () => {
  it('are listened for only while something is held or waited for', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    const counts = (): number[] => SIGNALS.map((signal) => process.signals.listeners(signal).length);
    expect(counts()).toEqual([0, 0, 0]);
    const first = await process.lock('a');
    const second = await process.exclusive({ maxWaitMs: 0 }).catch(() => undefined);
    const third = await process.lock('b');
    expect([second, counts()]).toEqual([undefined, [1, 1, 1]]);
    await first.release();
    expect(counts()).toEqual([1, 1, 1]);
    await third.release();
    expect(counts()).toEqual([0, 0, 0]);
  });

  it('end the process after 5 seconds, whatever the medium does', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    await process.lock('a');
    process.process.hooks.before = () => new Promise(() => {});
    process.signals.send('SIGTERM');
    await world.time.advance(4900);
    expect(process.signals.raised).toEqual([]);
    await world.time.advance(200);
    expect(process.signals.raised).toEqual(['SIGTERM']);
  });

  it('tell the program in the turn in which they end the process, and not before: neither holders nor waiters', async () => {
    const world = new NamedLockWorld();
    const other = await world.named().lock('taken');
    const process = world.named();
    const heard: string[] = [];
    const lock = await process.lock('a');
    lock.signal.addEventListener('abort', () => heard.push(`listener, ${process.signals.raised.length} raised`));
    const waits = Promise.all([
      process.lock('taken').catch(() => heard.push(`waiter, ${process.signals.raised.length} raised`)),
      new Promise<void>((resolve) => {
        lock.signal.addEventListener('abort', () => resolve());
      }).then(() => heard.push(`work, ${process.signals.raised.length} raised`)),
    ]);
    await world.time.advance(100);
    // The last thing that is given back takes its time.
    const gate = process.process.hooks.gate((call, name) => call === 'put' && name.includes('user/taken/'));
    process.signals.send('SIGTERM');
    await gate.reached;
    await world.time.advance(1000);
    expect(await world.live()).toEqual(['user/taken/1', 'user/taken/2']);
    expect([heard, lock.signal.aborted]).toEqual([[], false]);
    gate.open();
    await world.time.until(waits);
    expect(heard.toSorted()).toEqual(['listener, 0 raised', 'waiter, 1 raised', 'work, 1 raised']);
    await other.release();
  });

  it('guard what is taken later, too, where the program began to listen meanwhile and lives on', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    await process.lock('a');
    process.signals.send('SIGTERM');
    const own = (): void => {};
    process.signals.add('SIGTERM', own);
    await world.time.advance(100);
    expect(process.signals.raised).toEqual(['SIGTERM']);
    process.signals.remove('SIGTERM', own);
    await process.lock('a');
    process.signals.send('SIGTERM');
    await world.time.advance(100);
    expect(process.signals.raised).toEqual(['SIGTERM', 'SIGTERM']);
    expect(await world.live()).toEqual([]);
  });

  it('end it at once the second time', async () => {
    const world = new NamedLockWorld();
    const process = world.named();
    await process.lock('a');
    process.process.hooks.before = () => new Promise(() => {});
    process.signals.send('SIGINT');
    for (const signal of SIGNALS) expect(process.signals.listeners(signal)).toEqual([]);
  });

  it('are raised once, when all copies of this package have given back', async () => {
    const time = new VirtualTime();
    const seam = new TestSignals();
    const given: string[] = [];
    for (const [name, ms] of [
      ['quick', 10],
      ['slow', 1000],
    ] as const) {
      const system = time.system();
      new SignalRelease(seam, system).add({
        giveBack: async () => {
          await system.sleep(ms);
          given.push(name);
        },
        tell: () => {},
      });
    }
    seam.send('SIGHUP');
    await time.advance(500);
    expect([given, seam.raised]).toEqual([['quick'], []]);
    await time.advance(1000);
    expect([given, seam.raised]).toEqual([['quick', 'slow'], ['SIGHUP']]);
  });
});
