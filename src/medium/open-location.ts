/** A location as users write it becomes a medium. What a bucket needs is loaded only for one. */
import { show } from '../base/key.ts';
import { FileMedium, type FileMediumOptions } from './file-medium.ts';
import type { Medium } from './medium.ts';
import type { S3Options } from './s3/s3-target.ts';

export interface LocationOptions extends FileMediumOptions {
  readonly s3?: S3Options | undefined;
}

export function isBucketLocation(location: string): boolean {
  return /^s3:\/\//i.test(location);
}

/**
 * Opens a directory, or `s3://bucket/prefix`.
 *
 * @throws TypeError, RangeError for what is neither, or options that don't fit; and what `FileMedium.open` and `S3Medium.open` throw
 */
export async function openLocation(location: unknown, options: LocationOptions = {}): Promise<Medium> {
  if (typeof location !== 'string' || location === '') {
    throw new TypeError(`a location must be a directory's path or s3://bucket/prefix, got ${show(location)}`);
  }
  const { s3, ...files } = options;
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    if (s3 !== undefined) throw new RangeError(`the option s3 goes with a location s3://bucket/prefix, got ${show(location)}`);
    return FileMedium.open(location, files);
  }
  if (scheme !== 's3') {
    throw new RangeError(`a location must be a directory's path or s3://bucket/prefix; ${scheme}:// is not supported`);
  }
  for (const name of ['fileMode', 'directoryMode', 'group'] as const) {
    if (files[name] !== undefined) throw new RangeError(`${name} goes with a directory; who may use a bucket is for its policy to say`);
  }
  if (files.canAppend === true) throw new RangeError('segments that are appended need a file system; in a bucket they are framed');
  const { S3Medium } = await import('./s3/s3-medium.ts');
  return await S3Medium.open(location, { ...s3, system: files.system, readOnly: files.readOnly });
}
