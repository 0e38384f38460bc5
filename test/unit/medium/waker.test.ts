/** Wake-ups by events of a real folder. No wait here ends by time, so what hangs has not been woken. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { nodeSystem, type System } from '../../../src/base/system.ts';
import { FileMedium } from '../../../src/medium/file-medium.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { Waker } from '../../../src/medium/waker.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** A sleep ends by its signal only. */
const system: System = {
  ...nodeSystem,
  sleep: (_, { signal } = {}) =>
    new Promise((_resolve, reject) => {
      const fail = (): void => reject(signal?.reason as Error);
      if (signal?.aborted === true) fail();
      else signal?.addEventListener('abort', fail, { once: true });
    }),
};
const options = { withEventsMs: 1000, pollMs: 1000 };

async function openWaker(prefixes: readonly string[]): Promise<{ waker: Waker; file: string }> {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'log'));
  const file = join(directory, 'log', 'a');
  writeFileSync(file, 'a');
  const waker = await Waker.open({ medium: FileMedium.open(directory, { remote: false }), system, prefixes }, options);
  onTestFinished(() => waker.close());
  return { waker, file };
}

it('ends a wait when the events begin to come, and when a file grows', async () => {
  const { waker, file } = await openWaker(['log/']);
  await waker.wait();
  expect(waker.hasEvents).toBe(true);
  const wait = waker.wait();
  appendFileSync(file, 'b');
  await wait;
});

it('rests until the next wait, which ends by itself, since what changed meanwhile made no event', async () => {
  const { waker, file } = await openWaker(['log/']);
  await waker.wait();
  for (let round = 0; round < 3; round++) {
    expect(waker.rest()).toBe(true);
    appendFileSync(file, 'b');
    expect(waker.hasEvents).toBe(false);
    expect(waker.rest()).toBe(false);
    await waker.wait();
    expect(waker.hasEvents).toBe(true);
    const wait = waker.wait();
    appendFileSync(file, 'c');
    await wait;
  }
});

it('does not rest where events do not come, or not of all folders', async () => {
  const { waker } = await openWaker(['log/', 'root/']);
  expect(waker.rest()).toBe(false);
  const inMemory = await Waker.open({ medium: new MemoryMedium({ system, canAppend: true }), system, prefixes: ['log/'] }, options);
  expect(inMemory.rest()).toBe(false);
});
