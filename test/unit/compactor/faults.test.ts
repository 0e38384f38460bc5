import { describe, expect, test } from 'vitest';
import { compactOnce, type PassContext } from '../../../compactor/pass.ts';
import { serialThrough } from '../../../src/format/root.ts';
import { createNamespace } from '../../../src/manifest/commit-root.ts';
import { CompactorWorld, del, put } from '../../support/compactor-world.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';

/** A namespace in the midst of its life: tables to merge, a drain under way, files to delete, a tail, updates done and left undecided. */
async function busyWorld(canAppend: boolean): Promise<CompactorWorld> {
  const w = new CompactorWorld({ canAppend });
  await createNamespace(w.plain);
  await w.write([put('silent', '1')], { seal: false });
  for (let i = 0; i < 30; i++) {
    await w.write([put(`k${i % 10}`, `${i}${'x'.repeat(500)}`), del(`d${i}`), put('e', `${i}`, w.system.wallNowMs() + 60_000)]);
    await w.committed({ stripe: 0, number: i + 1 }, [put(`r${i % 3}`, String(i))]);
    await w.system.advance(61_000);
    await compactOnce(w.plain);
    const { drain, horizon } = await w.root();
    if (horizon > 0 && drain > horizon) break;
  }
  const { drain, horizon } = await w.root();
  expect(drain).toBeGreaterThan(horizon);
  expect(horizon).toBeGreaterThan(0);
  await w.write([put('last', '1'), del('k3')]);
  const next = serialThrough(await w.root(), 0) + 1;
  await w.updateMany([
    [{ stripe: 0, number: next }, [put('r0', 'whole')]],
    [{ stripe: 1, number: 1 }, [del('r1')]],
  ]);
  await w.record({ stripe: 0, number: next + 1 }, [put('r0', 'void')], { root: 0 });
  const parts = [
    [{ stripe: 0, number: next + 2 }, []],
    [{ stripe: 2, number: 1 }, [put('r2', 'half')]],
  ] as const;
  await w.updateMany(parts, { decided: false });
  await w.system.advance(61_000);
  return w;
}

async function settleDown(w: CompactorWorld): Promise<void> {
  for (let i = 0; i < 40; i++) {
    await compactOnce(w.plain);
    expect(await w.differences()).toEqual([]);
    await w.system.advance(61_000);
  }
  expect(await w.names('log')).toEqual([]);
  const root = await w.root();
  const named = new Set(root.shards.flatMap(({ tables }) => tables.map(({ file }) => file)));
  expect(new Set(await w.names('shard'))).toEqual(named);
}

describe.each([true, false])('on a medium with append: %s', (canAppend) => {
  test.each(['fail', 'drop-answer'] as const)('a pass of which any one call fails (%s) leaves a whole store', async (effect) => {
    for (let n = 1; ; n++) {
      const w = await busyWorld(canAppend);
      const faulty = new FaultyMedium(w.inner, { system: w.system });
      faulty.inject({ when: (call) => call.number === n, effect });
      const context: PassContext = { ...w.context, medium: faulty };
      const failure = await compactOnce(context).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(await w.differences()).toEqual([]);
      const calls = Object.values(faulty.counts).reduce((sum, count) => sum + count, 0);
      faulty.heal();
      await compactOnce(context);
      expect(await w.differences()).toEqual([]);
      if (n % 8 === 0) await settleDown(w);
      if (failure === undefined && calls < n) {
        expect(n).toBeGreaterThan(10);
        break;
      }
    }
  });

  test('a process that dies at any call leaves a whole store', async () => {
    for (let n = 1; ; n++) {
      const w = await busyWorld(canAppend);
      const faulty = new FaultyMedium(w.inner, { system: w.system });
      faulty.inject({ when: (call) => call.number >= n, times: Number.POSITIVE_INFINITY });
      await compactOnce({ ...w.context, medium: faulty }).catch(() => undefined);
      const calls = Object.values(faulty.counts).reduce((sum, count) => sum + count, 0);
      expect(await w.differences()).toEqual([]);
      if (n % 8 === 1) await settleDown(w);
      if (calls < n) break;
    }
  });

  test('a full disk stops a pass, and the next one goes on when there is room', async () => {
    const w = await busyWorld(canAppend);
    const before = await w.root();
    const faulty = new FaultyMedium(w.inner, { system: w.system });
    const error = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    faulty.inject({ when: { op: 'putIfAbsent' }, times: Number.POSITIVE_INFINITY, error });
    const context: PassContext = { ...w.context, medium: faulty };
    for (let i = 0; i < 3; i++) await expect(compactOnce(context)).rejects.toThrow('ENOSPC');
    expect((await w.root()).number).toBe(before.number);
    expect(await w.differences()).toEqual([]);
    faulty.heal();
    expect((await compactOnce(context)).outcome).toBe('committed');
    await settleDown(w);
  });

  test('a deletion that fails is only logged, and made up for later', async () => {
    const w = await busyWorld(canAppend);
    const faulty = new FaultyMedium(w.inner, { system: w.system });
    faulty.inject({ when: { op: 'delete' }, times: 3 });
    const context: PassContext = { ...w.context, medium: faulty };
    expect((await compactOnce(context)).outcome).toBe('committed');
    expect(w.logged).toHaveLength(1);
    await settleDown(w);
  });
});
