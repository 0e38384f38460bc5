/** A bucket for tests, and places in it: of the real server in the project `s3`, else of a strict one in memory. */
import { inject } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { openBucket as cachedBucket } from '../../../src/medium/s3/bucket.ts';
import { S3Medium, type S3MediumOptions } from '../../../src/medium/s3/s3-medium.ts';
import { temporaryDirectory } from '../temporary-directory.ts';
import { FAKE_BUCKET } from './fake-operations.ts';
import { type FakeServer, startFakeServer } from './fake-server.ts';
import type { RealServer } from './real-server.ts';

/** Undefined outside of the project `s3`. */
export const REAL_SERVER: RealServer | undefined = inject('realS3');

/** Why there is no real server, in the project `s3`. */
export const SKIPPED: string | undefined = REAL_SERVER?.skipped;

export const BUCKET_NAME: string =
  REAL_SERVER === undefined
    ? 'a bucket of a strict server in memory'
    : (REAL_SERVER.name ?? `a bucket of a real server (skipped: ${SKIPPED})`);

let fake: Promise<FakeServer> | undefined;
let places = 0;

/** How a process reaches a place in a bucket. */
export interface BucketPlace {
  readonly location: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A new, empty one. */
export async function newBucketPlace(): Promise<BucketPlace> {
  const prefix = `${process.pid}-${Date.now().toString(36)}-${++places}`;
  if (REAL_SERVER?.env !== undefined) return { location: `s3://${REAL_SERVER.env['PEAT_TEST_BUCKET']}/${prefix}`, env: REAL_SERVER.env };
  fake ??= startFakeServer();
  return { location: `s3://${FAKE_BUCKET}/${prefix}`, env: (await fake).env };
}

/** Opens handles on one new place; each has connections of its own, as another process has. */
export function openBucket(): (options?: S3MediumOptions) => Promise<S3Medium> {
  const place = newBucketPlace();
  return async (options) => {
    const { location, env } = await place;
    return await S3Medium.open(location, { env, ...options });
  };
}

/** The same behind a cache of tables, which all handles on the place share, as processes of one machine do. */
export function openCachedBucket(): (options?: S3MediumOptions) => Promise<Medium> {
  const open = openBucket();
  const settings = { directory: temporaryDirectory(), bytesMax: 64 * 1024 * 1024 };
  return async (options) => cachedBucket(await open(options), { settings, storeId: 'the store of a test', system: nodeSystem }).medium;
}
