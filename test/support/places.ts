/**
 * Where contract tests run: every kind of medium; in the project `s3`, a bucket of a real server alone. Each handle that `open` gives stands
 * for a process of its own on the same store.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryMedium, nodeSystem, type OpenOptions, open, type Store } from '../../src/index.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { BUCKET_NAME, openBucket, openCachedBucket, REAL_SERVER, SKIPPED } from './s3/buckets.ts';

export { SKIPPED };

export interface Place {
  readonly name: string;
  /** Whether a handle there can write without waiting for a promise. */
  readonly isBlocking: boolean;
  make(): { open: (options?: OpenOptions) => Promise<Store>; remove: () => Promise<void> };
}

function memory(canAppend: boolean, blocking: boolean): Place {
  return {
    name: `memory ${canAppend ? 'with' : 'without'} append${blocking ? '' : ', not blocking'}`,
    isBlocking: blocking,
    make: () => {
      const medium = new MemoryMedium({ system: nodeSystem, canAppend, blocking });
      return { open: (options) => open(medium, options), remove: async () => undefined };
    },
  };
}

function files(segments: 'appended' | 'framed'): Place {
  return {
    name: `files, ${segments}`,
    isBlocking: true,
    make: () => {
      const directory = mkdtempSync(join(tmpdir(), 'peat-test-'));
      return {
        open: (options) => open(directory, { segments, ...options }),
        remove: async () => rmSync(directory, { recursive: true, force: true }),
      };
    },
  };
}

function bucket({ isCached }: { isCached: boolean }): Place {
  return {
    name: isCached ? `a cache before ${BUCKET_NAME}` : BUCKET_NAME,
    isBlocking: false,
    make: () => {
      const openHere = isCached ? openCachedBucket() : openBucket();
      const media: Promise<Medium>[] = [];
      return {
        open: async (options) => {
          const medium = openHere({ readOnly: options?.readOnly });
          media.push(medium);
          return await open(await medium, options);
        },
        remove: async () => {
          for (const medium of media) await (await medium).close();
        },
      };
    },
  };
}

const LOCAL_PLACES: readonly Place[] = [
  memory(true, true),
  memory(false, true),
  memory(true, false),
  memory(false, false),
  files('appended'),
  files('framed'),
];

const BUCKETS: readonly Place[] = [bucket({ isCached: false }), bucket({ isCached: true })];

export const PLACES: readonly Place[] = REAL_SERVER === undefined ? [...LOCAL_PLACES, ...BUCKETS] : BUCKETS;
