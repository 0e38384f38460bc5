/** What the locks of a store promise, on every medium. Each handle stands for a process of its own. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryMedium, type NamedLock, nodeSystem, type OpenOptions, open, PeatError, type Store } from '../../src/index.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { HookedMedium } from '../support/lock-world.ts';
import { BUCKET_NAME, openBucket, REAL_SERVER, SKIPPED } from '../support/s3/buckets.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

interface Place {
  readonly name: string;
  make(): (options?: OpenOptions) => Promise<Store>;
}

const LOCAL_PLACES: Place[] = [
  {
    name: 'memory',
    make: () => {
      const medium = new MemoryMedium({ system: nodeSystem, canAppend: true });
      return (options) => open(medium, options);
    },
  },
  {
    name: 'memory across a network',
    make: () => {
      const medium = new MemoryMedium({ system: nodeSystem, canAppend: false, blocking: false, isRemote: true });
      return (options) => open(medium, options);
    },
  },
  {
    name: 'files',
    make: () => {
      const directory = temporaryDirectory();
      return (options) => open(directory, options);
    },
  },
  {
    name: 'files without append',
    make: () => {
      const directory = temporaryDirectory();
      return (options) => open(directory, { segments: 'framed', ...options });
    },
  },
  {
    name: 'files, with locks in another place',
    make: () => {
      const directory = temporaryDirectory();
      const lockDir = temporaryDirectory();
      return (options) => open(directory, { singleHost: true, lockDir, ...options });
    },
  },
];

const inBucket: Place = {
  name: BUCKET_NAME,
  make: () => {
    const openHere = openBucket();
    return async (options) => open(await openHere(), options);
  },
};

const PLACES: Place[] = REAL_SERVER === undefined ? [...LOCAL_PLACES, inBucket] : [inBucket];

describe.skipIf(SKIPPED !== undefined).each(PLACES)('locks of a store on $name', (place) => {
  let store: Store;
  let other: Store;
  let openMore: (options?: OpenOptions) => Promise<Store>;

  beforeEach(async () => {
    openMore = place.make();
    store = await openMore();
    other = await openMore();
  });

  afterEach(async () => {
    await store.close();
    await other.close();
  });

  it('are held by one at a time, first come, first served', async () => {
    const first = await store.lock('deploy');
    const order: number[] = [];
    const visit = async (from: Store, turn: number): Promise<void> => {
      const lock = await from.lock('deploy');
      order.push(turn);
      expect(lock.token).toBe(turn + 1);
      await lock[Symbol.asyncDispose]();
    };
    const visits: Promise<void>[] = [];
    for (let turn = 1; turn <= 6; turn++) {
      visits.push(visit(turn % 2 === 0 ? store : other, turn));
      const queued = async (): Promise<number> => (await store.listLocks())[0]?.tickets.length ?? 0;
      while ((await queued()) <= turn) await nodeSystem.sleep(1);
    }
    expect(order).toEqual([]);
    await first.release();
    await Promise.all(visits);
    expect(order).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await store.listLocks()).toEqual([]);
  });

  it('of other names, and of shared mode, are held together', async () => {
    const held = [
      await store.lock('a'),
      await other.lock('b'),
      await store.lock('c', { mode: 'shared' }),
      await other.lock('c', { mode: 'shared' }),
      await other.locks(['d', 'e']),
    ];
    expect((await store.listLocks()).map(({ name, tickets }) => [name, tickets.length])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 2],
      ['d', 1],
      ['e', 1],
    ]);
    await expect(other.exclusive({ maxWaitMs: 20 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    for (const lock of held) await lock.release();
    const structural = await other.exclusive();
    expect(structural.names).toEqual([]);
    await expect(store.lock('a', { maxWaitMs: 20 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', lock: 'structural' });
  });

  it('are given back when the work is done, and when it throws, whose error comes through as it is', async () => {
    expect(await store.withLock('deploy', (lock) => lock.token)).toBe(1);
    const mine = new Error('mine');
    await expect(
      store.withLock('deploy', async () => {
        throw mine;
      }),
    ).rejects.toBe(mine);
    await expect(
      store.withLock('deploy', () => {
        throw mine;
      }),
    ).rejects.toBe(mine);
    expect(await other.withLock('deploy', (lock) => lock.token, { maxWaitMs: 0 })).toBe(4);
  });

  it('tell which line of which file took them', async () => {
    const here = (linesBelow: number): string => {
      const line = Number(/locks\.test\.ts:(\d+)/.exec((new Error().stack ?? '').split('\n')[2] ?? '')?.[1]);
      return `locks.test.ts:${line + linesBelow}`;
    };
    const purposes = async (): Promise<unknown[]> =>
      (await other.listLocks()).map(({ name, tickets }) => [name, tickets[0]?.purpose?.replace(/^.*\//, '')]);

    const at = here(1);
    const locks = [await store.lock('a'), await store.locks(['b', 'c'])];
    expect(await purposes()).toEqual([
      ['a', at],
      ['b', at],
      ['c', at],
    ]);
    for (const lock of locks) await lock.release();

    const within = here(1);
    expect(await store.withLock('d', purposes)).toEqual([['d', within]]);

    const structuralAt = here(1);
    const structural = await store.exclusive();
    expect(structural.token).toBe(1);
    expect(await purposes()).toEqual([['store', structuralAt]]);
    await expect(store.lock('a', { maxWaitMs: 0 })).rejects.toThrow(structuralAt);
  });

  it('are broken with the token that was seen', async () => {
    const lock = await store.lock('deploy');
    expect(await other.breakLock('deploy', { token: lock.token })).toMatchObject({ broken: true, token: 1, left: [] });
    expect(await other.breakLock('deploy', { token: lock.token })).toMatchObject({ broken: false });
    const next = await other.lock('deploy', { maxWaitMs: 0 });
    expect(next.token).toBe(2);
  });

  it('can not be taken through a store that is only read, but listed', async () => {
    const reader = await openMore({ readOnly: true });
    // Before there is any place for lock files, and afterwards.
    expect(await reader.listLocks()).toEqual([]);
    const lock = await store.lock('deploy', { purpose: 'nightly' });
    const refused = { code: 'READ_ONLY' };
    await expect(reader.lock('a')).rejects.toMatchObject(refused);
    await expect(reader.locks(['a'])).rejects.toMatchObject(refused);
    await expect(reader.withLock('a', () => 1)).rejects.toMatchObject(refused);
    await expect(reader.exclusive()).rejects.toMatchObject(refused);
    await expect(reader.breakLock('deploy', { token: lock.token })).rejects.toMatchObject(refused);
    expect(await reader.listLocks()).toMatchObject([{ kind: 'user', name: 'deploy', tickets: [{ purpose: 'nightly' }] }]);
    await reader.close();
    await expect(reader.listLocks()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('are given back when the store is closed, and waits are given up', async () => {
    const lock = await store.lock('deploy');
    const taken = await other.lock('taken');
    const waiting = expect(store.lock('taken')).rejects.toMatchObject({ code: 'CLOSED' });
    while ((await other.listLocks()).find(({ name }) => name === 'taken')?.tickets.length !== 2) await nodeSystem.sleep(1);
    await store.close();
    await waiting;
    expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
    expect(await other.listLocks()).toMatchObject([{ name: 'taken' }]);
    await taken.release();
    await expect(store.lock('deploy')).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('a lock that can not be given back', () => {
  it('hides neither the error of the work nor its result, and is given back as soon as that works', async () => {
    const hooks = new HookedMedium(new MemoryMedium({ system: nodeSystem, canAppend: false }));
    const store = await open(hooks.medium);
    let refusals = 0;
    hooks.before = (call, name) => {
      if (call !== 'put' || !name.endsWith('.done')) return;
      refusals++;
      throw new PeatError('STORAGE', 'no space left');
    };
    const mine = new Error('mine');
    await expect(
      store.withLock('a', () => {
        throw mine;
      }),
    ).rejects.toBe(mine);
    expect(await store.withLock('b', () => 7)).toBe(7);
    expect(refusals).toBeGreaterThanOrEqual(2);
    expect((await store.listLocks()).map(({ name }) => name)).toEqual(['a', 'b']);
    hooks.before = () => {};
    expect((await store.locks(['a', 'b'])).tokens).toEqual([2, 2]);
    await store.close();
  });
});

describe('a directory for locks', () => {
  it('holds every lock file, under the id of the store, for every process, whatever that was told', async () => {
    const directory = temporaryDirectory();
    const lockDir = temporaryDirectory();
    const store = await open(directory, { singleHost: true, lockDir });
    expect(store.file).toMatchObject({ singleHost: true, lockDir, writerFeatures: ['lock-dir'] });
    const other = await open(directory);
    const lock = await store.lock('deploy');
    await expect(other.lock('deploy', { maxWaitMs: 0 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    expect(existsSync(join(directory, 'lock'))).toBe(false);
    expect(readdirSync(lockDir)).toEqual([store.file.storeId]);
    expect(readdirSync(join(lockDir, store.file.storeId, 'lock', 'user', 'deploy'))).toContain('00000000000000000001');
    await lock.release();
    await other.close();
    await store.close();
  });

  it('leaves the election of compactors with the data, where a repair looks for it', async () => {
    const [directory, lockDir] = [temporaryDirectory(), temporaryDirectory()];
    const store = await open(directory, { singleHost: true, lockDir });
    const namespace = store.namespace('runs');
    await namespace.put('a', 1);
    await store.compact();
    await namespace.update('a', () => 2);
    expect(readdirSync(join(directory, 'lock'))).toEqual(['compactor']);
    expect(existsSync(join(lockDir, store.file.storeId, 'lock', 'compactor'))).toBe(false);
    await store.close();
  });

  it('keeps the locks of two stores apart', async () => {
    const lockDir = temporaryDirectory();
    const stores = await Promise.all([1, 2].map(() => open(temporaryDirectory(), { singleHost: true, lockDir })));
    const locks: NamedLock[] = [];
    for (const store of stores) locks.push(await store.lock('deploy', { maxWaitMs: 0 }));
    for (const lock of locks) await lock.release();
    for (const store of stores) await store.close();
  });

  it('that is not there is an error that names it, when the store is made and when a lock is asked for', async () => {
    const lockDir = join(temporaryDirectory(), 'locks');
    const directory = temporaryDirectory();
    const options = { singleHost: true, lockDir };
    await expect(open(directory, options)).rejects.toMatchObject({ code: 'MEDIUM_UNSUITABLE', message: expect.stringContaining(lockDir) });
    await expect(open(directory, { create: false })).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });

    mkdirSync(lockDir);
    await (await open(directory, options)).close();
    const { rmdirSync } = await import('node:fs');
    rmdirSync(lockDir);
    const store = await open(directory);
    await store.namespace('items').put('a', 1);
    for (const ask of [() => store.lock('a'), () => store.listLocks()]) {
      const error = await ask().then(
        () => expect.fail('it did not fail'),
        (reason: unknown) => reason as PeatError,
      );
      expect(error.code).toBe('MEDIUM_UNSUITABLE');
      expect(error.message).toContain(lockDir);
    }
    // It is there again, and the same store goes on.
    mkdirSync(lockDir);
    await (await store.lock('a')).release();
    await store.close();
  });

  it('is refused where other hosts may use the store', async () => {
    const directory = temporaryDirectory();
    const lockDir = temporaryDirectory();
    await expect(open(directory, { lockDir })).rejects.toThrow(RangeError);
    await expect(open(directory, { lockDir, singleHost: false })).rejects.toThrow(lockDir);
    await expect(open(directory, { lockDir: '', singleHost: true })).rejects.toThrow(TypeError);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is written down as an absolute path', async () => {
    const store = await open(temporaryDirectory(), { singleHost: true, lockDir: '.' });
    expect(store.file.lockDir).toBe(process.cwd());
    await store.close();
  });
});

describe('a lock among many', () => {
  it('leaves few files behind', async () => {
    const directory = temporaryDirectory();
    const store = await open(directory);
    for (let i = 0; i < 80; i++) await store.withLock('busy', () => i);
    const medium = FileMedium.open(directory);
    expect((await medium.list('lock/user/busy/')).length).toBeLessThan(100);
    await medium.close();
    await store.close();
  });
});
