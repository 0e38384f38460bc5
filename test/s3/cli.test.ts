/** The command line on a store in a bucket, as users have it: credentials from the environment, a profile or a process. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { S3Medium } from '../../src/medium/s3/s3-medium.ts';
import { type Ran, runPeat } from '../support/run-peat.ts';
import { newBucketPlace } from '../support/s3/buckets.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Nothing of the machine's own settings. */
const NEUTRAL = { AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' };

async function ok(ran: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await ran;
  expect(code, stderr).toBe(0);
  return stdout;
}

describe('peat in a bucket', () => {
  it('creates, writes, reads, updates, locks, compacts, verifies, inspects and copies a store', async () => {
    const { location, env } = await newBucketPlace();
    const peat = (...args: string[]): Promise<string> => ok(runPeat(args, { env: { ...NEUTRAL, ...env } }));
    expect(await peat('init', location)).toContain('segments framed');
    await peat('put', location, 'run/1', '{"state":"done"}');
    await peat('put', location, 'run/2', '2');
    expect(await peat('get', location, 'run/1')).toContain('done');
    await peat('update', location, 'hits', '--add', '2');
    await peat('update', location, 'hits', '--add', '3');
    expect((await peat('get', location, 'hits')).trim()).toBe('5');
    expect(await peat('lock', 'run', location, 'nightly', '--', process.execPath, '-e', 'console.log(1 + 1)')).toContain('2');
    expect(await peat('lock', 'list', location)).toBeDefined();
    await peat('compact', location);
    await peat('delete', location, 'run/2');
    expect(await peat('list', location, '--prefix', 'run/', '--json')).toMatch(/^\{"key":"run\/1".*\}\n$/);
    expect(await peat('stats', location)).toBeDefined();
    expect(await peat('verify', location)).toContain('clean');
    expect(await peat('repair', location)).toContain('nothing to repair');
    const directory = join(temporaryDirectory(), 'copy');
    expect(await peat('backup', location, directory)).toContain('verified');
    expect(await peat('backup', directory, `${location}/back`)).toContain('verified');
    for (const copy of [directory, `${location}/back`]) expect((await peat('get', copy, 'hits')).trim()).toBe('5');
  });

  it('brings a cache level with the store, reads from it, and says what was asked of the bucket', async () => {
    const { location, env } = await newBucketPlace();
    const cache = join(temporaryDirectory(), 'cache');
    const here = { ...NEUTRAL, ...env, PEAT_CACHE_BYTES: String(64 * 1024 * 1024), PEAT_CACHE_DIR: cache };
    const peat = (...args: string[]): Promise<string> => ok(runPeat(args, { env: here }));
    const bucketOf = async (): Promise<unknown> => {
      const lines = (await peat('stats', location, '--json')).trim().split('\n');
      return (JSON.parse(lines.at(-1) as string) as { bucket: unknown }).bucket;
    };
    const entries = Array.from({ length: 500 }, (_, i) => JSON.stringify({ key: `run/${i}`, value: 'x'.repeat(i) })).join('\n');
    await peat('init', location);
    await ok(runPeat(['import', location, '-n', 'runs'], { env: here, stdin: entries }));
    await peat('put', location, '-n', 'jobs', 'a', '1');
    await peat('compact', location);
    expect(JSON.parse(await peat('sync', location, '-n', 'jobs', '--json'))).toMatchObject({
      namespaces: ['jobs'],
      tables: 1,
      tablesFetched: 1,
    });
    expect(await peat('sync', location)).toMatch(
      /^2 namespaces, \d+ tables: fetched \d+ of them, [1-9]\d* bytes, with \d+ requests in all; [1-9]/,
    );
    expect(JSON.parse(await peat('sync', location, '--prefix', 'run/', '--json'))).toMatchObject({
      tablesFetched: 0,
      bytesFetched: 0,
      cache: { directory: cache },
    });
    expect((await peat('list', location, '-n', 'runs')).trim().split('\n')).toHaveLength(500);
    expect(await bucketOf()).toMatchObject({
      requests: { put: { requests: 0 }, get: { requests: expect.any(Number) }, list: { requests: expect.any(Number) } },
      cost: { isEstimate: true, dollars: expect.any(Number) },
      cache: { directory: cache, bytesMax: 64 * 1024 * 1024 },
    });
    const text = await peat('stats', location);
    expect(text).toMatch(/^requests of this command: PUT 0, GET \d+, HEAD \d+, LIST \d+, DELETE 0; 0 of them retries/m);
    expect(text).toMatch(/^estimated at \$0\.0\d+ \(AWS S3 Standard, us-east-1/m);
    expect(text).not.toContain(env['AWS_SECRET_ACCESS_KEY']);
    // Without one there is nothing to bring level.
    const off = { env: { ...here, PEAT_CACHE_BYTES: 'off' } };
    expect(await ok(runPeat(['sync', location], off))).toMatch(/^nothing to do: this machine caches nothing/);
    expect(await ok(runPeat(['stats', location], off))).toMatch(/^cache: none/m);
    const wrong = await runPeat(['get', location, 'a'], { env: { ...here, PEAT_CACHE_BYTES: '1GB' } });
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('"1GB"') });
  });

  it('goes on with a sync where tables fail, and names them', async () => {
    const { location, env } = await newBucketPlace();
    const here = { ...NEUTRAL, ...env, PEAT_CACHE_BYTES: String(64 * 1024 * 1024), PEAT_CACHE_DIR: temporaryDirectory() };
    const peat = (...args: string[]): Promise<string> => ok(runPeat(args, { env: here }));
    await peat('init', location);
    for (const namespace of ['one', 'three', 'two']) await peat('put', location, '-n', namespace, 'a', '1');
    await peat('compact', location);
    const medium = await S3Medium.open(location, { env });
    const files = [...(await medium.list('ns/one/shard/')), ...(await medium.list('ns/two/shard/'))].map(({ name }) => name);
    await medium.delete(files);
    await medium.close();
    const { code, stdout, stderr } = await runPeat(['sync', location], { env: here });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(files).toHaveLength(2);
    for (const name of files) expect(stderr).toContain(name);
    expect(JSON.parse(await peat('sync', location, '-n', 'three', '--json'))).toMatchObject({ tables: 1, tablesFetched: 0 });
  });

  it('takes credentials and region from a profile, and from a process that a profile names', async () => {
    const { location, env } = await newBucketPlace();
    const { AWS_ACCESS_KEY_ID: id = '', AWS_SECRET_ACCESS_KEY: secret = '', AWS_ENDPOINT_URL_S3: endpoint = '' } = env;
    const directory = temporaryDirectory();
    const credentials = join(directory, 'credentials');
    writeFileSync(credentials, `[work]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`);
    const helper = join(directory, 'helper.sh');
    const said = JSON.stringify({ Version: 1, AccessKeyId: id, SecretAccessKey: secret, Expiration: '2099-01-01T00:00:00Z' });
    writeFileSync(helper, `#!/bin/sh\necho '${said}'\n`);
    chmodSync(helper, 0o700);
    const config = join(directory, 'config');
    writeFileSync(config, `[profile helped]\ncredential_process = ${helper}\nregion = us-east-1\n`);
    const files = { ...NEUTRAL, AWS_SHARED_CREDENTIALS_FILE: credentials, AWS_CONFIG_FILE: config, AWS_ENDPOINT_URL_S3: endpoint };
    await ok(runPeat(['init', location], { env: { ...files, AWS_PROFILE: 'work' } }));
    await ok(runPeat(['put', location, 'a', '1'], { env: { ...files, AWS_PROFILE: 'helped' } }));
    expect((await ok(runPeat(['get', location, 'a'], { env: { ...files, AWS_PROFILE: 'work' } }))).trim()).toBe('1');
  });

  it('says what is missing, and shows no secret', async () => {
    const { location, env } = await newBucketPlace();
    const { AWS_ENDPOINT_URL_S3: endpoint = '', AWS_SECRET_ACCESS_KEY: secret = '' } = env;
    const nobody = { ...NEUTRAL, AWS_ENDPOINT_URL_S3: endpoint };
    expect(await runPeat(['get', location, 'a'], { env: nobody })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no credentials for S3'),
    });
    const stranger = await runPeat(['get', location, 'a'], { env: { ...nobody, ...env, AWS_ACCESS_KEY_ID: 'stranger' } });
    expect(stranger).toMatchObject({ code: 1, stderr: expect.stringMatching(/40[13]/) });
    expect(stranger.stderr).not.toContain(secret);
    expect(await runPeat(['get', `${location}/nothing`, 'a'], { env: { ...NEUTRAL, ...env } })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('peat init s3://'),
    });
    expect(await runPeat(['get', 's3://peat-no-such-bucket/x', 'a'], { env: { ...NEUTRAL, ...env } })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('NoSuchBucket'),
    });
    expect(await runPeat(['get', 's3://bucket/a b', 'a'], { env: { ...NEUTRAL, ...env } })).toMatchObject({ code: 2 });
  });
});
