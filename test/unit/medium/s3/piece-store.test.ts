/** Pieces on a real disk, and on one that fails. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { nodeSystem } from '../../../../src/base/system.ts';
import { type CacheFiles, nodeCacheFiles } from '../../../../src/medium/s3/cache-files.ts';
import { CACHE_BYTES_LEAST } from '../../../../src/medium/s3/cache-settings.ts';
import { PIECE_HEADER_BYTES } from '../../../../src/medium/s3/piece-file.ts';
import { PieceStore } from '../../../../src/medium/s3/piece-store.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { VirtualSystem } from '../../../support/virtual-system.ts';

const PIECE_BYTES = 64 * 1024;
const NAME = 'ns/a/shard/one';

function newStore(
  directory: string,
  options: { scope?: string; files?: CacheFiles; bytesMax?: number; system?: VirtualSystem } = {},
): PieceStore {
  const { scope = 'store 1', bytesMax = CACHE_BYTES_LEAST, files = nodeCacheFiles, system = nodeSystem } = options;
  return new PieceStore({ settings: { directory, bytesMax }, system, scope, pieceBytes: PIECE_BYTES, files });
}

async function keep(store: PieceStore, name: string, piece: number, bytes: Buffer): Promise<void> {
  expect(await store.keep(name, piece, bytes).kept).toBeUndefined();
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('pieces on disk', () => {
  it('are given back to other processes, and only as what they are', async () => {
    const directory = temporaryDirectory();
    const bytes = Buffer.from('the first piece');
    await keep(newStore(directory), NAME, 0, bytes);
    const other = newStore(directory);
    expect(await other.read(NAME, 0)).toEqual(bytes);
    expect(await other.has(NAME, 0)).toBe(true);
    expect(await other.read(NAME, 1)).toBeUndefined();
    expect(await other.read('ns/a/shard/two', 0)).toBeUndefined();
    // The same place, made anew; or the same id at another place, as a copy may have.
    expect(await newStore(directory, { scope: 'store 2' }).read(NAME, 0)).toBeUndefined();
  });

  it('are for this user alone, and tell nothing by their names', async () => {
    const directory = temporaryDirectory();
    await keep(newStore(directory, { scope: 'secret-bucket' }), NAME, 0, Buffer.from('x'));
    const [file = ''] = filesBelow(directory);
    expect(statSync(join(directory, 'tables-1')).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'latin1')).not.toMatch(/secret-bucket|shard/);
    expect(file).not.toMatch(/secret-bucket|shard/);
  });

  it('are a miss and removed whichever bit is flipped', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    const bytes = Buffer.from('0123456789');
    await keep(store, NAME, 0, bytes);
    const [file = ''] = filesBelow(directory);
    const good = readFileSync(file);
    expect(good).toHaveLength(PIECE_HEADER_BYTES + bytes.length);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      writeFileSync(file, bad);
      expect(await store.read(NAME, 0), `bit ${bit}`).toBeUndefined();
      expect(existsSync(file), `bit ${bit}`).toBe(false);
    }
    await keep(store, NAME, 0, bytes);
    expect(await store.read(NAME, 0)).toEqual(bytes);
  });

  it('are a miss and removed where they are cut off, or longer', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    await keep(store, NAME, 0, Buffer.alloc(PIECE_BYTES, 7));
    const [file = ''] = filesBelow(directory);
    const good = readFileSync(file);
    for (const length of [0, 1, PIECE_HEADER_BYTES - 1, PIECE_HEADER_BYTES, good.length - 1]) {
      writeFileSync(file, good);
      truncateSync(file, length);
      expect(await store.read(NAME, 0), `length ${length}`).toBeUndefined();
      expect(existsSync(file)).toBe(false);
    }
    writeFileSync(file, Buffer.concat([good, Buffer.alloc(1)]));
    expect(await store.read(NAME, 0)).toBeUndefined();
    expect(existsSync(file)).toBe(false);
  });

  it('are a miss where the file of another piece stands in their place', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    await keep(store, NAME, 0, Buffer.from('one'));
    const [one = ''] = filesBelow(directory);
    await keep(store, NAME, 1, Buffer.from('two'));
    const two = filesBelow(directory).find((file) => file !== one) as string;
    writeFileSync(one, readFileSync(two));
    expect(await store.read(NAME, 0)).toBeUndefined();
    expect(await store.read(NAME, 1)).toEqual(Buffer.from('two'));
  });

  it('are a miss where a pipe that nobody writes to stands in their place', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    await keep(store, NAME, 0, Buffer.from('0'));
    const [file = ''] = filesBelow(directory);
    rmSync(file);
    execFileSync('mkfifo', [file]);
    expect(await store.read(NAME, 0)).toBeUndefined();
    await keep(store, NAME, 0, Buffer.from('1'));
    expect(await store.read(NAME, 0)).toEqual(Buffer.from('1'));
  });

  it('may be deleted at any time, with all directories, while in use', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    for (let round = 0; round < 3; round++) {
      await keep(store, NAME, round, Buffer.from('x'));
      rmSync(directory, { recursive: true });
      expect(await store.read(NAME, round)).toBeUndefined();
      // The one after the deletion may find the directory gone; the next one finds it made again.
      await store.keep(NAME, 10 + round, Buffer.from('y')).kept;
    }
    await keep(store, NAME, 99, Buffer.from('z'));
    expect(await store.read(NAME, 99)).toEqual(Buffer.from('z'));
    expect(store.trouble).toBeUndefined();
  });

  it('are not looked for where other users may write', async () => {
    const directory = temporaryDirectory();
    await keep(newStore(directory), NAME, 0, Buffer.from('x'));
    chmodSync(join(directory, 'tables-1'), 0o777);
    const store = newStore(directory);
    expect(await store.read(NAME, 0)).toBeUndefined();
    expect(await store.keep(NAME, 1, Buffer.from('y')).kept).toMatch(/open to other users/);
  });
});

describe('the size of the cache', () => {
  /** What the files take, as the disk counts. */
  const usedBytes = (directory: string): number => filesBelow(directory).reduce((sum, file) => sum + statSync(file).blocks * 512, 0);

  it('is kept, by two processes that fill it in turns', async () => {
    const directory = temporaryDirectory();
    const stores = [newStore(directory), newStore(directory)];
    const bytes = Buffer.alloc(PIECE_BYTES, 1);
    for (let piece = 0; piece < 600; piece++) await keep(stores[piece % 2] as PieceStore, NAME, piece, bytes);
    // 600 pieces are more than twice what fits.
    expect(usedBytes(directory)).toBeLessThanOrEqual(CACHE_BYTES_LEAST);
    expect(usedBytes(directory)).toBeGreaterThan(CACHE_BYTES_LEAST / 2);
  });

  it('is kept while one process puts many at once', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    const kept = Array.from({ length: 500 }, (_, piece) => store.keep(NAME, piece, Buffer.alloc(PIECE_BYTES, piece)).kept);
    expect((await Promise.all(kept)).every((reason) => reason === undefined)).toBe(true);
    expect(usedBytes(directory)).toBeLessThanOrEqual(CACHE_BYTES_LEAST);
  });

  it('is kept by letting go of what was used longest ago', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    await keep(store, NAME, 0, Buffer.alloc(PIECE_BYTES, 1));
    await keep(store, NAME, 1, Buffer.alloc(PIECE_BYTES, 2));
    const longAgo = new Date(Date.now() - 86_400_000);
    for (const file of filesBelow(directory)) utimesSync(file, longAgo, longAgo);
    // Reading marks it as used.
    expect(await store.read(NAME, 0)).toBeDefined();
    for (let piece = 2; piece < 1000 && (await store.has(NAME, 1)); piece++) await keep(store, NAME, piece, Buffer.alloc(PIECE_BYTES, 3));
    expect(await store.has(NAME, 1)).toBe(false);
    expect(await store.read(NAME, 0)).toEqual(Buffer.alloc(PIECE_BYTES, 1));
  });

  it('does not go at the cost of what another process is just writing', async () => {
    const directory = temporaryDirectory();
    let finish = (): void => {};
    const filled = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const slow: CacheFiles = {
      ...nodeCacheFiles,
      write: async (path, { temporary, bytes }) => {
        writeFileSync(temporary, bytes);
        await filled;
        renameSync(temporary, path);
      },
    };
    const other = newStore(directory, { files: slow });
    const underWay = Array.from({ length: 20 }, (_, piece) => other.keep(NAME, piece, Buffer.alloc(PIECE_BYTES, 1)).kept);
    await vi.waitFor(() => expect(filesBelow(directory).length).toBeGreaterThan(10), { timeout: 60_000 });
    // Its clock stands still, so the files that are being written stay as young as they are, however long this takes.
    const system = new VirtualSystem();
    system.wallOffsetMs = Date.now() - system.wallNowMs();
    const store = newStore(directory, { system });
    for (let piece = 0; piece < 400; piece++) await keep(store, 'ns/a/shard/two', piece, Buffer.alloc(PIECE_BYTES, 2));
    finish();
    expect((await Promise.all(underWay)).filter((reason) => reason !== undefined)).toEqual([]);
  });

  it('counts what crashed processes left behind, and lets go of it', async () => {
    const directory = temporaryDirectory();
    const dying: CacheFiles = {
      ...nodeCacheFiles,
      write: async (_path, { temporary, bytes }) => writeFileSync(temporary, bytes),
    };
    const crashed = newStore(directory, { files: dying });
    for (let piece = 0; piece < 200; piece++) await crashed.keep(NAME, piece, Buffer.alloc(PIECE_BYTES, 1)).kept;
    const longAgo = new Date(Date.now() - 86_400_000);
    const left = filesBelow(directory);
    for (const file of left) utimesSync(file, longAgo, longAgo);
    const store = newStore(directory);
    for (let piece = 0; piece < 1000; piece++) await keep(store, NAME, piece, Buffer.alloc(PIECE_BYTES, 2));
    expect(left.filter((file) => existsSync(file))).toEqual([]);
    expect(usedBytes(directory)).toBeLessThanOrEqual(CACHE_BYTES_LEAST);
  });
});

describe('a disk that fails', () => {
  const failing = (
    code: string,
    calls: readonly (keyof CacheFiles)[],
  ): { files: CacheFiles; heal: () => void; counts: Map<string, number> } => {
    let isHealed = false;
    const counts = new Map<string, number>();
    const files = { ...nodeCacheFiles } as Record<string, unknown>;
    for (const call of calls) {
      files[call] = async (...args: unknown[]) => {
        counts.set(call, (counts.get(call) ?? 0) + 1);
        if (!isHealed) throw Object.assign(new Error(`${code}: injected`), { code });
        return await (nodeCacheFiles[call] as (...all: unknown[]) => Promise<unknown>)(...args);
      };
    }
    return {
      files: files as unknown as CacheFiles,
      counts,
      heal: () => {
        isHealed = true;
      },
    };
  };

  it.each([
    ['ENOSPC', ['write']],
    ['EROFS', ['prepare']],
    ['EACCES', ['prepare', 'read', 'list']],
    ['EIO', ['read', 'exists', 'write', 'touch', 'remove', 'list']],
  ] as const)('with %s is a miss, never an error', async (code, calls) => {
    const { files } = failing(code, calls);
    const store = newStore(temporaryDirectory(), { files });
    const { payload, kept } = store.keep(NAME, 0, Buffer.from('x'));
    expect(payload).toEqual(Buffer.from('x'));
    expect(await kept).toContain(code);
    expect(store.trouble).toContain(code);
    expect(await store.read(NAME, 0)).toBeUndefined();
    expect(await store.has(NAME, 0)).toBe(false);
  });

  it('is left alone for a minute, and used again when it has room', async () => {
    const system = new VirtualSystem();
    const { files, heal, counts } = failing('ENOSPC', ['write']);
    const store = newStore(temporaryDirectory(), { files, system });
    for (let piece = 0; piece < 5; piece++) expect(await store.keep(NAME, piece, Buffer.from('x')).kept).toContain('ENOSPC');
    expect(counts.get('write')).toBe(1);
    heal();
    await system.advance(61_000);
    expect(store.trouble).toBeUndefined();
    await keep(store, NAME, 0, Buffer.from('x'));
    expect(await store.read(NAME, 0)).toEqual(Buffer.from('x'));
  });

  it('leaves no half of a piece behind', async () => {
    const directory = temporaryDirectory();
    const store = newStore(directory);
    await keep(store, NAME, 0, Buffer.from('x'));
    const [file = ''] = filesBelow(directory);
    const temporary = join(directory, 'tables-1', 't-half');
    await expect(nodeCacheFiles.write(join(file, 'below-a-file'), { temporary, bytes: Buffer.from('y') })).rejects.toThrow('ENOTDIR');
    expect(filesBelow(directory)).toEqual([file]);
  });
});
