import { beforeAll, describe, expect, it } from 'vitest';
import { isPeatError, type PeatError } from '../../../src/base/errors.ts';
import type { Key } from '../../../src/base/key.ts';
import { namespaceLayout, STORE_FILE } from '../../../src/format/layout.ts';
import { open } from '../../../src/index.ts';
import { copyStore } from '../../../src/inspect/copy-store.ts';
import { listLog } from '../../../src/log/log-listing.ts';
import { commitRoot, nextRoot, readRootBase } from '../../../src/manifest/commit-root.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { runAsync } from '../../../src/medium/steps.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { FrozenMedium } from '../../support/frozen-medium.ts';
import { naiveRead, naiveValues } from '../../support/naive-read.ts';
import { Zoo } from '../../support/store-zoo.ts';

const zoo = new Zoo();
const { system } = zoo;
const valuesOf = (medium: Medium): Promise<Map<string, string>> => naiveValues({ medium, system, layout: zoo.layout });

beforeAll(async () => {
  await zoo.build();
});

describe('copying a store', () => {
  it.each([true, false])('gives a store with the same contents that is opened for reading and writing (append: %s)', async (canAppend) => {
    const target = new MemoryMedium({ system, canAppend });
    const report = await copyStore({ source: zoo.medium, target, system });
    expect(report.verified.clean).toBe(true);
    expect(report.namespaces).toHaveLength(1);
    expect(await valuesOf(target)).toEqual(await valuesOf(zoo.medium));

    const frozen = await open(target, { readOnly: true, frozen: true, system });
    expect(await frozen.namespace('zoo').get('key/001')).toBe('changed');
    await frozen.close();
    const store = await open(target, { system, autoCompact: false });
    await store.namespace('zoo').put('fresh', 'after the restore');
    await store.close();
    expect([...(await valuesOf(target)).keys()]).toContain('fresh');
  });

  it.each(['root', 'shard', 'log'] as const)(
    'does not call the copy damaged if a file of %s/ could not be read to verify it',
    async (part) => {
      const target = new MemoryMedium({ system, canAppend: true });
      const faulty = new FaultyMedium(target, { system });
      faulty.inject({ when: { op: 'get', name: zoo.layout[part] } });
      const failure = copyStore({ source: zoo.medium, target: faulty, system });
      await expect(failure).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining('not verified') });
      expect(await valuesOf(target)).toEqual(await valuesOf(zoo.medium));
    },
  );

  it('comes back the same over appended and framed segments', async () => {
    const framed = new MemoryMedium({ system, canAppend: false });
    await copyStore({ source: zoo.medium, target: framed, system });
    const appended = new MemoryMedium({ system, canAppend: true });
    const report = await copyStore({ source: framed, target: appended, system });
    expect(report.namespaces.map(({ bytes: _bytes, ...counts }) => counts)).toEqual([
      { namespace: 'zoo', root: 3, tables: 3, entries: 30, frames: 10, deltas: 10, records: 8, recordDeltas: 7 },
    ]);
    expect(await valuesOf(appended)).toEqual(await valuesOf(zoo.medium));
  });

  it('keeps what updates changed, with its stamps, and the numbers that the next ones follow', async () => {
    const target = new MemoryMedium({ system, canAppend: true });
    await copyStore({ source: zoo.medium, target, system });
    const context = { medium: target, system, layout: zoo.layout };
    const [source, copy] = [await naiveRead({ medium: zoo.medium, system, layout: zoo.layout }), await naiveRead(context)];
    const [updated, stripe] = ['key/000' as Key, zoo.stripeOf('key/000')];
    expect(copy.newest.get(updated)).toEqual(source.newest.get(updated));
    expect(copy.newest.get(updated)?.stamp.sub).toBe(1);
    expect(copy.root.serialThrough).toEqual(source.root.serialThrough);
    const { records } = await runAsync(listLog(zoo.layout), context);
    expect(records.get(stripe)?.map(({ number }) => number)).toEqual([2, 3]);
  });

  it('keeps all parts of an update of several stripes, and leaves one out that was not decided', async () => {
    const target = new MemoryMedium({ system, canAppend: true });
    await copyStore({ source: zoo.medium, target, system });
    const { records } = await runAsync(listLog(zoo.layout), { medium: target, system });
    const stripes = (keys: readonly string[]): boolean[] => keys.map((key) => records.has(zoo.stripeOf(key)));
    expect(stripes(['key/004', 'key/005', 'key/006'])).toEqual([true, true, true]);
    expect(stripes(['key/009', 'key/010'])).toEqual([false, false]);
  });

  it('refuses a target that is not empty, and leaves it as it is', async () => {
    const target = new MemoryMedium({ system, canAppend: true });
    await target.putIfAbsent('note', Buffer.from('mine'));
    await expect(copyStore({ source: zoo.medium, target, system })).rejects.toThrow('is not empty');
    expect(await target.list('')).toHaveLength(1);
  });

  it('writes peat.json last, so that an interrupted copy is no store', async () => {
    const names: string[] = [];
    const target = new MemoryMedium({ system, canAppend: true });
    const putIfAbsent = target.putIfAbsent.bind(target);
    target.putIfAbsent = (name, bytes, options) => {
      names.push(name);
      return putIfAbsent(name, bytes, options);
    };
    await copyStore({ source: zoo.medium, target, system });
    expect(names.indexOf(STORE_FILE)).toBe(names.length - 1);
  });

  it('stops at damage instead of copying it', async () => {
    const source = await FrozenMedium.of(zoo.medium);
    const table = [...source.files.keys()].find((name) => name.includes('shared')) as string;
    source.flip(table, 100, 4);
    const target = new MemoryMedium({ system, canAppend: true });
    const failure = await copyStore({ source, target, system }).catch((error: unknown) => error);
    expect(isPeatError(failure, 'CORRUPT')).toBe(true);
    expect((failure as PeatError).file).toBe(table);
    expect(await target.get(STORE_FILE)).toBeUndefined();
  });

  it('starts over where a compactor takes files away meanwhile', async () => {
    const world = new Zoo();
    await world.init();
    const writer = world.openWriter();
    await world.append(writer, { a: 1 });
    await world.append(writer, { b: 2 });
    const get = world.medium.get.bind(world.medium);
    let compacted = false;
    // Without blocking calls every read goes through what is replaced here.
    Object.defineProperty(world.medium, 'blocking', { value: undefined });
    world.medium.get = async (name, range) => {
      if (name.startsWith(world.layout.log) && !compacted) {
        compacted = true;
        await writer.seal();
        await world.compact();
        await world.medium.delete([name]);
      }
      return await get(name, range);
    };
    const target = new MemoryMedium({ system: world.system, canAppend: true });
    const { namespaces } = await copyStore({ source: world.medium, target, system: world.system });
    expect(namespaces[0]).toMatchObject({ root: 1, entries: 2, frames: 0 });
    const layout = namespaceLayout('zoo');
    expect([...(await naiveValues({ medium: target, system: world.system, layout })).keys()]).toEqual(['a', 'b']);
  });

  it('waits for a drain that decides what is there', async () => {
    const world = new Zoo();
    await world.init();
    const writer = world.openWriter();
    await world.append(writer, { a: 1 });
    const { medium, system: clock, layout } = world;
    const base = await runAsync(readRootBase(layout, { medium, system: clock }), { medium, system: clock });
    if (base === undefined) throw new Error('no root');
    await commitRoot({ medium, system: clock, layout }, nextRoot(base, clock, { drain: 1 }));
    const target = new MemoryMedium({ system: clock, canAppend: true });
    let isCopied = false;
    const copying = copyStore({ source: medium, target, system: clock }).finally(() => {
      isCopied = true;
    });
    await clock.advance(1000);
    expect(isCopied).toBe(false);
    await world.compact();
    const { namespaces } = await clock.time.until(copying);
    expect(namespaces[0]).toMatchObject({ root: 2, entries: 1, frames: 0 });
  });

  it('gives up where a drain is never finished, and leaves no store', async () => {
    const world = new Zoo();
    await world.init();
    await world.append(world.openWriter(), { a: 1 });
    const { medium, system: clock, layout } = world;
    const base = await runAsync(readRootBase(layout, { medium, system: clock }), { medium, system: clock });
    if (base === undefined) throw new Error('no root');
    await commitRoot({ medium, system: clock, layout }, nextRoot(base, clock, { drain: 1 }));
    const target = new MemoryMedium({ system: clock, canAppend: true });
    const failure = await clock.time.until(copyStore({ source: medium, target, system: clock }).catch((error: unknown) => error));
    expect(isPeatError(failure, 'TEMPORARY')).toBe(true);
    expect(await target.get(STORE_FILE)).toBeUndefined();
  });
});
