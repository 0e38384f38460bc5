/**
 * peatlog: an embedded append-log datastore that many processes share, with a background compactor.
 * `docs/api.md` describes what is exported here.
 */
export type { CompactionSummary, CompactorEvent, PassFacts, RunCompactorOptions } from '../compactor/index.ts';
export { isPeatError, PeatError, type PeatErrorCode } from './base/errors.ts';
export { nodeSystem, type System } from './base/system.ts';
export type { DeleteOperation, ExpiryOptions, Operation, PutOperation } from './datastore/batch.ts';
export { Namespace, type WriteOptions } from './datastore/namespace.ts';
export { open } from './datastore/open.ts';
export type { NamespaceOptions, OpenOptions, Warning } from './datastore/options.ts';
export type { RecentScanOptions, ScanOptions } from './datastore/scan-options.ts';
export { Snapshot } from './datastore/snapshot.ts';
export type { NamespaceStats } from './datastore/stats.ts';
export { type CompactOptions, Store, type StoreStats } from './datastore/store.ts';
export type { SyncOptions, SyncProgress, SyncReport } from './datastore/sync.ts';
export {
  type Condition,
  DELETE,
  type Delete,
  type PutIfResult,
  type StampedEntry,
  type UpdateCall,
  type Updated,
  type UpdateManyResult,
  type UpdateOptions,
  type UpdateResult,
} from './datastore/update.ts';
export type { ScanEntry } from './datastore/values.ts';
export type { WatchEvent, WatchOptions } from './datastore/watch.ts';
export type { StoreConstants, StoreFile } from './format/store-file.ts';
export type { BrokenLock, LockInfo, LockReference } from './lock/lock-list.ts';
export type { LockMode } from './lock/lock-sites.ts';
export type { TicketStatus } from './lock/lock-status.ts';
export type { NamedLock, NamedLockOptions, StructuralLockOptions } from './lock/named-lock.ts';
export type { AppendFile, BlockingMedium, ByteRange, ListedObject, ListOptions, Medium, PutOptions, Watermark } from './medium/medium.ts';
export { MemoryMedium, type MemoryMediumOptions } from './medium/memory-medium.ts';
export type { BucketStats } from './medium/s3/bucket.ts';
export type { CacheOptions } from './medium/s3/cache-settings.ts';
export type { RequestCount, RequestKind } from './medium/s3/request-counts.ts';
export type { CostEstimate } from './medium/s3/request-price.ts';
export type { S3Options } from './medium/s3/s3-target.ts';
export type { TableCacheStats } from './medium/s3/table-cache.ts';
export type { ReadOptions, RecentReadOptions } from './read/namespace-reader.ts';
export type { AppendToken, Durability } from './write/namespace-writer.ts';
