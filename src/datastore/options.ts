/** Options of `open` and `namespace`, with their checks. */
import type { RunCompactorOptions } from '../../compactor/index.ts';
import { show } from '../base/key.ts';
import type { System } from '../base/system.ts';
import type { S3Options } from '../medium/s3/s3-target.ts';

/** Something the caller should know, although nothing failed. */
export interface Warning {
  /**
   * `no-compactor`: a tail was long and no compactor alive, so this process compacted. `compaction-failed`: that, or a part of it, failed, without harm.
   * `damage`: it met damage; see `peat verify`. `lock-trace`: the trace of locks can't be written.
   */
  readonly code: 'no-compactor' | 'compaction-failed' | 'damage' | 'lock-trace';
  readonly namespace: string;
  readonly message: string;
  readonly cause?: unknown;
}

/** How a store is opened. */
export interface OpenOptions {
  /**
   * When an append counts as done. `'sync'`: it survives a power cut (one fdatasync a group of appends). `'os'`: it
   * survives the process, not the machine, and is much faster. Default `'sync'`.
   */
  readonly durability?: 'sync' | 'os';
  /** Create the store if it is not there. Default true, unless `readOnly`. */
  readonly create?: boolean;
  /** Never write a byte. Default false. A store that is only read is not written to without this option, either. */
  readonly readOnly?: boolean;
  /** With `readOnly`: nobody writes any more (a copy, a backup), so nothing is looked at twice. Default false. */
  readonly frozen?: boolean;
  /** Memory for blocks and indexes of tables, bytes a namespace. Default 32 MiB. */
  readonly cacheBytes?: number;
  /** Appends that may wait for the disk, bytes; beyond it calls wait to be taken in. Default 64 MiB. */
  readonly pendingBytesMax?: number;
  /** A segment is sealed at this size, bytes. Default 16 MiB. */
  readonly segmentBytesMax?: number;
  /**
   * A writer that closes, or leaves a segment, and finds a long tail and no live compactor runs one bounded pass of compaction.
   * Default true.
   */
  readonly autoCompact?: boolean;
  /** How long a read waits for an unfinished drain of another process, ms. Default 10,000. */
  readonly drainWaitMs?: number;
  /** Told of warnings. Default: `process.emitWarning` with code `PEAT_<code>`. */
  readonly onWarning?: (warning: Warning) => void;
  /** For a new store: permission bits of files and of directories, and the group's id, where several users share it. Default: the umask decides. */
  readonly fileMode?: number;
  readonly directoryMode?: number;
  readonly group?: number;
  /** For a new store: one growing file a segment, or one object a group of appends. Default: what suits the file system. */
  readonly segments?: 'appended' | 'framed';
  /** For a new store: declares that processes of one host only will use it. Default false. */
  readonly singleHost?: boolean;
  /**
   * For a new store of a single host: the directory, which must be there, where lock files are kept instead of in the store, for example on a local
   * disk while the data is on a network file system. It is written down in the store, for all processes. It should survive restarts of the machine
   * if fencing tokens are kept anywhere: else their numbers begin anew.
   */
  readonly lockDir?: string;
  /**
   * A directory for a trace of this process's waits for locks and of its holds; `peat lock audit` reads it. Default: what `PEAT_LOCK_TRACE` says
   * in the environment; without it nothing is traced.
   */
  readonly lockTrace?: string;
  /** How a store in a bucket is reached, where the `AWS_*` environment does not say it. Default: as that says. */
  readonly s3?: S3Options;
  /** Clocks, timers and randomness, for tests. */
  readonly system?: System;
}

export interface NamespaceOptions {
  /** The first write creates the namespace, and until then it reads as empty. Default: what the store was opened with. */
  readonly create?: boolean;
}

/** Options with every default in place. */
export interface ResolvedOptions {
  readonly durability: 'sync' | 'os';
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly frozen: boolean;
  readonly cacheBytes: number;
  readonly pendingBytesMax: number;
  readonly segmentBytesMax: number;
  readonly autoCompact: boolean;
  readonly drainWaitMs: number;
  readonly lockTrace: string | undefined;
  readonly onWarning: (warning: Warning) => void;
}

const MIB = 1024 * 1024;

const KNOWN: ReadonlySet<string> = new Set<keyof OpenOptions>([
  'durability',
  'create',
  'readOnly',
  'frozen',
  'cacheBytes',
  'pendingBytesMax',
  'segmentBytesMax',
  'autoCompact',
  'drainWaitMs',
  'onWarning',
  'fileMode',
  'directoryMode',
  'group',
  'segments',
  'singleHost',
  'lockDir',
  'lockTrace',
  's3',
  'system',
]);

/** @throws TypeError or RangeError that shows the value. */
export function resolveOptions(options: OpenOptions): ResolvedOptions {
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) throw new TypeError(`open has no option ${show(name)}`);
  const { durability = 'sync', readOnly = false, frozen = false } = options;
  const { segments } = options;
  if (segments !== undefined && segments !== 'appended' && segments !== 'framed') {
    throw new RangeError(`segments must be "appended" or "framed", got ${show(segments)}`);
  }
  if (durability !== 'sync' && durability !== 'os') throw new RangeError(`durability must be "sync" or "os", got ${show(durability)}`);
  if (readOnly && options.create === true) throw new RangeError('create: true does not go with readOnly: true');
  if (frozen && !readOnly) throw new RangeError('frozen goes with readOnly: true');
  if (directoryOption(options.lockDir, 'lockDir') !== undefined && options.singleHost !== true) {
    throw new RangeError(
      `lockDir goes with singleHost: true, since other hosts would lock elsewhere; got lockDir ${show(options.lockDir)}`,
    );
  }
  checkPermissions(options);
  return {
    durability,
    readOnly,
    frozen,
    create: options.create ?? !readOnly,
    cacheBytes: count(options.cacheBytes, 'cacheBytes', { least: 0, fallback: 32 * MIB }),
    pendingBytesMax: count(options.pendingBytesMax, 'pendingBytesMax', { least: 1, fallback: 64 * MIB }),
    segmentBytesMax: count(options.segmentBytesMax, 'segmentBytesMax', { least: 1024, most: 1024 * MIB, fallback: 16 * MIB }),
    autoCompact: options.autoCompact ?? true,
    drainWaitMs: count(options.drainWaitMs, 'drainWaitMs', { least: 0, fallback: 10_000 }),
    lockTrace: directoryOption(options.lockTrace, 'lockTrace'),
    onWarning: warningListener(options.onWarning),
  };
}

/** They come to pass long after the store was opened, so that is where they are checked. */
function checkPermissions({ fileMode, directoryMode, group }: OpenOptions): void {
  checkCount(fileMode, 'fileMode', { least: 0o400, most: 0o7777 });
  checkCount(directoryMode, 'directoryMode', { least: 0o500, most: 0o7777 });
  checkCount(group, 'group', { least: 0, most: 0xffff_fffe });
}

/** @throws TypeError, RangeError */
export function checkCompactorOptions({ concurrency, gatherMs, pollMs }: RunCompactorOptions): void {
  checkCount(concurrency, 'concurrency', { least: 1, most: 64 });
  checkCount(gatherMs, 'gatherMs', { least: 0, most: 3_600_000 });
  checkCount(pollMs, 'pollMs', { least: 1, most: 3_600_000 });
}

function directoryOption(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw new TypeError(`${name} must be a directory's path, got ${show(value)}`);
  return value;
}

function warningListener(listener: OpenOptions['onWarning'] = emitWarning): ResolvedOptions['onWarning'] {
  if (typeof listener !== 'function') throw new TypeError(`onWarning must be a function, got ${show(listener)}`);
  return listener;
}

function emitWarning(warning: Warning): void {
  process.emitWarning(warning.message, { type: 'PeatWarning', code: `PEAT_${warning.code}` });
}

/** Checks a whole number. @throws TypeError, RangeError */
export function count(value: unknown, name: string, bounds: { least: number; most?: number; fallback: number }): number {
  if (value === undefined) return bounds.fallback;
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, got ${show(value)}`);
  const most = bounds.most ?? Number.MAX_SAFE_INTEGER;
  if (!Number.isInteger(value) || value < bounds.least || value > most) {
    throw new RangeError(`${name} must be a whole number from ${bounds.least} to ${most}, got ${value}`);
  }
  return value;
}

/** The same for what has its default elsewhere. */
function checkCount(value: unknown, name: string, bounds: { least: number; most: number }): void {
  count(value, name, { ...bounds, fallback: bounds.least });
}
