/** `sync` and `stats` of a store in a bucket, opened as callers open it. */
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryMedium, nodeSystem, open, type Store, type SyncProgress } from '../../../src/index.ts';
import { encodePiece, IDENTITY_BYTES, PIECE_HEADER_BYTES } from '../../../src/medium/s3/piece-file.ts';
import { S3Medium } from '../../../src/medium/s3/s3-medium.ts';
import { FAKE_BUCKET } from '../../support/s3/fake-operations.ts';
import { type FakeServer, startFakeServer } from '../../support/s3/fake-server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const LOCATION = `s3://${FAKE_BUCKET}/store`;
const NO_REQUESTS = { requests: 0, bytesSent: 0, bytesReceived: 0 };

let server: FakeServer;
let directory: string;
let stores: { close(): Promise<void> }[];

beforeEach(async () => {
  server = await startFakeServer({ pageSize: 1000 });
  directory = temporaryDirectory();
  stores = [];
  for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value);
  vi.stubEnv('PEAT_CACHE_BYTES', '');
  vi.stubEnv('PEAT_CACHE_DIR', directory);
  return async () => {
    for (const store of stores) await store.close();
    vi.unstubAllEnvs();
    await server.close();
  };
});

async function opened(options: Parameters<typeof open>[1] = { readOnly: true }): Promise<Store> {
  const store = await open(LOCATION, options);
  stores.push(store);
  return store;
}

/** Two namespaces, whose tables are of several shards: 3,000 entries of 600 random bytes, and one entry. */
async function newStore(): Promise<void> {
  const store = await open(LOCATION, { autoCompact: false });
  const runs = store.namespace('runs');
  for (let i = 0; i < 3000; i += 500) {
    await runs.batch(
      Array.from({ length: 500 }, (_, j) => {
        const value = Buffer.from(nodeSystem.randomBytes(600));
        return { type: 'put' as const, key: `run/${String(i + j).padStart(5, '0')}`, value };
      }),
    );
  }
  await store.namespace('jobs').put('a', 1);
  await store.compact();
  await store.close();
}

function requestsFor(what: string): number {
  return server.requests.filter((request) => request.includes(what)).length;
}

describe('sync', () => {
  it('fetches what the cache lacks, says what that was, and then nothing but roots', async () => {
    await newStore();
    const store = await opened();
    const progress: SyncProgress[] = [];
    const first = await store.sync({ onProgress: (now) => progress.push(now) });
    expect(first).toMatchObject({ namespaces: ['jobs', 'runs'], bytesThere: 0, cache: { directory, bytesMax: 2 ** 30 } });
    expect(first.tables).toBeGreaterThan(3);
    expect(first.tablesFetched).toBe(first.tables);
    expect(first.bytesFetched).toBeGreaterThanOrEqual(first.tableBytes);
    expect(first.requests).toBeGreaterThan(first.tables / 2);
    expect(progress.at(-1)).toEqual({
      tables: first.tables,
      tablesDone: first.tables,
      bytes: first.tableBytes,
      bytesDone: first.tableBytes,
    });
    const before = requestsFor('/shard/');
    const other = await opened();
    expect(await other.sync()).toMatchObject({ tables: first.tables, tablesFetched: 0, bytesFetched: 0, bytesThere: first.bytesFetched });
    // All that reads then ask of tables is here.
    let entries = 0;
    for await (const _ of other.namespace('runs').scan()) entries++;
    expect(entries).toBe(3000);
    expect(await other.namespace('jobs').get('a')).toBe(1);
    expect(requestsFor('/shard/')).toBe(before);
  });

  it('moves only what has changed since', async () => {
    await newStore();
    const first = await (await opened()).sync();
    const writer = await opened({});
    await writer.namespace('jobs').put('b', 2);
    await writer.compact();
    const second = await (await opened()).sync();
    expect(second.tablesFetched).toBe(1);
    expect(second.bytesFetched).toBeLessThan(first.bytesFetched / 10);
  });

  it('keeps to a namespace and a prefix', async () => {
    await newStore();
    const store = await opened();
    expect(await store.sync({ namespace: 'jobs' })).toMatchObject({ namespaces: ['jobs'], tables: 1, tablesFetched: 1 });
    expect(await store.sync({ namespace: 'runs', prefix: 'other/' })).toMatchObject({ tables: 0, bytesFetched: 0 });
    const some = await store.sync({ namespace: 'runs', prefix: 'run/0000' });
    const all = await store.sync({ namespace: 'runs' });
    expect(some.tables).toBe(1);
    expect(some.tablesFetched).toBe(1);
    expect(all.tables).toBeGreaterThan(3);
    await expect(store.sync({ namespace: 'nothing' })).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
    await expect(store.sync({ namespace: 'No!' })).rejects.toThrow('"No!"');
    await expect(store.sync({ all: true } as never)).rejects.toThrow('no option "all"');
  });

  it('goes on where tables fail, and names each of them', async () => {
    await newStore();
    const medium = await S3Medium.open(LOCATION, {});
    stores.push(medium);
    const fileOf = async (namespace: string): Promise<string> =>
      ((await medium.list(`ns/${namespace}/shard/`))[0] as { name: string }).name;
    const lost = [await fileOf('jobs'), await fileOf('runs')];
    const writer = await opened({});
    await writer.namespace('more').put('a', 3);
    await writer.compact({ namespace: 'more' });
    await medium.delete(lost);
    const store = await opened();
    const failed = await store.sync().catch((error: unknown) => error as Error);
    expect(failed).toMatchObject({ code: 'STORAGE', message: expect.stringContaining('2 of 3 files') });
    for (const name of lost) expect((failed as Error).message).toContain(name);
    const before = requestsFor('/shard/');
    expect(await store.sync({ namespace: 'more' })).toMatchObject({ tables: 1, tablesFetched: 0 });
    expect(requestsFor('/shard/')).toBe(before);
  });

  it('goes on where a root is damaged, and where a namespace was dropped since it was listed', async () => {
    await newStore();
    const medium = await S3Medium.open(LOCATION, {});
    stores.push(medium);
    const store = await opened();
    const listed = vi.spyOn(store, 'namespaces').mockResolvedValueOnce(['gone', 'jobs', 'runs']);
    expect(await store.sync()).toMatchObject({ namespaces: ['jobs', 'runs'] });
    listed.mockRestore();
    rmSync(directory, { recursive: true, force: true });
    await medium.putIfAbsent(`ns/aaa/root/${'0'.repeat(20)}`, Buffer.from('no root'));
    const failed = await (await opened()).sync().catch((error: unknown) => error as Error);
    expect(failed).toMatchObject({ code: 'STORAGE', message: expect.stringContaining('the newest root of aaa: ') });
    expect(await store.sync({ namespace: 'runs' })).toMatchObject({ tablesFetched: 0 });
    await expect(store.sync({ namespace: 'aaa' })).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('says so where the machine can’t keep what it fetched', async () => {
    await newStore();
    await (await opened()).sync({ namespace: 'jobs' });
    rmSync(join(directory, 'tables-1', readdirSync(join(directory, 'tables-1'))[0] as string), { recursive: true });
    chmodSync(join(directory, 'tables-1'), 0o755);
    const store = await opened();
    await expect(store.sync({ namespace: 'jobs' })).rejects.toThrow(/can't be kept on this machine: .* open to other users/);
    // Reads are none the worse for it.
    expect(await store.namespace('jobs').get('a')).toBe(1);
    expect((await store.stats()).bucket?.cache?.trouble).toMatch(/open to other users/);
  });

  it('ends when it is told to', async () => {
    await newStore();
    const stop = new AbortController();
    const store = await opened();
    const synced = store.sync({ signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
    await expect(synced).rejects.toThrow('enough');
  });

  it('has nothing to do without a cache', async () => {
    await newStore();
    vi.stubEnv('PEAT_CACHE_BYTES', 'off');
    expect(await (await opened()).sync()).toMatchObject({ nothingToDo: 'no-cache', tables: 0, requests: 0 });
    const memory = await open(new MemoryMedium({ canAppend: true, system: nodeSystem }));
    expect(await memory.sync()).toMatchObject({ nothingToDo: 'no-bucket' });
    expect(await memory.stats()).toEqual({});
    await memory.close();
  });
});

describe('a read through the cache', () => {
  /** As if it had been damaged on its way here, before it got the checksum of the cache. */
  function damage(file: string): void {
    const bytes = readFileSync(file);
    const payload = Buffer.from(bytes.subarray(PIECE_HEADER_BYTES));
    for (let i = 0; i < payload.length; i += 10) payload[i] = (payload[i] as number) ^ 1;
    writeFileSync(file, encodePiece(bytes.subarray(8, 8 + IDENTITY_BYTES), payload));
  }

  it('asks the bucket before it calls a table damaged, and puts the copy right', async () => {
    await newStore();
    const read = async (): Promise<void> => {
      const store = await opened();
      expect(await store.namespace('jobs').get('a')).toBe(1);
      await store.close();
    };
    await read();
    const pieces = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(pieces.length).toBeGreaterThan(0);
    for (const { parentPath, name } of pieces) damage(join(parentPath, name));
    const before = requestsFor('/shard/');
    await read();
    expect(requestsFor('/shard/')).toBeGreaterThan(before);
    const healed = requestsFor('/shard/');
    await read();
    expect(requestsFor('/shard/')).toBe(healed);
  });

  it('still calls a table damaged that is', async () => {
    await newStore();
    const medium = await S3Medium.open(LOCATION, {});
    stores.push(medium);
    const [{ name } = { name: '' }] = await medium.list('ns/jobs/shard/');
    const bytes = (await medium.get(name)) as Buffer;
    await medium.delete([name]);
    bytes[20] = (bytes[20] as number) ^ 1;
    await medium.putIfAbsent(name, bytes);
    await expect((await opened()).namespace('jobs').get('a')).rejects.toMatchObject({ code: 'CORRUPT', file: name });
  });
});

describe('stats of a bucket', () => {
  it('count requests by kind, with their bytes, and estimate what they cost', async () => {
    const store = await opened({});
    const before = (await store.stats()).bucket;
    await store.namespace('runs').put('a', 'x'.repeat(1000));
    const after = (await store.stats()).bucket;
    const methods = server.requests.map((request) => (request.includes('list-type') ? 'LIST' : (request.split(' ')[0] as string)));
    for (const kind of ['put', 'get', 'head', 'list', 'delete'] as const) {
      const made = methods.filter((method) => method === kind.toUpperCase()).length;
      const counted = after?.requests[kind].requests;
      if (kind === 'delete') expect(counted).toBe(methods.filter((method) => method === 'DELETE' || method === 'POST').length);
      else expect(counted, kind).toBe(made);
    }
    expect((after?.requests.put.bytesSent ?? 0) - (before?.requests.put.bytesSent ?? 0)).toBeGreaterThan(1000);
    expect(after?.requests.list.bytesReceived).toBeGreaterThan(0);
    expect(after?.retries).toBe(0);
    const { put, list, get, head } = after?.requests ?? { put: NO_REQUESTS, list: NO_REQUESTS, get: NO_REQUESTS, head: NO_REQUESTS };
    const dollars = ((put.requests + list.requests) * 5 + (get.requests + head.requests) * 0.4) / 1e6;
    expect(after?.cost.dollars).toBeCloseTo(dollars, 9);
    expect(after?.cost).toMatchObject({ isEstimate: true, priceTable: expect.stringContaining('AWS S3 Standard, us-east-1') });
  });

  it('count hits and misses of the cache', async () => {
    await newStore();
    const read = async (): Promise<Store> => {
      const store = await opened();
      expect(await store.namespace('jobs').get('a')).toBe(1);
      await store.close();
      return store;
    };
    await read();
    const store = await opened();
    expect(await store.namespace('jobs').get('a')).toBe(1);
    const cache = (await store.stats()).bucket?.cache;
    expect(cache).toMatchObject({ directory, bytesMax: 2 ** 30, misses: 0, bytesFetched: 0 });
    expect(cache?.hits).toBeGreaterThan(0);
  });

  it('come without a cache where there is none', async () => {
    await (await opened({})).close();
    const store = await open(LOCATION, { readOnly: true, s3: { cache: false } });
    expect((await store.stats()).bucket?.cache).toBeUndefined();
    await store.close();
  });

  it('refuse a cache that is none, before anything is sent', async () => {
    await expect(open(LOCATION, { s3: { cache: { bytesMax: 7 } } })).rejects.toThrow(/s3\.cache\.bytesMax.*got 7/);
    vi.stubEnv('PEAT_CACHE_BYTES', 'much');
    await expect(open(LOCATION)).rejects.toThrow(/PEAT_CACHE_BYTES.*"much"/);
    expect(server.requests).toEqual([]);
  });
});
