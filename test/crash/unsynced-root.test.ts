/**
 * A root is seen by all before the process that puts it has made its name durable. What others acknowledge on it meanwhile must
 * survive although a power cut takes that root.
 */
import { expect, it } from 'vitest';
import { open } from '../../src/index.ts';
import { PowerCutStorage } from '../support/power-cut-storage.ts';
import { VirtualTime } from '../support/virtual-system.ts';

it('a write acknowledged on a root that is not durable yet survives a power cut', async () => {
  const system = new VirtualTime().system();
  // Chance takes all that it may.
  const storage = new PowerCutStorage({ system, canAppend: true, random: () => 0 });
  await (await open(storage.handle(), { system })).close();
  const rootIsThere = async (): Promise<boolean> => (await storage.handle().list('ns/crash/root/')).length > 0;
  // The creator of the namespace stalls as soon as its root can be seen.
  const stalled = await open(
    storage.handle(async () => {
      if (await rootIsThere()) await new Promise(() => {});
    }),
    { system },
  );
  void stalled.namespace('crash').put('never', 0);
  while (!(await rootIsThere())) await system.turn();

  const store = await open(storage.handle(), { system, autoCompact: false });
  await store.namespace('crash').put('key', 1);
  storage.powerCut();
  const after = await open(storage.handle(), { system, readOnly: true });
  expect(await after.namespace('crash').get('key')).toBe(1);
});
