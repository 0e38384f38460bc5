/** The blocking form of a file medium; for local file systems only, where a call takes less than a promise. */
import { statSync } from 'node:fs';
import type { System } from '../base/system.ts';
import type { FileOperations } from './file-operations.ts';
import type { AppendFile, BlockingMedium, ByteRange, ListedObject, ListOptions, PutOptions, Watermark } from './medium.ts';

/** A stamp this old can't be given again: the kernel's clock for stamps ticks every 1 to 10 ms. */
const QUIET_MS = 20;
/** Where stamps are whole seconds (or, on FAT, even ones). */
const QUIET_COARSE_MS = 3_000;
const DIRECTORIES_REMEMBERED_MAX = 1_000;
const STAT_OPTIONS = { throwIfNoEntry: false } as const;

/** The last look at a directory; saves building the same text again. */
interface DirectoryLook {
  readonly path: string;
  mtimeMs: number;
  ctimeMs: number;
  inode: number;
  watermark: Watermark;
}

export class FileBlocking implements BlockingMedium {
  readonly #operations: FileOperations;
  readonly #system: System;
  readonly #looks = new Map<string, DirectoryLook>();

  constructor(operations: FileOperations, system: System) {
    this.#operations = operations;
    this.#system = system;
  }

  putIfAbsent(name: string, bytes: Uint8Array, options: PutOptions = {}): boolean {
    return this.#operations.caller.runBlocking(this.#operations.putIfAbsent(name, bytes, options));
  }

  get(name: string, range?: ByteRange): Buffer | undefined {
    if (range !== undefined) {
      const warm = this.#operations.getWarm(name, range);
      if (warm !== undefined) return warm;
    }
    return this.#operations.caller.runBlocking(this.#operations.get(name, range));
  }

  list(prefix: string, options: ListOptions = {}): ListedObject[] {
    return this.#operations.caller.runBlocking(this.#operations.list(prefix, options));
  }

  syncNames(prefix: string): void {
    this.#operations.caller.runBlocking(this.#operations.syncNames(prefix));
  }

  openAppend(name: string): AppendFile {
    return this.#operations.caller.runBlocking(this.#operations.openAppend(name));
  }

  /**
   * A directory's times change with every name created or deleted in it. They prove something only once they are
   * older than the clock's tick: in a directory that changes twice within a tick, both changes bear one time.
   */
  watermark(prefix: string): Watermark | undefined {
    const look = this.#lookAt(prefix);
    let stats: ReturnType<typeof statSync>;
    try {
      stats = statSync(look.path, STAT_OPTIONS);
    } catch {
      return undefined;
    }
    if (stats === undefined) return undefined;
    const { mtimeMs, ctimeMs, ino } = stats;
    const newestMs = ctimeMs > mtimeMs ? ctimeMs : mtimeMs;
    const quietMs = newestMs % 1000 === 0 ? QUIET_COARSE_MS : QUIET_MS;
    if (!(this.#system.wallNowMs() - newestMs >= quietMs)) return undefined;
    if (look.mtimeMs !== mtimeMs || look.ctimeMs !== ctimeMs || look.inode !== ino) {
      look.mtimeMs = mtimeMs;
      look.ctimeMs = ctimeMs;
      look.inode = ino;
      look.watermark = `${ino}.${mtimeMs}.${ctimeMs}`;
    }
    return look.watermark;
  }

  endsAt(name: string, offset: number): boolean {
    return this.#operations.endsWarm(name, offset);
  }

  #lookAt(prefix: string): DirectoryLook {
    const known = this.#looks.get(prefix);
    if (known !== undefined) return known;
    if (this.#looks.size >= DIRECTORIES_REMEMBERED_MAX) this.#looks.clear();
    const path = this.#operations.tree.path(prefix.slice(0, -1));
    const look = { path, mtimeMs: 0, ctimeMs: 0, inode: 0, watermark: '' };
    this.#looks.set(prefix, look);
    return look;
  }
}
