/** A new place in a bucket, which processes reach through a proxy that plays faults by chance. */
import { onTestFinished } from 'vitest';
import { S3Medium } from '../../../src/medium/s3/s3-medium.ts';
import { testSeed } from '../child.ts';
import { randomFrom } from '../random.mjs';
import { type BucketPlace, newBucketPlace } from './buckets.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';

export interface BadNetwork {
  readonly location: string;
  /** How processes reach the bucket through the proxy. */
  readonly env: Readonly<Record<string, string>>;
  readonly proxy: FaultProxy;
  /** Past the proxy. */
  readonly medium: S3Medium;
}

/** A place in the bucket, behind a proxy that plays each fault with its chance. */
export async function badNetwork(
  chances: Readonly<Partial<Record<Fault, number>>>,
  place: BucketPlace | Promise<BucketPlace> = newBucketPlace(),
): Promise<BadNetwork> {
  const { location, env } = await place;
  const random = randomFrom(testSeed());
  const proxy = await startFaultProxy({
    endpoint: env['AWS_ENDPOINT_URL_S3'] as string,
    decide: () => {
      let left = random();
      for (const [fault, chance] of Object.entries(chances) as [Fault, number][]) {
        left -= chance;
        if (left < 0) return fault;
      }
      return undefined;
    },
    latencyMs: () => (random() < 0.1 ? random() * 20 : 0),
    lateMs: () => random() * 300,
  });
  const medium = await S3Medium.open(location, { env });
  onTestFinished(async () => {
    await medium.close();
    await proxy.close();
  });
  return { location, env: { ...env, AWS_ENDPOINT_URL_S3: proxy.endpoint }, proxy, medium };
}
