/**
 * Keeps the cache within its size, without a lock and without a count that processes share.
 *
 * The cache is divided into rooms, directories over which pieces are spread by their hash. Each has the same share of the size, and is
 * looked after by whoever puts something into it: a process lists a room before it first puts something there, when it would pass its share, and
 * when it has put an eighth of a share there since it last looked. What was used longest ago goes first, until a tenth of the share is
 * free; what another process may just be writing stays. So a room may pass its share by an eighth for each other process that fills it at the same moment, until one of them looks again.
 */
import { basename } from 'node:path';
import { type CacheFile, type CacheFiles, diskBytes, TEMPORARY_PREFIX } from './cache-files.ts';

export const ROOMS = 64;
const LOOK_AGAIN_SHARE = 1 / 8;
const KEPT_SHARE = 9 / 10;
/** A temporary file that is older is what a crash has left. */
const WRITING_MS_MAX = 60_000;

interface RoomState {
  /** As far as this process knows. */
  bytes: number;
  /** Put by this process since it last looked. */
  unseenBytes: number;
}

export class CacheRooms {
  readonly #files: CacheFiles;
  readonly #share: number;
  readonly #wallNowMs: () => number;
  readonly #states = new Map<string, RoomState>();
  /** One file of a room after the other, so that a look at it shows all that were let in before. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(files: CacheFiles, { bytesMax, wallNowMs }: { bytesMax: number; wallNowMs: () => number }) {
    this.#files = files;
    this.#wallNowMs = wallNowMs;
    this.#share = Math.floor(bytesMax / ROOMS);
  }

  /** Makes place for a file of this length in a room, and has it written. False if it never fits. @throws Error of the disk */
  async put(directory: string, length: number, write: () => Promise<void>): Promise<boolean> {
    const bytes = diskBytes(length);
    if (bytes > this.#share) return false;
    const turn = (this.#turns.get(directory) ?? Promise.resolve()).then(async () => {
      await this.#admit(directory, bytes);
      await write();
    });
    const settled = turn.catch(() => undefined);
    this.#turns.set(directory, settled);
    try {
      await turn;
    } finally {
      if (this.#turns.get(directory) === settled) this.#turns.delete(directory);
    }
    return true;
  }

  async #admit(directory: string, bytes: number): Promise<void> {
    let state = this.#states.get(directory);
    if (state === undefined || state.bytes + bytes > this.#share || state.unseenBytes + bytes > this.#share * LOOK_AGAIN_SHARE) {
      const files = await this.#files.list(directory);
      state = { bytes: await this.#evict(files, bytes), unseenBytes: 0 };
      this.#states.set(directory, state);
    }
    state.bytes += bytes;
    state.unseenBytes += bytes;
  }

  /** What is left of the files when there is room for `bytes` more. */
  async #evict(files: readonly CacheFile[], bytes: number): Promise<number> {
    let left = files.reduce((sum, file) => sum + file.bytes, 0);
    if (left + bytes <= this.#share) return left;
    const wanted = Math.min(this.#share * KEPT_SHARE, this.#share - bytes);
    for (const file of [...files].sort((a, b) => a.usedMs - b.usedMs)) {
      if (left <= wanted) break;
      if (this.#isBeingWritten(file)) continue;
      await this.#files.remove(file.path);
      left -= file.bytes;
    }
    return left;
  }

  #isBeingWritten({ path, usedMs }: CacheFile): boolean {
    return basename(path).startsWith(TEMPORARY_PREFIX) && Math.abs(this.#wallNowMs() - usedMs) < WRITING_MS_MAX;
  }
}
