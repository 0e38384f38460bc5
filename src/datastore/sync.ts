/**
 * `store.sync()`: brings this machine's cache level with the newest roots.
 *
 * Of each namespace the newest root is read, as any reader does, and of the tables that it names those are fetched that lie in scope and are not, or
 * not wholly, on this machine. What a compactor replaces meanwhile is the next call's to fetch. A table that fails, or a root, does not keep the others from
 * being fetched.
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import { type Key, prefixEnd, show, toBound } from '../base/key.ts';
import type { System } from '../base/system.ts';
import { checkNamespaceName, type NamespaceLayout, namespaceLayout } from '../format/layout.ts';
import type { TableRef } from '../format/root.ts';
import { newestRoot } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import type { Bucket } from '../medium/s3/bucket.ts';
import type { TableCache } from '../medium/s3/table-cache.ts';
import { runAsync } from '../medium/steps.ts';

export interface SyncOptions {
  /** Only this namespace. Default: all. */
  readonly namespace?: string;
  /** Only tables that may have keys that begin with this. Default: all. */
  readonly prefix?: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: SyncProgress) => void;
}

export interface SyncProgress {
  readonly tables: number;
  readonly tablesDone: number;
  readonly bytes: number;
  readonly bytesDone: number;
}

export interface SyncReport {
  /** Why there is nothing to do, if so: the store is not in a bucket, or this machine caches none of it. */
  readonly nothingToDo?: 'no-bucket' | 'no-cache';
  readonly namespaces: readonly string[];
  /** In scope, and the bytes that they have. */
  readonly tables: number;
  readonly tableBytes: number;
  /** Of which at least a part had to be fetched. */
  readonly tablesFetched: number;
  /** Of the pieces that the cache keeps, whose edges are not the tables'. */
  readonly bytesFetched: number;
  readonly bytesThere: number;
  /** All that this store has made meanwhile, those for the roots included. */
  readonly requests: number;
  readonly cache?: { readonly directory: string; readonly bytesMax: number };
}

interface SyncContext {
  readonly medium: Medium;
  readonly system: System;
  readonly bucket: Bucket | undefined;
  readonly namespaces: () => Promise<string[]>;
}

/** One file, with those of its tables that are in scope. */
interface FileTask {
  readonly name: string;
  readonly tables: readonly TableRef[];
}

interface Failure {
  /** What could not be read. */
  readonly name: string;
  readonly error: Error;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

interface Counts {
  tablesFetched: number;
  bytesFetched: number;
  bytesThere: number;
}

const KNOWN: ReadonlySet<string> = new Set<keyof SyncOptions>(['namespace', 'prefix', 'signal', 'onProgress']);
const FILES_AT_ONCE = 6;

export async function syncStore(context: SyncContext, options: SyncOptions): Promise<SyncReport> {
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) throw new TypeError(`sync has no option ${show(name)}`);
  const only = options.namespace === undefined ? undefined : checkNamespaceName(options.namespace);
  const scope = scopeOf(options.prefix);
  const { bucket } = context;
  const cache = bucket?.cache;
  if (bucket === undefined || cache === undefined) {
    return {
      nothingToDo: bucket === undefined ? 'no-bucket' : 'no-cache',
      namespaces: [],
      tables: 0,
      tableBytes: 0,
      requests: 0,
      ...noCounts(),
    };
  }
  const requestsBefore = totalRequests(bucket);
  const namespaces: string[] = [];
  const tasks: FileTask[] = [];
  const failures: Failure[] = [];
  for (const name of only === undefined ? await context.namespaces() : [only]) {
    try {
      tasks.push(...(await tasksOf(name, { context, scope, signal: options.signal })));
      namespaces.push(name);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (only !== undefined) throw error;
      // It was dropped since it was listed.
      if (!isPeatError(error, 'NAMESPACE_NOT_FOUND')) failures.push({ name: `the newest root of ${name}`, error: asError(error) });
    }
  }
  const counts = await fetchAll(tasks, cache, { ...options, failures });
  const { directory, bytesMax } = cache.stats;
  const tables = tasks.flatMap((task) => task.tables);
  const requests = totalRequests(bucket) - requestsBefore;
  return { namespaces, tables: tables.length, tableBytes: bytesOf(tables), ...counts, requests, cache: { directory, bytesMax } };
}

function noCounts(): Counts {
  return { tablesFetched: 0, bytesFetched: 0, bytesThere: 0 };
}

function bytesOf(tables: readonly TableRef[]): number {
  return tables.reduce((bytes, { length }) => bytes + length, 0);
}

function totalRequests({ counts }: Bucket): number {
  return Object.values(counts.all()).reduce((sum, { requests }) => sum + requests, 0);
}

interface KeyScope {
  readonly from: Key;
  readonly to: Key | undefined;
}

function scopeOf(prefix: string | undefined): KeyScope {
  const from = prefix === undefined ? ('' as Key) : toBound(prefix, 'prefix');
  return { from, to: prefixEnd(from) };
}

async function tasksOf(
  name: string,
  { context, scope, signal }: { context: SyncContext; scope: KeyScope; signal: AbortSignal | undefined },
): Promise<FileTask[]> {
  const { medium, system } = context;
  const layout = namespaceLayout(name);
  const reading = await runAsync(newestRoot(layout, { medium, system }), { medium, system, signal });
  if (reading === undefined || reading.root.state !== 'live') {
    throw new PeatError('NAMESPACE_NOT_FOUND', `there is no namespace ${name}`, { namespace: name });
  }
  return byFile(
    layout,
    reading.root.shards.flatMap((shard) => shard.tables).filter((table) => isInScope(table, scope)),
  );
}

function isInScope({ first, last }: TableRef, { from, to }: KeyScope): boolean {
  return last >= from && (to === undefined || first < to);
}

function byFile(layout: NamespaceLayout, tables: readonly TableRef[]): FileTask[] {
  const files = new Map<string, TableRef[]>();
  for (const table of tables) {
    const known = files.get(table.file);
    if (known === undefined) files.set(table.file, [table]);
    else known.push(table);
  }
  return [...files].map(([file, ofFile]) => ({ name: layout.shard + file, tables: ofFile }));
}

/**
 * @param options.failures of what came before
 * @throws PeatError `STORAGE` that lists every failure, when all else is done; the reason of `signal`
 */
async function fetchAll(
  tasks: readonly FileTask[],
  cache: TableCache,
  { signal, onProgress, ...before }: SyncOptions & { failures: readonly Failure[] },
): Promise<Counts> {
  const counts = noCounts();
  const failures = [...before.failures];
  const all = tasks.flatMap((task) => task.tables);
  const total = { tables: all.length, bytes: bytesOf(all) };
  let tablesDone = 0;
  let bytesDone = 0;
  const queue = tasks.values();
  const work = async (): Promise<void> => {
    for (const { name, tables } of queue) {
      signal?.throwIfAborted();
      try {
        const filled = await cache.fill(name, tables);
        counts.tablesFetched += filled.isFetched.filter(Boolean).length;
        counts.bytesFetched += filled.bytesFetched;
        counts.bytesThere += filled.bytesThere;
        if (filled.isGone) throw new Error('it is gone from the bucket');
        if (filled.trouble !== undefined) throw new Error(`it can't be kept on this machine: ${filled.trouble}`);
      } catch (error) {
        failures.push({ name, error: asError(error) });
      }
      tablesDone += tables.length;
      bytesDone += bytesOf(tables);
      onProgress?.({ ...total, tablesDone, bytesDone });
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, work));
  signal?.throwIfAborted();
  if (failures.length === 0) return counts;
  const list = failures.map(({ name, error }) => `\n  ${name}: ${error.message}`).join('');
  throw new PeatError('STORAGE', `${failures.length} of ${tasks.length + before.failures.length} files could not be synced:${list}`, {
    cause: new AggregateError(failures.map(({ error }) => error)),
  });
}
