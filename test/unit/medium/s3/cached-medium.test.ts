/** What is asked of the bucket, request by request, and what is not, with a cache of its tables on this machine. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { nodeSystem } from '../../../../src/base/system.ts';
import { CACHE_BYTES_LEAST } from '../../../../src/medium/s3/cache-settings.ts';
import { CachedMedium } from '../../../../src/medium/s3/cached-medium.ts';
import { PieceStore } from '../../../../src/medium/s3/piece-store.ts';
import { S3Medium } from '../../../../src/medium/s3/s3-medium.ts';
import { TableCache } from '../../../../src/medium/s3/table-cache.ts';
import { FAKE_BUCKET } from '../../../support/s3/fake-operations.ts';
import { type FakeServer, startFakeServer } from '../../../support/s3/fake-server.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const KIB = 1024;
const PIECE = 64 * KIB;
const TABLE = 'ns/a/shard/table';
/** 40 pieces and a bit, no two alike. */
const BYTES = Buffer.from(Array.from({ length: (40 * PIECE) / 4 + 25 }, (_, i) => String(i % 10_000).padStart(4, '0')).join(''));

interface World {
  readonly server: FakeServer;
  /** GETs of tables so far: `0-65535`. */
  readonly ranges: () => string[];
  /** Another process on the same machine. */
  readonly process: (options?: {
    fill?: boolean;
    scope?: string;
  }) => Promise<{ medium: CachedMedium; cache: TableCache; origin: S3Medium }>;
  readonly directory: string;
}

async function world(): Promise<World> {
  const server = await startFakeServer();
  const directory = temporaryDirectory();
  const media: CachedMedium[] = [];
  onTestFinished(async () => {
    for (const medium of media) await medium.close();
    await server.close();
  });
  const process: World['process'] = async ({ scope = 'one' } = {}) => {
    const origin = await S3Medium.open(`s3://${FAKE_BUCKET}/store`, { env: server.env });
    const settings = { directory, bytesMax: 4 * CACHE_BYTES_LEAST };
    const cache = new TableCache(new PieceStore({ settings, system: nodeSystem, scope, pieceBytes: PIECE }), (name, range) =>
      origin.get(name, range),
    );
    const medium = new CachedMedium(origin, cache);
    media.push(medium);
    return { medium, cache, origin };
  };
  const { origin } = await process();
  await origin.putIfAbsent(TABLE, BYTES);
  const ranges = (): string[] =>
    server.requests.flatMap((request, i) =>
      request.startsWith('GET') && request.includes('/shard/') ? [String(server.headers[i]?.range).replace('bytes=', '')] : [],
    );
  return { server, directory, process, ranges };
}

function part(offset: number, length: number): Buffer {
  return BYTES.subarray(offset, offset + length);
}

describe('a table behind the cache', () => {
  it('is fetched in the pieces that a look-up needs, and then no more, by any process', async () => {
    const { process, ranges } = await world();
    const { medium } = await process();
    expect(await medium.get(TABLE, { offset: 3 * PIECE + 100, length: 8000 })).toEqual(part(3 * PIECE + 100, 8000));
    expect(ranges()).toEqual([`${3 * PIECE}-${4 * PIECE - 1}`]);
    expect(await medium.get(TABLE, { offset: 3 * PIECE + 50_000, length: 8000 })).toEqual(part(3 * PIECE + 50_000, 8000));
    await medium.close();
    const { medium: next, cache } = await process();
    expect(await next.get(TABLE, { offset: 3 * PIECE, length: PIECE })).toEqual(part(3 * PIECE, PIECE));
    expect(ranges()).toHaveLength(1);
    expect(cache.stats).toMatchObject({ hits: 1, misses: 0, bytesFetched: 0 });
  });

  it('is fetched with one request where several pieces in a row are missing, around those that are there', async () => {
    const { process, ranges } = await world();
    const { medium } = await process();
    await medium.get(TABLE, { offset: 12 * PIECE, length: 10 });
    expect(await medium.get(TABLE, { offset: 10 * PIECE + 5, length: 5 * PIECE })).toEqual(part(10 * PIECE + 5, 5 * PIECE));
    expect(ranges().slice(1)).toEqual([`${10 * PIECE}-${12 * PIECE - 1}`, `${13 * PIECE}-${16 * PIECE - 1}`]);
  });

  it('is fetched once for all who ask for it at once', async () => {
    const { process, ranges } = await world();
    const { medium } = await process();
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => medium.get(TABLE, { offset: i * 100, length: 100 })));
    for (const [i, bytes] of all.entries()) expect(bytes).toEqual(part(i * 100, 100));
    expect(ranges()).toHaveLength(1);
  });

  it.each(['ascending', 'descending'])(
    'is fetched ahead by a scan that is %s: a few requests the first time, none the second',
    async (order) => {
      const { process, ranges } = await world();
      const blocks = Array.from({ length: Math.ceil(BYTES.length / 8000) }, (_, i) => i * 8000);
      if (order === 'descending') blocks.reverse();
      for (const most of [8, 0]) {
        const before = ranges().length;
        const { medium } = await process();
        for (const offset of blocks) expect((await medium.get(TABLE, { offset, length: 8000 }))?.equals(part(offset, 8000))).toBe(true);
        await medium.close();
        expect(ranges().length - before).toBeLessThanOrEqual(most);
      }
    },
  );

  it('moves each byte once, however its parts are asked for', async () => {
    const { process } = await world();
    const { medium, cache } = await process();
    let seed = 7;
    for (let i = 0; i < 300; i++) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      const offset = seed % BYTES.length;
      const length = 1 + (seed % 20_000);
      expect((await medium.get(TABLE, { offset, length }))?.equals(part(offset, length)), `${offset}+${length}`).toBe(true);
    }
    expect(cache.stats.bytesFetched).toBeLessThanOrEqual(BYTES.length);
  });

  it('ends where it ends', async () => {
    const { process } = await world();
    for (let round = 0; round < 2; round++) {
      const { medium } = await process();
      expect(await medium.get(TABLE, { offset: BYTES.length - 10, length: 100 })).toEqual(BYTES.subarray(-10));
      expect(await medium.get(TABLE, { offset: BYTES.length + PIECE, length: 100 })).toEqual(Buffer.alloc(0));
      expect(await medium.get(TABLE, { offset: BYTES.length, length: 10 })).toEqual(Buffer.alloc(0));
      expect(await medium.get(TABLE, { offset: 10, length: 0 })).toEqual(Buffer.alloc(0));
      await medium.close();
    }
  });

  it('gives buffers that are the caller’s', async () => {
    const { process } = await world();
    const { medium } = await process();
    (await medium.get(TABLE, { offset: 0, length: 100 }))?.fill(0);
    (await medium.get(TABLE, { offset: 0, length: 2 * PIECE }))?.fill(0);
    expect(await medium.get(TABLE, { offset: 0, length: 100 })).toEqual(part(0, 100));
    await medium.close();
    const { medium: next } = await process();
    expect(await next.get(TABLE, { offset: 0, length: 100 })).toEqual(part(0, 100));
  });

  it('that is not there is looked for again', async () => {
    const { process } = await world();
    const { medium, origin } = await process();
    expect(await medium.get('ns/a/shard/late', { offset: 0, length: 10 })).toBeUndefined();
    await origin.putIfAbsent('ns/a/shard/late', Buffer.from('here'));
    expect(await medium.get('ns/a/shard/late', { offset: 0, length: 10 })).toEqual(Buffer.from('here'));
  });

  it('is fetched again where the cache is deleted under it, or another store stands at the same place', async () => {
    const { process, ranges, directory } = await world();
    const { medium } = await process();
    await medium.get(TABLE, { offset: 0, length: 10 });
    await medium.close();
    const { medium: other } = await process({ scope: 'another' });
    await other.get(TABLE, { offset: 0, length: 10 });
    expect(ranges()).toHaveLength(2);
    await other.close();
    const { medium: next } = await process();
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
    expect(await next.get(TABLE, { offset: 0, length: 10 })).toEqual(part(0, 10));
    expect(ranges()).toHaveLength(3);
  });

  it('is asked of the bucket again where its own checksums do not hold, and kept as that says', async () => {
    const { process, ranges } = await world();
    const { origin } = await process();
    let isDamaged = true;
    const directory = temporaryDirectory();
    const settings = { directory, bytesMax: CACHE_BYTES_LEAST };
    const reader = (): CachedMedium => {
      const store = new PieceStore({ settings, system: nodeSystem, scope: 'one', pieceBytes: PIECE });
      const cache = new TableCache(store, async (name, range) => {
        const bytes = await origin.get(name, range);
        if (isDamaged) bytes?.fill(0, 100, 101);
        return bytes;
      });
      return new CachedMedium(origin, cache);
    };
    const medium = reader();
    expect(await medium.get(TABLE, { offset: 90, length: 20 })).not.toEqual(part(90, 20));
    isDamaged = false;
    expect(await medium.getAgain(TABLE, { offset: 90, length: 20 })).toEqual(part(90, 20));
    expect(await medium.get(TABLE, { offset: 90, length: 20 })).toEqual(part(90, 20));
    expect(ranges()).toHaveLength(2);
    await medium.close();
    expect(await reader().get(TABLE, { offset: 90, length: 20 })).toEqual(part(90, 20));
    expect(ranges()).toHaveLength(2);
  });

  it('passes on what the bucket fails with, and is none the worse for it', async () => {
    const { process, server } = await world();
    const { origin } = await process();
    let isDown = true;
    const store = new PieceStore({
      settings: { directory: temporaryDirectory(), bytesMax: CACHE_BYTES_LEAST },
      system: nodeSystem,
      scope: 'one',
      pieceBytes: PIECE,
    });
    const cache = new TableCache(store, async (name, range) => {
      if (isDown) throw new Error('the network is down');
      return await origin.get(name, range);
    });
    const medium = new CachedMedium(origin, cache);
    const two = [medium.get(TABLE, { offset: 0, length: 10 }), medium.get(TABLE, { offset: 0, length: 10 })];
    for (const failed of await Promise.allSettled(two)) expect(failed).toMatchObject({ status: 'rejected' });
    isDown = false;
    expect(await medium.get(TABLE, { offset: 0, length: 10 })).toEqual(part(0, 10));
    expect(server.requests.length).toBeGreaterThan(0);
    await cache.settle();
  });
});

describe('what is no table', () => {
  it.each(['ns/a/root/00000000000000000001', 'ns/a/log/s0-00000000000000000001', 'lock/user/x/1', 'peat.json'])(
    'is asked of the bucket each time: %s',
    async (name) => {
      const { process, server } = await world();
      const { medium } = await process();
      await medium.putIfAbsent(name, Buffer.from('one'));
      const before = server.requests.length;
      expect(await medium.get(name, { offset: 0, length: 3 })).toEqual(Buffer.from('one'));
      expect(await medium.get(name, { offset: 0, length: 3 })).toEqual(Buffer.from('one'));
      expect(server.requests.length - before).toBe(2);
      await medium.delete([name]);
      expect(await medium.get(name, { offset: 0, length: 3 })).toBeUndefined();
    },
  );

  it('is a whole file of tables: that is what copies and checks ask for', async () => {
    const { process, ranges } = await world();
    const { medium } = await process();
    for (let i = 0; i < 2; i++) expect((await medium.get(TABLE))?.equals(BYTES)).toBe(true);
    expect(ranges()).toHaveLength(2);
  });
});
