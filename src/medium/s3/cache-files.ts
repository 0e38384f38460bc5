/**
 * What the cache asks of the local disk, so that tests can let each of it fail. Nothing here is durable, and nothing need be: what a
 * power cut leaves is judged by its checksum.
 */
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** So begin the names of files that are being written. */
export const TEMPORARY_PREFIX = 't-';

export interface CacheFile {
  readonly path: string;
  /** What it takes on the disk, about. */
  readonly bytes: number;
  readonly usedMs: number;
}

export interface CacheFiles {
  /** Makes a directory that this user alone can use. @throws Error if what stands there is another user's, or open to others */
  prepare(directory: string): Promise<void>;
  /** Undefined if it is not there. Not more than `bytesMax` bytes are read. */
  read(path: string, bytesMax: number): Promise<{ readonly bytes: Buffer; readonly usedMs: number } | undefined>;
  exists(path: string): Promise<boolean>;
  /** Writes it under the temporary name, and renames it: it appears whole. */
  write(path: string, options: { readonly temporary: string; readonly bytes: Buffer }): Promise<void>;
  touch(path: string, usedMs: number): Promise<void>;
  /** Not an error if it is not there. */
  remove(path: string): Promise<void>;
  /** Empty if it is not there. Files that vanish meanwhile are left out. */
  list(directory: string): Promise<CacheFile[]>;
}

const BLOCK_BYTES = 4096;
/** Where a pipe stands in a file's place, opening it must not wait for someone who writes to it. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

export function diskBytes(length: number): number {
  return Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
}

export const nodeCacheFiles: CacheFiles = {
  async prepare(directory) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const stats = await lstat(directory);
    // Elsewhere than on POSIX systems there is no such thing, and the user's own directory is protected by where it is.
    const uid = process.getuid?.();
    if (!stats.isDirectory()) throw new Error(`${directory} is no directory`);
    if (uid === undefined) return;
    if (stats.uid !== uid) throw new Error(`${directory} belongs to another user`);
    if ((stats.mode & 0o077) !== 0) throw new Error(`${directory} is open to other users (mode ${(stats.mode & 0o777).toString(8)})`);
  },

  async read(path, bytesMax) {
    const handle = await orMissing(open(path, READ_FLAGS));
    if (handle === undefined) return undefined;
    try {
      const { size, mtimeMs } = await handle.stat();
      const bytes = Buffer.allocUnsafeSlow(Math.min(size, bytesMax));
      let length = 0;
      while (length < bytes.length) {
        const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return { bytes: bytes.subarray(0, length), usedMs: mtimeMs };
    } finally {
      await handle.close();
    }
  },

  async exists(path) {
    return (await orMissing(stat(path))) !== undefined;
  },

  async write(path, { temporary, bytes }) {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      try {
        let written = 0;
        while (written < bytes.length) written += (await handle.write(bytes, written)).bytesWritten;
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  },

  async touch(path, usedMs) {
    await utimes(path, usedMs / 1000, usedMs / 1000);
  },

  async remove(path) {
    await rm(path, { force: true });
  },

  async list(directory) {
    const names = (await orMissing(readdir(directory))) ?? [];
    const files = await Promise.all(
      names.map(async (name): Promise<CacheFile | undefined> => {
        const path = join(directory, name);
        const stats = await orMissing(lstat(path));
        return stats === undefined ? undefined : { path, bytes: diskBytes(stats.size), usedMs: stats.mtimeMs };
      }),
    );
    return files.filter((file) => file !== undefined);
  },
};

async function orMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
