/** The command line on a store in a bucket, as users have it: credentials from the environment, a profile or a process. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
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
