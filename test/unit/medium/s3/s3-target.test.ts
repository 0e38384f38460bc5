/** Where a location leads, and what is refused. */
import { describe, expect, it } from 'vitest';
import { type Environment, resolveTarget, type S3Options } from '../../../../src/medium/s3/s3-target.ts';

async function resolved(location: string, env: Environment = {}, options: S3Options = {}): Promise<string> {
  const { origin, basePath, region, prefix } = await resolveTarget(location, { options, env, profileRegion: async () => undefined });
  return `${origin.origin} ${basePath || '/'} ${region} ${prefix}`;
}

describe('a location in a bucket', () => {
  it('is on AWS in the region that is said', async () => {
    expect(await resolved('s3://bucket/a/b', { AWS_REGION: 'eu-west-1' })).toBe(
      'https://bucket.s3.eu-west-1.amazonaws.com / eu-west-1 a/b/',
    );
    expect(await resolved('s3://bucket', { AWS_DEFAULT_REGION: 'cn-north-1' })).toBe(
      'https://bucket.s3.cn-north-1.amazonaws.com.cn / cn-north-1 ',
    );
    expect(await resolved('s3://my.bucket/x/', {}, { region: 'us-east-2' })).toBe(
      'https://s3.us-east-2.amazonaws.com /my.bucket us-east-2 x/',
    );
  });

  it('is where the endpoint says, the special one before the general one, with the bucket in the path', async () => {
    const env = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:2' };
    expect(await resolved('s3://bucket/p', env)).toBe('http://127.0.0.1:2 /bucket us-east-1 p/');
    expect(await resolved('s3://bucket/p', { AWS_ENDPOINT_URL: 'http://127.0.0.1:1/base/', AWS_ENDPOINT_URL_S3: '' })).toBe(
      'http://127.0.0.1:1 /base/bucket us-east-1 p/',
    );
    expect(await resolved('s3://bucket/p', env, { endpoint: 'http://localhost:3', pathStyle: false })).toBe(
      'http://bucket.localhost:3 / us-east-1 p/',
    );
  });

  it('takes the region of the profile where nothing else says one', async () => {
    const asked = resolveTarget('s3://bucket', { options: {}, env: {}, profileRegion: async () => 'eu-north-1' });
    expect((await asked).region).toBe('eu-north-1');
    await expect(resolved('s3://bucket')).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining('AWS_REGION') });
  });

  it.each([
    's3://',
    's3:///prefix',
    's3://b',
    's3://bucket//a',
    's3://bucket/a//b',
    's3://bucket/../a',
    's3://bucket/a b',
    's3://bucket/ä',
    's3://bucket/a&b',
  ])('is refused: %s', async (location) => {
    await expect(resolved(location, { AWS_REGION: 'us-east-1' })).rejects.toThrow(RangeError);
  });

  it('shows no secret that was put where it does not belong', async () => {
    const secret = 'hush';
    for (const [location, endpoint] of [
      [`s3://key:${secret}@bucket/a`, 'http://127.0.0.1:1'],
      ['s3://bucket/a', `http://key:${secret}@127.0.0.1:1`],
      ['s3://bucket/a', `no url: ${secret}`],
    ] as const) {
      const failure: unknown = await resolved(location, { AWS_ENDPOINT_URL_S3: endpoint }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(RangeError);
      expect(String(failure)).not.toContain(secret);
    }
  });
});
