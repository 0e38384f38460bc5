/** A compactor beside a writer, on real files: it takes in what is appended without looking by time. */
import { expect, it, onTestFinished } from 'vitest';
import type { CompactorEvent } from '../../../compactor/index.ts';
import { runCompactor } from '../../../compactor/index.ts';
import { nodeSystem, type System } from '../../../src/base/system.ts';
import { DEFAULT_CONSTANTS } from '../../../src/format/store-file.ts';
import { open } from '../../../src/index.ts';
import { FileMedium } from '../../../src/medium/file-medium.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** As long as a compactor sleeps between two looks where nothing wakes it. */
const LOOK_MS = 10_000;

/** A sleep of a look ends by its signal only; `asleep` resolves when one begins. */
class DrowsySystem {
  #onSleep: (() => void) | undefined;
  #sleeps = 0;
  readonly system: System = {
    ...nodeSystem,
    sleep: async (ms, sleepOptions = {}) => {
      if (ms < LOOK_MS) return await nodeSystem.sleep(ms, sleepOptions);
      this.#sleeps++;
      this.#onSleep?.();
      const { signal } = sleepOptions;
      await new Promise((_, reject) => {
        const fail = (): void => reject(signal?.reason as Error);
        if (signal?.aborted === true) fail();
        else signal?.addEventListener('abort', fail, { once: true });
      }).finally(() => this.#sleeps--);
    },
  };

  async asleep(): Promise<void> {
    while (this.#sleeps === 0) {
      await new Promise<void>((resolve) => {
        this.#onSleep = resolve;
      });
    }
  }
}

it('that is at rest is woken by an append, again and again', async () => {
  const directory = temporaryDirectory();
  const store = await open(directory, { autoCompact: false, create: true });
  const items = store.namespace<number>('items');
  await items.put('first', 0);
  const drowsy = new DrowsySystem();
  const medium = FileMedium.open(directory, { remote: false, system: drowsy.system });
  const ending = new AbortController();
  let taken = 0;
  let onPass = (): void => undefined;
  const onEvent = ({ pass }: CompactorEvent): void => {
    taken += pass?.entries ?? 0;
    onPass();
  };
  const running = runCompactor(
    { medium, system: drowsy.system, constants: DEFAULT_CONSTANTS },
    { signal: ending.signal, gatherMs: 5, pollMs: LOOK_MS, onEvent },
  );
  onTestFinished(async () => {
    ending.abort();
    await running;
    await store.close();
    await medium.close();
  });
  for (let written = 1; written <= 4; written++) {
    while (taken < written) {
      await new Promise<void>((resolve) => {
        onPass = resolve;
      });
    }
    await drowsy.asleep();
    await items.put('item', written);
  }
  expect(taken).toBeGreaterThanOrEqual(4);
});
