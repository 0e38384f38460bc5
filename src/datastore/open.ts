/** Opening a store, or creating it. */
import { resolve } from 'node:path';
import { PeatError } from '../base/errors.ts';
import { nodeSystem, randomId, type System } from '../base/system.ts';
import { checkWriterFeatures } from '../format/features.ts';
import { STORE_FILE } from '../format/layout.ts';
import { DEFAULT_CONSTANTS, decodeStoreFile, newStoreFile, type StoreFile } from '../format/store-file.ts';
import type { LockTracer } from '../lock/lock-tracer.ts';
import { FileMedium } from '../medium/file-medium.ts';
import type { Medium } from '../medium/medium.ts';
import { isBucketLocation, type LocationOptions, openLocation } from '../medium/open-location.ts';
import type { Bucket } from '../medium/s3/bucket.ts';
import type { CacheSettings } from '../medium/s3/cache-settings.ts';
import { type OpenOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { Store } from './store.ts';

/**
 * Opens the store at `location`, a directory or `s3://bucket/prefix` (or a medium of your own).
 *
 * A store that is there is opened without writing to it; one that is not is created, unless `create: false` or `readOnly`.
 *
 * @throws PeatError `STORE_NOT_FOUND`, `UNSUPPORTED_VERSION`, `MEDIUM_UNSUITABLE`, `ACCESS_DENIED`, `CORRUPT`, `STORAGE`
 * @example
 * await using store = await open('/data/index');
 * const runs = store.namespace<Run>('runs');
 * await runs.put('run/42', { state: 'done' });
 */
export async function open(location: string | Medium, options: OpenOptions = {}): Promise<Store> {
  const resolved = resolveOptions(options);
  const { system, tracer } = await withTracer(options.system ?? nodeSystem, resolved);
  const cache = await bucketCache(location, options);
  const medium = isMedium(location)
    ? location
    : await openLocation(location, locationOptions({ create: resolved.create, options, system }));
  try {
    const file = await readStoreFile(medium);
    const context = { location, medium, options, system, tracer, cache };
    if (file !== undefined) return await openExisting(file, context);
    if (!resolved.create) throw new PeatError('STORE_NOT_FOUND', `there is no store at ${describe(location)}`);
    refuseAppend(medium, medium.canAppend);
    const created = await createStore(medium, { options, system });
    return await openExisting(created, context);
  } catch (error) {
    if (typeof location === 'string') await medium.close();
    throw error;
  }
}

/** Where locks are traced, the engine runs on a system that marks its timers as its own. */
async function withTracer(system: System, options: ResolvedOptions): Promise<{ system: System; tracer: LockTracer | undefined }> {
  const directory = options.lockTrace ?? process.env['PEAT_LOCK_TRACE'] ?? '';
  if (directory === '') return { system, tracer: undefined };
  const { openLockTracer } = await import('../lock/lock-trace.ts');
  return openLockTracer({
    directory,
    system,
    onWarning: (message, cause) => options.onWarning({ code: 'lock-trace', namespace: '', message, cause }),
  });
}

function describe(location: string | Medium): string {
  return typeof location === 'string' ? location : location.description;
}

function isMedium(location: string | Medium): location is Medium {
  return typeof location === 'object' && location !== null;
}

function locationOptions({ create, options, system }: { create: boolean; options: OpenOptions; system: System }): LocationOptions {
  const { fileMode, directoryMode, group, readOnly, segments, s3 } = options;
  return {
    system,
    create,
    readOnly,
    fileMode,
    directoryMode,
    group,
    s3,
    ...(segments === undefined ? {} : { canAppend: segments === 'appended' }),
  };
}

async function readStoreFile(medium: Medium): Promise<StoreFile | undefined> {
  const bytes = await medium.get(STORE_FILE);
  return bytes === undefined ? undefined : decodeStoreFile(bytes);
}

interface OpenContext {
  readonly location: string | Medium;
  readonly medium: Medium;
  readonly options: OpenOptions;
  readonly system: System;
  readonly tracer: LockTracer | undefined;
  /** Where tables of a bucket are cached. */
  readonly cache: CacheSettings | undefined;
}

/** Checked before anything is sent. @throws TypeError, RangeError */
async function bucketCache(location: string | Medium, { s3 }: OpenOptions): Promise<CacheSettings | undefined> {
  if (typeof location !== 'string' || !isBucketLocation(location)) return undefined;
  const { cacheSettings } = await import('../medium/s3/cache-settings.ts');
  return cacheSettings(s3?.cache, { env: process.env });
}

/** The store says itself how it is written, whatever this process was told. */
async function openExisting(file: StoreFile, context: OpenContext): Promise<Store> {
  const { location, medium, options, system, tracer, cache } = context;
  const resolved = resolveOptions(options);
  if (!resolved.readOnly) checkWriterFeatures(file, STORE_FILE);
  const canAppend = file.segments === 'appended';
  if (typeof location !== 'string') {
    if (medium.canAppend !== canAppend) {
      throw new PeatError('MEDIUM_UNSUITABLE', `the store's segments are ${file.segments}, which ${medium.description} was not set up for`);
    }
    // A medium that the caller brought is the caller's to close; others may use it, too.
    return new Store({ medium, system, tracer, file, ownsMedium: false }, resolved);
  }
  if (!resolved.readOnly) refuseAppend(medium, canAppend);
  const reopened = await reopenAs(file, { location, medium, options, system });
  const bucket = await bucketOf(reopened, { cache, storeId: file.storeId, system });
  return new Store({ medium: bucket?.medium ?? reopened, bucket, system, tracer, file, ownsMedium: true }, resolved);
}

async function bucketOf(
  medium: Medium,
  { cache, storeId, system }: { cache: CacheSettings | undefined; storeId: string; system: System },
): Promise<Bucket | undefined> {
  if (medium instanceof FileMedium) return undefined;
  const [{ S3Medium }, { openBucket }] = await Promise.all([import('../medium/s3/s3-medium.ts'), import('../medium/s3/bucket.ts')]);
  return medium instanceof S3Medium ? openBucket(medium, { settings: cache, storeId, system }) : undefined;
}

/** With the form of segments and the modes that the store asks for. */
async function reopenAs(
  file: StoreFile,
  { location, medium, options, system }: { location: string; medium: Medium; options: OpenOptions; system: System },
): Promise<Medium> {
  const { segments, fileMode, directoryMode, group } = file;
  // A bucket has one form only, and keeps its connections.
  if (medium instanceof FileMedium) {
    await medium.close();
    return FileMedium.open(location, {
      system,
      readOnly: options.readOnly,
      canAppend: segments === 'appended',
      fileMode,
      directoryMode,
      group,
    });
  }
  if (segments === 'appended') {
    throw new PeatError(
      'MEDIUM_UNSUITABLE',
      `the store at ${medium.description} has segments that are appended files; "peat backup --segments framed" copies one so that it can be in a bucket`,
    );
  }
  return medium;
}

/** A writer that dies while it appends would block the readers of a network file system for minutes. */
function refuseAppend(medium: Medium, canAppend: boolean): void {
  if (!canAppend || !medium.isRemote) return;
  throw new PeatError(
    'MEDIUM_UNSUITABLE',
    `segments that are appended files can't be written safely on ${medium.description}; "peat backup" and "peat restore" copy a store into the other form`,
  );
}

/** Probes the medium and writes `peat.json`. Of many that race one wins, and all use what it wrote. */
async function createStore(medium: Medium, context: { options: OpenOptions; system: System }): Promise<StoreFile> {
  const { options, system } = context;
  const [{ probeMedium }, { encodeCheckedJson }] = await Promise.all([
    import('../medium/probe.ts'),
    import('../format/checked-json-encode.ts'),
  ]);
  const probed = await probeMedium(medium, system);
  const { fileMode, directoryMode, group, singleHost = false } = options;
  const lockDir = options.lockDir === undefined ? undefined : resolve(options.lockDir);
  if (lockDir !== undefined) (await import('../lock/lock-place.ts')).checkLockDirectory(lockDir, system);
  const file = newStoreFile({
    storeId: randomId(system, 20),
    segments: medium.canAppend ? 'appended' : 'framed',
    ...(fileMode === undefined ? {} : { fileMode }),
    ...(directoryMode === undefined ? {} : { directoryMode }),
    ...(group === undefined ? {} : { group }),
    ...(singleHost ? { singleHost } : {}),
    ...(lockDir === undefined ? {} : { lockDir }),
    constants: DEFAULT_CONSTANTS,
    probed: { ...probed },
    createdAtMs: system.wallNowMs(),
  });
  if (await medium.putIfAbsent(STORE_FILE, encodeCheckedJson(file))) return file;
  const winner = await readStoreFile(medium);
  if (winner === undefined) throw new PeatError('STORAGE', `${STORE_FILE} exists but can't be read`, { file: STORE_FILE });
  return winner;
}
