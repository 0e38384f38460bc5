/** How many requests each operation sends to a bucket that nobody else uses: the table in docs/s3.md. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { open } from '../../../../src/datastore/open.ts';
import type { Store } from '../../../../src/datastore/store.ts';
import { S3Medium } from '../../../../src/medium/s3/s3-medium.ts';
import { FAKE_BUCKET } from '../../../support/s3/fake-operations.ts';
import { type FakeServer, startFakeServer } from '../../../support/s3/fake-server.ts';
import { VirtualSystem } from '../../../support/virtual-system.ts';

/** Clocks that go by themselves would make the counts depend on how busy this machine is. */
let system: VirtualSystem;
/** How far the server's clock is ahead of this machine's; undefined: it tells no dates. */
let aheadMs: number | undefined;
let server: FakeServer;
let store: Store;

function openStore(): Promise<Store> {
  return S3Medium.open(`s3://${FAKE_BUCKET}/store`, { env: server.env }).then((medium) => open(medium, { system }));
}

function kindOf(request: string): string {
  const [method = '', url = ''] = request.split(' ');
  if (method === 'GET') return url.includes('list-type=2') ? 'list' : 'get';
  if (method === 'HEAD') return 'get';
  return method === 'POST' ? 'delete' : method.toLowerCase();
}

/** PUT, LIST, GET with HEAD, DELETE. */
async function requestsOf(run: () => Promise<unknown>): Promise<string> {
  server.requests.length = 0;
  await run();
  const kinds = server.requests.map(kindOf);
  return ['put', 'list', 'get', 'delete'].map((kind) => kinds.filter((other) => other === kind).length).join('/');
}

beforeEach(async () => {
  system = new VirtualSystem();
  aheadMs = 0;
  server = await startFakeServer({
    pageSize: 1000,
    dateMs: () => (aheadMs === undefined ? undefined : system.wallNowMs() + aheadMs),
  });
  store = await openStore();
});

afterEach(async () => {
  await store.close();
  await server.close();
});

describe('requests of', () => {
  it('the first open', async () => {
    const another = await startFakeServer({ pageSize: 1000, dateMs: () => system.wallNowMs() });
    const medium = await S3Medium.open(`s3://${FAKE_BUCKET}/store`, { env: another.env });
    const opened = await open(medium, { system });
    const kinds = another.requests.map(kindOf);
    expect(['put', 'list', 'get', 'delete'].map((kind) => kinds.filter((other) => other === kind).length).join('/')).toBe('5/4/5/1');
    await opened.close();
    await another.close();
  });

  it('a later open', async () => {
    expect(await requestsOf(async () => (await openStore()).close())).toBe('0/0/1/0');
  });

  it('the first put into a new namespace, and groups of appends after it', async () => {
    const runs = store.namespace('runs');
    expect(await requestsOf(() => runs.put('a', 1))).toBe('2/4/2/0');
    expect(await requestsOf(() => runs.put('a', 2))).toBe('1/0/0/0');
    expect(await requestsOf(() => Promise.all([runs.put('b', 1), runs.put('c', 1)]))).toBe('1/0/0/0');
  });

  it('an append after half a minute, which reads the root again', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    await system.advance(30_000);
    expect(await requestsOf(() => runs.put('a', 2))).toBe('1/1/0/0');
  });

  it('an append whose machine was suspended, with its clocks, since it read the root: it looks again', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    aheadMs = 60_000;
    expect(await requestsOf(() => runs.put('a', 2))).toBe('1/1/0/0');
  });

  it('appends to a server that tells no dates: each looks', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    aheadMs = undefined;
    expect(await requestsOf(() => runs.put('a', 2))).toBe('1/1/0/0');
    expect(await requestsOf(() => runs.put('a', 3))).toBe('1/1/0/0');
  });

  it('a fresh get', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    expect(await requestsOf(() => runs.get('a'))).toBe('0/2/2/0');
    expect(await requestsOf(() => runs.get('a'))).toBe('0/2/0/0');
    await system.advance(3_600_000);
    expect(await requestsOf(() => runs.get('a'))).toBe('0/2/0/0');
    aheadMs = undefined;
    expect(await requestsOf(() => runs.get('a'))).toBe('0/3/0/0');
  });

  it('the first get of a process', async () => {
    await store.namespace('runs').put('a', 1);
    const run = async (): Promise<void> => {
      const other = await openStore();
      expect(await other.namespace('runs').get('a')).toBe(1);
      await other.close();
    };
    // peat.json, the root, and the object that was put.
    expect(await requestsOf(run)).toBe('0/2/3/0');
  });

  it('a get that may be a little old', async () => {
    const runs = store.namespace('runs');
    await runs.put('a', 1);
    await runs.get('a');
    expect(await requestsOf(() => runs.get('a', { maxStalenessMs: 1000 }))).toBe('0/0/0/0');
    await system.advance(1000);
    expect(await requestsOf(() => runs.get('a', { maxStalenessMs: 1000 }))).toBe('0/2/0/0');
  });

  it('an update', async () => {
    const runs = store.namespace<number>('runs');
    const increment = (): Promise<unknown> => runs.update('a', (count = 0) => count + 1);
    await increment();
    expect(await requestsOf(increment)).toBe('1/4/0/0');
    expect(await requestsOf(increment)).toBe('1/4/0/0');
    expect(await runs.get('a')).toBe(3);
  });

  it('a lock that is taken and given back', async () => {
    const take = async (): Promise<void> => {
      await (await store.lock('nightly')).release();
    };
    await take();
    expect(await requestsOf(take)).toBe('2/4/0/0');
  });

  it('a process that opens, puts once, and closes', async () => {
    await store.namespace('runs').put('a', 1);
    const run = async (): Promise<void> => {
      const other = await openStore();
      await other.namespace('runs').put('b', 1);
      await other.close();
    };
    expect(await requestsOf(run)).toBe('2/2/3/0');
  });
});
