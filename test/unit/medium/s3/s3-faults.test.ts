/** What the medium in a bucket makes of servers and networks that fail; each fault is played by a proxy before a strict server. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { nodeSystem, type System } from '../../../../src/base/system.ts';
import { S3Medium, type S3MediumOptions } from '../../../../src/medium/s3/s3-medium.ts';
import { FAKE_BUCKET } from '../../../support/s3/fake-operations.ts';
import { type FakeServer, startFakeServer } from '../../../support/s3/fake-server.ts';
import { type Fault, type FaultProxy, type ProxiedRequest, startFaultProxy } from '../../../support/s3/fault-proxy.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

/** Waits between attempts take no time. */
const hasty: System = { ...nodeSystem, sleep: (ms, options) => nodeSystem.sleep(options?.background === true ? ms : 0, options) };

interface World {
  readonly server: FakeServer;
  readonly proxy: FaultProxy;
  /** Behind the proxy. */
  readonly medium: S3Medium;
  /** Straight to the server. */
  readonly other: S3Medium;
}

async function world(decide: (request: ProxiedRequest) => Fault | undefined, options: S3MediumOptions = {}): Promise<World> {
  const server = await startFakeServer();
  const proxy = await startFaultProxy({ endpoint: server.endpoint, decide });
  const location = `s3://${FAKE_BUCKET}/store`;
  const medium = await S3Medium.open(location, { env: server.env, endpoint: proxy.endpoint, system: hasty, retryBudgetMs: 0, ...options });
  const other = await S3Medium.open(location, { env: server.env });
  onTestFinished(async () => {
    await medium.close();
    await other.close();
    await proxy.close();
    await server.close();
  });
  return { server, proxy, medium, other };
}

/** The fault for the first so many requests of a method. */
function first(count: number, method: string, fault: Fault): (request: ProxiedRequest) => Fault | undefined {
  let left = count;
  return (request) => (request.method === method && left-- > 0 ? fault : undefined);
}

describe('a put in a bucket', () => {
  it.each<Fault>(['lost-answer', 'reset', 'unavailable', 'conflict', 'late-execution', 'late-duplicate'])(
    'happens once, and says so, with %s on the way',
    async (fault) => {
      const { medium, other, server } = await world(first(2, 'PUT', fault));
      expect(await medium.putIfAbsent('root/1', bytes('mine'))).toBe(true);
      expect(await other.putIfAbsent('root/1', bytes('theirs'))).toBe(false);
      expect(await other.get('root/1')).toEqual(bytes('mine'));
      expect(await medium.list('root/')).toEqual([{ name: 'root/1' }]);
      expect(server.requests.filter((request) => request.startsWith('PUT')).length).toBeGreaterThan(1);
    },
  );

  it('that lost against another says so, even if its answers are lost, too', async () => {
    const { medium, other } = await world(first(2, 'PUT', 'lost-answer'));
    await other.putIfAbsent('root/1', bytes('theirs'));
    expect(await medium.putIfAbsent('root/1', bytes('mine'))).toBe(false);
    expect(await medium.get('root/1')).toEqual(bytes('theirs'));
  });

  it('whose answers are all lost has an unknown outcome, and says how often it was tried', async () => {
    const { medium, proxy } = await world(first(99, 'PUT', 'lost-answer'));
    await expect(medium.putIfAbsent('root/1', bytes('mine'))).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      file: 'root/1',
      message: expect.stringMatching(/PUT of root\/1 in bucket failed after 3 attempts in \d+\.\d s/),
    });
    expect(proxy.played).toEqual({ 'lost-answer': 3 });
  });

  it('that was there and is gone when it is asked for has an unknown outcome', async () => {
    const { medium, other } = await world((request) => {
      if (request.method === 'HEAD') void other.delete(['root/1']);
      return request.number === 1 ? 'lost-answer' : request.method === 'HEAD' && request.number === 3 ? 'unavailable' : undefined;
    });
    await expect(medium.putIfAbsent('root/1', bytes('mine'))).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  it('that was never executed for sure fails as such', async () => {
    const { medium, other } = await world(first(99, 'PUT', 'conflict'));
    await expect(medium.putIfAbsent('root/1', bytes('mine'))).rejects.toMatchObject({
      code: 'STORAGE',
      message: expect.stringContaining('409 ConditionalRequestConflict'),
    });
    expect(await other.get('root/1')).toBeUndefined();
  });

  it('to a server that is not there fails as such', async () => {
    const { medium, proxy } = await world(() => undefined);
    await proxy.close();
    await expect(medium.putIfAbsent('root/1', bytes('mine'))).rejects.toMatchObject({
      code: 'STORAGE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('is judged by its bytes where a copied store has lost its metadata', async () => {
    const server = await startFakeServer({ deviation: 'forgets-metadata' });
    const medium = await S3Medium.open(`s3://${FAKE_BUCKET}`, { env: server.env });
    expect(await medium.putIfAbsent('a', bytes('same'))).toBe(true);
    expect(await medium.putIfAbsent('a', bytes('same'))).toBe(true);
    expect(await medium.putIfAbsent('a', bytes('else'))).toBe(false);
    expect(await medium.putIfAbsent('a', bytes('longer'))).toBe(false);
    await medium.close();
    await server.close();
  });
});

describe('a read in a bucket', () => {
  it.each<Fault>(['lost-answer', 'cut-answer', 'reset', 'unavailable'])('is repeated after %s', async (fault) => {
    const { medium, other } = await world(first(2, 'GET', fault));
    await other.putIfAbsent('root/1', bytes('mine'));
    expect(await medium.get('root/1')).toEqual(bytes('mine'));
    expect(await medium.list('root/')).toEqual([{ name: 'root/1' }]);
  });

  it.each<Fault>(['lost-answer', 'cut-answer', 'reset', 'unavailable'])('that can not be made is never "absent" (%s)', async (fault) => {
    const { medium } = await world(first(99, 'GET', fault));
    await expect(medium.get('root/1')).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining('after 3 attempts') });
    await expect(medium.list('root/')).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining('LIST of root/') });
    await expect(medium.listFolders('')).rejects.toMatchObject({ code: 'STORAGE' });
  });

  it('of a bucket that is not there is never "absent"', async () => {
    const { server } = await world(() => undefined);
    const medium = await S3Medium.open('s3://missing/store', { env: server.env });
    await expect(medium.get('root/1')).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining('NoSuchBucket') });
    await expect(medium.list('root/')).rejects.toMatchObject({ code: 'STORAGE' });
    await medium.close();
  });

  it('has a deadline', async () => {
    const server = await startFakeServer();
    const proxy = await startFaultProxy({ endpoint: server.endpoint, decide: () => undefined, latencyMs: () => 10_000 });
    const medium = await S3Medium.open(`s3://${FAKE_BUCKET}`, {
      env: server.env,
      endpoint: proxy.endpoint,
      requestTimeoutMs: 20,
      retryBudgetMs: 0,
    });
    await expect(medium.list('root/')).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining('no answer within') });
    await medium.close();
    void proxy.close();
    await server.close();
  });

  it('ends when its signal is aborted, also while it waits for the next attempt', async () => {
    const reason = new Error('enough');
    const stop = new AbortController();
    const { medium } = await world(
      (request) => {
        if (request.number === 3) stop.abort(reason);
        return 'unavailable';
      },
      { retryBudgetMs: 60_000 },
    );
    await expect(medium.list('root/', { signal: stop.signal })).rejects.toBe(reason);
  });

  it('brings a large object in pieces', async () => {
    const { medium, other } = await world(() => undefined);
    const large = Buffer.alloc(20_000_001, 'a large object, ');
    await other.putIfAbsent('large', large);
    expect((await medium.get('large'))?.equals(large)).toBe(true);
    const part = await medium.get('large', { offset: 5, length: 12_345_678 });
    expect(part?.equals(large.subarray(5, 5 + 12_345_678))).toBe(true);
    expect(medium.counts.requests()).toEqual({ get: 3 + 2 });
  });
});

describe('requests in a bucket', () => {
  it('are as few as they can be', async () => {
    const { medium } = await world(() => undefined);
    await medium.putIfAbsent('a', bytes('a'));
    await medium.nowMs();
    await medium.get('a');
    await medium.list('x/');
    await medium.delete(Array.from({ length: 1500 }, (_, i) => `x/${i}`));
    await medium.delete(['a']);
    expect(medium.counts.requests()).toEqual({ put: 1, head: 1, get: 1, list: 1, delete: 3 });
    expect(medium.counts.of('put')).toEqual({ requests: 1, bytesSent: 1, bytesReceived: 0 });
  });

  it('ask for encryption where that is wanted', async () => {
    const { medium, server } = await world(() => undefined, { encryption: 'aws:kms', kmsKeyId: 'key-1' });
    await medium.putIfAbsent('a', bytes('a'));
    expect(server.headers[0]).toMatchObject({
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
    });
  });

  it('that are refused say why, and show no secret', async () => {
    const { server } = await world(() => undefined);
    const secret = 'not-the-secret-key';
    const medium = await S3Medium.open(`s3://${FAKE_BUCKET}`, { env: { ...server.env, AWS_SECRET_ACCESS_KEY: secret } });
    const failure: unknown = await medium.get('a').catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'ACCESS_DENIED', message: expect.stringContaining('SignatureDoesNotMatch') });
    expect(`${String(failure)}${JSON.stringify(failure)}${(failure as Error).stack}`).not.toContain(secret);
    await medium.close();
  });

  it('never write through a medium that was opened for reading', async () => {
    const { medium, server } = await world(() => undefined, { readOnly: true });
    await expect(medium.putIfAbsent('a', bytes('a'))).rejects.toMatchObject({ code: 'READ_ONLY' });
    await expect(medium.delete(['a'])).rejects.toMatchObject({ code: 'READ_ONLY' });
    expect(server.requests).toEqual([]);
  });
});
