/**
 * Where a store in a bucket is: what a location `s3://bucket/prefix`, the options and the `AWS_*` environment say together.
 *
 * | what | from, the first that says |
 * |---|---|
 * | endpoint | option, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, else AWS itself in the region |
 * | region | option, `AWS_REGION`, `AWS_DEFAULT_REGION`; `us-east-1` where the endpoint is not AWS; else the profile's |
 * | path style | option, else where the endpoint is not AWS or the bucket's name has a dot (no certificate covers it) |
 */
import { PeatError } from '../../base/errors.ts';
import { show } from '../../base/key.ts';
import type { CacheOptions } from './cache-settings.ts';

/** Options of a store in a bucket; each has a default from the environment or here. None of them holds a secret. */
export interface S3Options {
  /** URL of the server. Default: the environment's, else AWS. */
  readonly endpoint?: string;
  /** Default: the environment's. */
  readonly region?: string;
  /** The bucket in the path instead of the host's name. Default: where the endpoint is not AWS. */
  readonly pathStyle?: boolean;
  /** How long one attempt at a request may take, ms, beside the time that its bytes take at 128 KiB/s. Default 15,000. */
  readonly requestTimeoutMs?: number;
  /** How long a request that fails is tried again, ms; three attempts are made however long they take. Default 60,000. */
  readonly retryBudgetMs?: number;
  /** Asks the server to encrypt each object. Default: what the bucket is set to. */
  readonly encryption?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  /** With `aws:kms`: the key's id. Default: the account's key for S3. */
  readonly kmsKeyId?: string;
  /** Where tables are cached on this machine, and how much of them; false: nowhere. Default: as `PEAT_CACHE_DIR` and `PEAT_CACHE_BYTES` say. */
  readonly cache?: false | CacheOptions;
}

export interface S3Target {
  /** Protocol, host and port, with the bucket in the host's name unless it stands in the path. */
  readonly origin: URL;
  /** `/bucket` or nothing. */
  readonly basePath: string;
  readonly region: string;
  readonly bucket: string;
  /** What all keys start with: empty, or ends in "/". */
  readonly prefix: string;
  readonly description: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const LOCATION = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9])(?:\/(.*))?$/s;
/** No character that needs escaping in a listing; so whatever is listed can be taken as it stands. */
const PREFIX = /^[\w.!*'()=@:,+-]+(?:\/[\w.!*'()=@:,+-]+)*$/;
/** A key has at most 1,024 bytes, and the longest name in a store about half of that. */
const PREFIX_LENGTH_MAX = 400;
const AWS_HOST = /(^|\.)amazonaws\.com(\.cn)?$/;

/** @throws RangeError that shows what is wrong; PeatError `STORAGE` if no region is known */
export async function resolveTarget(
  location: string,
  { options, env, profileRegion }: { options: S3Options; env: Environment; profileRegion: () => Promise<string | undefined> },
): Promise<S3Target> {
  const { bucket, prefix } = parseLocation(location);
  const endpointText = options.endpoint ?? said(env, 'AWS_ENDPOINT_URL_S3') ?? said(env, 'AWS_ENDPOINT_URL');
  const endpoint = endpointText === undefined ? undefined : parseEndpoint(endpointText);
  const isAws = endpoint === undefined || AWS_HOST.test(endpoint.hostname);
  const saidRegion = options.region ?? said(env, 'AWS_REGION') ?? said(env, 'AWS_DEFAULT_REGION');
  const region = saidRegion ?? (isAws ? await profileRegion() : undefined);
  if (region === undefined && isAws) {
    throw new PeatError(
      'STORAGE',
      `the region of bucket ${bucket} is not known: set AWS_REGION, or AWS_ENDPOINT_URL_S3 if it is not on AWS`,
    );
  }
  const origin = endpoint ?? new URL(awsOrigin(region as string));
  const pathStyle = options.pathStyle ?? (!isAws || bucket.includes('.'));
  const basePath = origin.pathname.replace(/\/+$/, '') + (pathStyle ? `/${bucket}` : '');
  if (!pathStyle) origin.hostname = `${bucket}.${origin.hostname}`;
  const where = `s3://${bucket}/${prefix}`.replace(/\/$/, '');
  const description = `S3 ${where} (${isAws && endpoint === undefined ? `AWS ${region}` : origin.origin})`;
  return { origin, basePath, region: region ?? 'us-east-1', bucket, prefix, description };
}

function said(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function awsOrigin(region: string): string {
  if (!/^[a-z0-9-]+$/.test(region)) throw new RangeError(`a region is lower-case letters, digits and dashes, got ${show(region)}`);
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

function parseLocation(location: string): { bucket: string; prefix: string } {
  // A part before "@" may be a secret that someone meant to pass on: such a location is never shown.
  if (/^s3:\/\/[^/]*@/i.test(location)) throw new RangeError('a location names a bucket; credentials go into the environment or a profile');
  const match = LOCATION.exec(location.replace(/^s3/i, 's3'));
  if (match === null) throw new RangeError(`a location in a bucket is s3://bucket/prefix, got ${show(location)}`);
  const text = (match[2] ?? '').replace(/\/$/, '');
  if (text === '') return { bucket: match[1] as string, prefix: '' };
  if (!PREFIX.test(text) || text.split('/').some((part) => part === '.' || part === '..')) {
    throw new RangeError(
      `a prefix in a bucket is letters, digits and any of _ . ! * ' ( ) = @ : , + - between single slashes, got ${show(text)}`,
    );
  }
  if (text.length > PREFIX_LENGTH_MAX)
    throw new RangeError(`a prefix in a bucket has at most ${PREFIX_LENGTH_MAX} characters, got ${text.length}`);
  return { bucket: match[1] as string, prefix: `${text}/` };
}

function parseEndpoint(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new RangeError('the endpoint of an S3 server is a URL as http://127.0.0.1:9000; the one that was given is none');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RangeError(`an endpoint is http:// or https://, got ${show(url.protocol)}`);
  if (url.username !== '' || url.password !== '')
    throw new RangeError('an endpoint holds no credentials; they go into the environment or a profile');
  if (url.search !== '' || url.hash !== '') throw new RangeError('an endpoint holds no query');
  return url;
}
