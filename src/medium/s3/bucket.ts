/** What an open store in a bucket consists of: the medium, with the cache of its tables, and what has been counted. */
import type { System } from '../../base/system.ts';
import type { Medium } from '../medium.ts';
import type { CacheSettings } from './cache-settings.ts';
import { CachedMedium } from './cached-medium.ts';
import { PieceStore } from './piece-store.ts';
import type { RequestCount, RequestCounts, RequestKind } from './request-counts.ts';
import { type CostEstimate, estimateCost } from './request-price.ts';
import type { S3Medium } from './s3-medium.ts';
import { CACHE_PIECE_BYTES, TableCache, type TableCacheStats } from './table-cache.ts';

/** What a store in a bucket has moved since it was opened. */
export interface BucketStats {
  /** Every attempt counts. */
  readonly requests: Readonly<Record<RequestKind, RequestCount>>;
  /** Attempts beyond the first of their request; they are counted in `requests`, too. */
  readonly retries: number;
  readonly cost: CostEstimate;
  /** Undefined if there is none. */
  readonly cache?: TableCacheStats;
}

export interface Bucket {
  /** For who reads and writes. */
  readonly medium: Medium;
  /** For compactions: they read tables once, to replace them. What they make of them rests on the bucket alone. */
  readonly mergeMedium: Medium;
  readonly counts: RequestCounts;
  readonly cache: TableCache | undefined;
}

/** @param settings undefined: without a cache */
export function openBucket(
  medium: S3Medium,
  { settings, storeId, system }: { settings: CacheSettings | undefined; storeId: string; system: System },
): Bucket {
  const { counts } = medium;
  const plain = { medium, mergeMedium: medium, counts, cache: undefined };
  if (settings === undefined) return plain;
  // The description says bucket, prefix and server. A store that was made anew at the same place has another id.
  const scope = `${storeId} ${medium.description}`;
  const pieces = new PieceStore({ settings, system, scope, pieceBytes: CACHE_PIECE_BYTES });
  const cache = new TableCache(pieces, (name, range) => medium.get(name, range));
  return { ...plain, medium: new CachedMedium(medium, cache), cache };
}

export function bucketStats({ counts, cache }: Bucket): BucketStats {
  const { retries } = counts;
  return { requests: counts.all(), retries, cost: estimateCost(counts), ...(cache === undefined ? {} : { cache: cache.stats }) };
}
