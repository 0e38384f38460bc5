import { describe, expect, test } from 'vitest';
import { namespaceLayout, rootName } from '../../../src/format/layout.ts';
import {
  commitRoot,
  createNamespace,
  dropNamespace,
  newRoot,
  nextRoot,
  type RootBase,
  readRootBase,
} from '../../../src/manifest/commit-root.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { runAsync } from '../../../src/medium/steps.ts';
import { SEED } from '../../support/compactor-world.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { Turns, turnMedium } from '../../support/turns.ts';
import { type VirtualSystem, VirtualTime } from '../../support/virtual-system.ts';

const layout = namespaceLayout('runs');

function setUp(): {
  system: VirtualSystem;
  medium: MemoryMedium;
  context: { system: VirtualSystem; medium: Medium; layout: typeof layout };
} {
  const system = new VirtualTime().system();
  const medium = new MemoryMedium({ system, canAppend: true });
  return { system, medium, context: { system, medium, layout } };
}

async function baseOf(context: { system: VirtualSystem; medium: Medium }): Promise<RootBase> {
  const base = await runAsync(readRootBase(layout, context), context);
  if (base === undefined) throw new Error('there is no root');
  return base;
}

describe('a root', () => {
  test('is committed when it is the newest, and names its predecessor', async () => {
    const { system, context } = setUp();
    await createNamespace(context);
    const base = await baseOf(context);
    const commit = await commitRoot(context, nextRoot(base, system, { forgot: 7 }));
    expect(commit.outcome).toBe('committed');
    const after = await baseOf(context);
    expect(after.root).toMatchObject({ number: 1, previous: base.sha256, forgot: 7 });
    expect(commit.base).toMatchObject({ sha256: after.sha256, rootsListed: 2 });
  });

  test('is lost when another one has its number', async () => {
    const { system, context } = setUp();
    await createNamespace(context);
    const base = await baseOf(context);
    expect((await commitRoot(context, nextRoot(base, system, {}))).outcome).toBe('committed');
    expect((await commitRoot(context, nextRoot(base, system, {}))).outcome).toBe('lost');
  });

  test('that takes the number of a deleted one is not committed', async () => {
    const { system, medium, context } = setUp();
    await createNamespace(context);
    const stale = await baseOf(context);
    for (let i = 0; i < 3; i++) await commitRoot(context, nextRoot(await baseOf(context), system, {}));
    await medium.delete([rootName(layout, 0), rootName(layout, 1)]);
    const commit = await commitRoot(context, nextRoot(stale, system, {}));
    expect(commit).toMatchObject({ outcome: 'unknown', base: undefined });
    expect((await baseOf(context)).root.number).toBe(3);
  });

  test('is not built on where its own bytes are damaged', async () => {
    const { medium, context } = setUp();
    await createNamespace(context);
    await medium.putIfAbsent(rootName(layout, 1), Buffer.from('{"format":1}\ncrc32:00000000\n'));
    await expect(runAsync(readRootBase(layout, context), context)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('that is known need not be read again', async () => {
    const { system, medium, context } = setUp();
    await createNamespace(context);
    const known = await baseOf(context);
    const faulty = new FaultyMedium(medium, { system });
    const again = await runAsync(readRootBase(layout, { system, medium: faulty }, known), { system, medium: faulty });
    expect(again?.root).toBe(known.root);
    expect(faulty.counts).toMatchObject({ get: 0, list: 1 });
  });
});

describe('a namespace', () => {
  test('is created once', async () => {
    const { context } = setUp();
    expect(await createNamespace(context)).toBe('created');
    expect(await createNamespace(context)).toBe('exists');
    expect((await baseOf(context)).root).toMatchObject({ number: 0, previous: null, state: 'live', horizon: 0, drain: 0, shards: [] });
  });

  test('that is not there is absent when it is dropped', async () => {
    expect(await dropNamespace(setUp().context)).toBe('absent');
  });

  test('begins anew after a drop, with a horizon above every older segment', async () => {
    const { system, context } = setUp();
    await createNamespace(context);
    const stamp = { time: 5, writer: '0'.repeat(16), sub: 0 };
    const table = {
      offset: 0,
      length: 1,
      indexOffset: 0,
      first: 'a',
      last: 'a',
      entries: 1,
      tombstones: 0,
      expiring: 0,
      maxTime: 5,
      checksum: 0,
    };
    const shards = [
      {
        from: '',
        tables: [
          { ...table, file: 'f1' },
          { ...table, file: 'f2' },
        ],
      },
    ] as never;
    await commitRoot(context, nextRoot(await baseOf(context), system, { shards, maxStamp: stamp, dropped: new Map([['f0', 1]]) }));
    expect(await dropNamespace(context)).toBe('dropped');
    const dropped = (await baseOf(context)).root;
    expect(dropped).toMatchObject({
      number: 2,
      state: 'dropped',
      horizon: 2,
      drain: 2,
      forgot: 2,
      shards: [],
      maxStamp: stamp,
      dropFloor: { ...stamp, sub: stamp.sub + 2 ** 32 },
    });
    expect([...dropped.dropped]).toEqual([
      ['f0', 1],
      ['f1', 2],
      ['f2', 2],
    ]);
    expect(await createNamespace(context)).toBe('created');
    const reborn = (await baseOf(context)).root;
    expect(reborn).toMatchObject({ number: 3, state: 'live', horizon: 3, drain: 3, forgot: 3, maxStamp: stamp });
    expect(reborn.dropped.size).toBe(3);
  });

  test('that many create and drop at once has one winner a root', async () => {
    console.log(`PEAT_SEED=${SEED}`);
    for (let run = 0; run < 20; run++) {
      const system = new VirtualTime().system({ seed: SEED + run });
      const medium = new MemoryMedium({ system, canAppend: true });
      const turns = new Turns(system);
      const outcomes: string[] = [];
      const act = async (i: number): Promise<void> => {
        const context = { system, medium: turnMedium(medium, turns, `a${i}`), layout };
        for (let k = 0; k < 3; k++) outcomes.push((i + k) % 2 === 0 ? await createNamespace(context) : await dropNamespace(context));
      };
      await turns.run([0, 1, 2, 3].map(act));
      const count = (what: string): number => outcomes.filter((outcome) => outcome === what).length;
      const { root } = await baseOf({ system, medium });
      // An outcome that can't be told counts as the other's; so a winner may not know of it, but nobody wins twice.
      expect(count('created') + count('dropped')).toBeLessThanOrEqual(root.number + 1);
      expect(root.state).toBe(root.number % 2 === 0 ? 'live' : 'dropped');
    }
  });
});

test('an empty root carries its number as its horizon', () => {
  const { system } = setUp();
  expect(newRoot('runs', { system })).toMatchObject({ number: 0, horizon: 0, drain: 0, forgot: 0, previous: null });
});
