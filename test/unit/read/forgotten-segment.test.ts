import { expect, it } from 'vitest';
import type { Key } from '../../../src/base/key.ts';
import { SeenTime } from '../../../src/base/stamp.ts';
import { createNamespace } from '../../../src/manifest/commit-root.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { NamespaceReader } from '../../../src/read/namespace-reader.ts';
import { CompactorWorld, put } from '../../support/compactor-world.ts';

it('a reader whose listing was long on its way goes on, although the segment that it showed is deleted and forgotten', async () => {
  const w = new CompactorWorld();
  await createNamespace(w.plain);
  await w.write([put('a', '1')]);
  const { inner } = w;
  const { layout } = w.context;
  let meanwhile: (() => Promise<void>) | undefined;
  const medium: Medium = {
    description: 'slow listings',
    canAppend: true,
    isRemote: false,
    localDirectory: undefined,
    blocking: undefined,
    putIfAbsent: (name, bytes, options) => inner.putIfAbsent(name, bytes, options),
    get: (name, range) => inner.get(name, range),
    list: async (prefix, options) => {
      const listed = await inner.list(prefix, options);
      if (prefix !== layout.log || meanwhile === undefined) return listed;
      const act = meanwhile;
      meanwhile = undefined;
      await act();
      return listed;
    },
    listFolders: (prefix) => inner.listFolders(prefix),
    delete: (names) => inner.delete(names),
    openAppend: (name) => inner.openAppend(name),
    syncNames: async () => {},
    nowMs: async () => undefined,
    lastAnsweredAtMs: () => undefined,
    close: async () => {},
  };
  const reader = new NamespaceReader(
    { medium, system: w.system, layout, seen: new SeenTime() },
    { cacheBytes: 1 << 20, emptyIfMissing: false, frozen: false, drainWaitMs: 0, finishDrain: undefined },
  );
  const readA = async (): Promise<string> => String((await reader.get('a' as Key))?.value);
  expect(await readA()).toBe('1');
  meanwhile = async () => {
    for (let i = 0; i < 5; i++) {
      await w.system.advance(61_000);
      await w.write([put('tick', String(i))]);
      await w.pass();
    }
  };
  for (let i = 0; i < 3; i++) expect(await readA()).toBe('1');
});
