/**
 * Writers that stall between any two of their steps, for longer than everything: the horizon passes them, and what they wrote takes
 * effect exactly once, or is said to be unknown (rules A5, A6, A10).
 */
import { describe, expect, it } from 'vitest';
import { open, type Store } from '../../../src/index.ts';
import type { AppendFile, Medium } from '../../../src/medium/medium.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

/** A medium as one process sees it, whose writes to the log can be held back before or after they happen. */
class StallingMedium {
  readonly medium: Medium;
  hold: 'before' | 'after' | undefined;
  #release: (() => void) | undefined;

  constructor(inner: Medium) {
    const stalled = (): Promise<void> =>
      new Promise((resolve) => {
        this.#release = resolve;
      });
    const around = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
      const hold = name.includes('/log/') ? this.hold : undefined;
      this.hold = hold === undefined ? this.hold : undefined;
      if (hold === 'before') await stalled();
      const result = await run();
      if (hold === 'after') await stalled();
      return result;
    };
    const append = (file: AppendFile): AppendFile => ({
      write: (bytes) => file.write(bytes),
      sync: () => around('/log/', () => file.sync()),
      syncBlocking: () => file.syncBlocking(),
      close: () => file.close(),
    });
    this.medium = {
      description: inner.description,
      canAppend: inner.canAppend,
      isRemote: false,
      localDirectory: undefined,
      blocking: undefined,
      putIfAbsent: (name, bytes, options) => around(name, () => inner.putIfAbsent(name, bytes, options)),
      get: (name, range) => inner.get(name, range),
      list: (prefix, options) => inner.list(prefix, options),
      listFolders: (prefix) => inner.listFolders(prefix),
      delete: (names) => inner.delete(names),
      openAppend: async (name) => append(await inner.openAppend(name)),
      syncNames: (prefix) => inner.syncNames(prefix),
      nowMs: () => inner.nowMs(),
      lastAnsweredAtMs: () => inner.lastAnsweredAtMs(),
      close: async () => undefined,
    };
  }

  release(): void {
    this.#release?.();
  }
}

/** Lets others write and compact until the horizon lies beyond root 0, and everything below it is deleted and forgotten if asked. */
async function passHorizon(store: Store, system: VirtualSystem, rounds: number): Promise<void> {
  const items = store.namespace('items');
  for (let i = 0; i < rounds; i++) {
    await items.put('clock', i);
    await system.advance(61_000);
    await system.time.until(store.compact());
  }
}

async function world(
  canAppend: boolean,
): Promise<{ system: VirtualSystem; stall: StallingMedium; slow: Store; busy: Store; inner: MemoryMedium }> {
  const system = new VirtualSystem();
  const inner = new MemoryMedium({ system, canAppend });
  const busy = await open(inner, { system, autoCompact: false });
  await busy.createNamespace('items');
  const stall = new StallingMedium(inner);
  const slow = await open(stall.medium, { system, autoCompact: false });
  return { system, stall, slow, busy, inner };
}

describe.each([true, false])('a writer on a medium with append: %s', (canAppend) => {
  it('that stalled after its write, until the horizon had passed, is acknowledged if it was taken in', async () => {
    const { system, stall, slow, busy } = await world(canAppend);
    stall.hold = 'after';
    const put = slow.namespace('items').put('slow', 1);
    await system.advance(1);
    await passHorizon(busy, system, 75);
    expect((await busy.namespace('items').stats()).horizon).toBeGreaterThan(0);
    stall.release();
    const outcome = await put.then(
      () => 'acknowledged',
      (error: { code: string }) => error.code,
    );
    // Whoever can't know any more says so; either way the write is there once.
    expect(['acknowledged', 'OUTCOME_UNKNOWN']).toContain(outcome);
    expect(await busy.namespace('items').get('slow')).toBe(1);
  });

  it('that stalled before its write never overwrites what came later, and is still written once', async () => {
    const { system, stall, slow, busy, inner } = await world(canAppend);
    const items = slow.namespace('items');
    if (canAppend) await items.put('other', 0);
    const before = (await inner.list('ns/items/log/')).length;
    stall.hold = 'before';
    const put = items.put('slow', 'first');
    await system.advance(1);
    if (!canAppend) expect((await inner.list('ns/items/log/')).length).toBe(before);
    await passHorizon(busy, system, 75);
    await busy.namespace('items').put('later', 1);
    stall.release();
    const outcome = await system.time.until(
      put.then(
        () => 'acknowledged',
        (error: { code: string }) => error.code,
      ),
    );
    const value = await busy.namespace('items').get('slow');
    if (outcome === 'acknowledged') expect(value).toBe('first');
    else expect(outcome).toBe('OUTCOME_UNKNOWN');
    await system.time.until(busy.compact());
    expect(await busy.namespace('items').get('slow')).toBe(value);
  });

  it('in good time needs no post-check, and one that slept through a minute makes it', async () => {
    const { system, stall, slow, busy } = await world(canAppend);
    const items = slow.namespace('items');
    await items.put('a', 1);
    expect((await items.stats()).writes['postChecks']).toBe(0);
    stall.hold = 'after';
    const put = items.put('b', 1);
    await system.advance(61_000);
    stall.release();
    await put;
    expect((await items.stats()).writes['postChecks']).toBe(1);
    expect(await busy.namespace('items').get('b')).toBe(1);
  });

  it('leaves its segment when that is five minutes old, and reads the root again after half a minute', async () => {
    const { system, slow } = await world(canAppend);
    const items = slow.namespace('items');
    for (let i = 0; i < 14; i++) {
      await items.put('a', i);
      await system.advance(25_000);
    }
    const { writes } = await items.stats();
    expect(writes['segments']).toBe(2);
    expect(writes['rootReads']).toBeLessThanOrEqual(14);
    expect(writes['postChecks']).toBe(0);
  });
});
