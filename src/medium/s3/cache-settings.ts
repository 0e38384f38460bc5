/**
 * Where tables of buckets are cached on this machine, and how much of them.
 *
 * | what | from, the first that says |
 * |---|---|
 * | directory | option, `PEAT_CACHE_DIR`, else `peat` in the user's directory for caches |
 * | bytes | option, `PEAT_CACHE_BYTES` (`0` or `off`: no cache), else 1 GiB |
 */
import { homedir } from 'node:os';
import { join, posix, resolve } from 'node:path';
import { show } from '../../base/key.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface CacheOptions {
  /** Default: what `PEAT_CACHE_DIR` says, else `peat` in the user's directory for caches. */
  readonly directory?: string;
  /** What it takes on the disk at most; the tables used longest ago go first. From 16 MiB; 0: no cache. Default: what `PEAT_CACHE_BYTES` says, else 1 GiB. */
  readonly bytesMax?: number;
}

export interface CacheSettings {
  readonly directory: string;
  readonly bytesMax: number;
}

const MIB = 1024 * 1024;
const BYTES_DEFAULT = 1024 * MIB;
/** With less the parts that are bounded one by one could not hold a handful of pieces each. */
export const CACHE_BYTES_LEAST: number = 16 * MIB;

const KNOWN: ReadonlySet<string> = new Set<keyof CacheOptions>(['directory', 'bytesMax']);

/**
 * Undefined if there is to be no cache.
 *
 * @throws TypeError, RangeError that show the value
 */
export function cacheSettings(
  option: false | CacheOptions | undefined,
  { env, platform = process.platform }: { env: Environment; platform?: NodeJS.Platform },
): CacheSettings | undefined {
  if (option === false) return undefined;
  if (option !== undefined && (typeof option !== 'object' || option === null)) {
    throw new TypeError(`s3.cache must be false or an object, got ${show(option)}`);
  }
  for (const name of Object.keys(option ?? {})) if (!KNOWN.has(name)) throw new TypeError(`s3.cache has no option ${show(name)}`);
  const { directory, bytesMax = bytesOf(env['PEAT_CACHE_BYTES']) } = option ?? {};
  checkBytes(bytesMax, option?.bytesMax === undefined ? 'PEAT_CACHE_BYTES' : 's3.cache.bytesMax');
  if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
    throw new TypeError(`s3.cache.directory must be a directory's path, got ${show(directory)}`);
  }
  const found = directory ?? said(env['PEAT_CACHE_DIR']) ?? usersDirectory(env, platform);
  return bytesMax === 0 || found === undefined ? undefined : { directory: resolve(found), bytesMax };
}

function bytesOf(text: string | undefined): number {
  if (text === undefined || text === '') return BYTES_DEFAULT;
  if (text === 'off') return 0;
  if (!/^\d{1,15}$/.test(text)) throw new RangeError(`PEAT_CACHE_BYTES must be "off" or a whole number of bytes, got ${show(text)}`);
  return Number(text);
}

function checkBytes(bytes: unknown, name: string): void {
  if (typeof bytes !== 'number') throw new TypeError(`${name} must be a number, got ${show(bytes)}`);
  if (bytes === 0) return;
  if (!Number.isSafeInteger(bytes) || bytes < CACHE_BYTES_LEAST) {
    throw new RangeError(`${name} must be 0, or a whole number of bytes from ${CACHE_BYTES_LEAST}, got ${show(bytes)}`);
  }
}

/** Undefined where the user has none: nobody's home. */
function usersDirectory(env: Environment, platform: NodeJS.Platform): string | undefined {
  const home = (): string | undefined => {
    try {
      return said(homedir());
    } catch {
      return undefined;
    }
  };
  const below = (directory: string | undefined, ...parts: string[]): string | undefined =>
    directory === undefined ? undefined : join(directory, ...parts, 'peat');
  if (platform === 'win32') {
    const local = said(env['LOCALAPPDATA']);
    return local === undefined ? below(home(), 'AppData', 'Local') : below(local);
  }
  if (platform === 'darwin') return below(home(), 'Library', 'Caches');
  // The specification has relative paths passed over.
  const xdg = said(env['XDG_CACHE_HOME']);
  return xdg !== undefined && posix.isAbsolute(xdg) ? below(xdg) : below(home(), '.cache');
}

function said(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
