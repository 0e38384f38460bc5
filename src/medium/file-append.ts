/**
 * An append-only file of a local file system.
 *
 * Writes go to a tracked position, never to "the end": blocks are allocated ahead for writers that sync often. Appending to
 * a file that grows makes each sync write the file's size, too; appending into zeros that are there
 * already doesn't, and takes about a third less. So after 16 syncs the file is kept longer than what was written, by zeros,
 * and `close` cuts them off. A writer that dies leaves them. Therefore, always: either the file ends where the written
 * bytes end, or at least eight zero bytes follow them, by which a reader knows the end (docs/format.md).
 *
 * The kernel reports that it lost a write once for each open descriptor, to the first sync that asks. So syncs of one
 * descriptor never overlap: those in the thread pool take turns on a descriptor of their own, so that a blocking one meanwhile
 * can't swallow their error, nor they its.
 *
 * The name is durable, with its directories', before the first `sync` returns. After a failed write or sync the
 * file takes no more (rule A15): what the kernel did with the bytes can't be found out.
 */
import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { assert, PeatError } from '../base/errors.ts';
import { END_MARK_BYTES } from './end-mark.ts';
import { type FileCaller, type FileSteps, isErrno } from './file-calls.ts';
import type { AppendFile } from './medium.ts';

/** Short-lived writers don't allocate ahead: zeros cost bytes, too. */
const SYNCS_BEFORE_ZEROS = 16;
const ZEROS_BYTES_FIRST = 256 * 1024;
const ZEROS_BYTES_MAX = 1024 * 1024;

/** Allocated at the first use, and shared: most processes never need it. */
let zeros: Buffer | undefined;

export interface FileAppendOptions {
  /** For messages: the object's name, and its path. */
  readonly name: string;
  readonly path: string;
  readonly fd: number;
  readonly caller: FileCaller;
  /** Makes the file's name durable. */
  readonly syncName: () => FileSteps<void>;
}

export class FileAppend implements AppendFile {
  readonly #options: FileAppendOptions;
  readonly #fd: number;
  /** Where the written bytes end. */
  #end = 0;
  /** Where the file ends, if that is further on. */
  #allocatedEnd = 0;
  #zerosBytes = ZEROS_BYTES_FIRST;
  #syncs = 0;
  #nameIsDurable = false;
  #failure: unknown;
  #isClosed = false;
  /** What syncs in the thread pool use; opened before the first of them. */
  #poolFd: number | undefined;
  /** Syncs in the thread pool, under way or waiting; the descriptors stay open for them. */
  #syncing = 0;
  /** Resolves when the last of them is done. */
  #lastSync: Promise<void> = Promise.resolve();

  constructor(options: FileAppendOptions) {
    this.#options = options;
    this.#fd = options.fd;
  }

  write(bytes: Uint8Array): void {
    this.#checkUsable();
    try {
      this.#options.caller.intercept('write', this.#options.path);
      this.#end = this.#writeAt([bytes], this.#end);
      if (this.#syncs >= SYNCS_BEFORE_ZEROS && this.#end + END_MARK_BYTES > this.#allocatedEnd) this.#extend();
    } catch (error) {
      throw this.#fail('write', error);
    }
    assert(
      this.#allocatedEnd <= this.#end || this.#allocatedEnd - this.#end >= END_MARK_BYTES,
      'a segment ends in eight zeros, or with its file',
    );
  }

  async sync(): Promise<void> {
    this.#checkUsable();
    const before = this.#syncing++ === 0 ? undefined : this.#lastSync;
    const sync = this.#syncInPool(before);
    this.#lastSync = sync.catch(() => {});
    await sync;
  }

  async #syncInPool(before: Promise<void> | undefined): Promise<void> {
    try {
      if (before !== undefined) await before;
      this.#checkSound();
      this.#options.caller.intercept('fdatasync', this.#options.path);
      await this.#options.caller.paced('fdatasync', {
        blocking: () => fdatasyncSync(this.#fd),
        async: (done) => fdatasync(this.#openPoolFd(), done),
      });
      if (!this.#nameIsDurable) await this.#options.caller.run(this.#options.syncName());
    } catch (error) {
      throw this.#fail('sync', error);
    } finally {
      this.#syncing--;
      if (this.#isClosed) this.#closeIfUnused();
    }
    this.#checkSound();
    this.#noteSynced();
  }

  #openPoolFd(): number {
    this.#poolFd ??= openSync(this.#options.path, 'r');
    return this.#poolFd;
  }

  syncBlocking(): void {
    this.#checkUsable();
    try {
      this.#options.caller.intercept('fdatasync', this.#options.path);
      fdatasyncSync(this.#fd);
      if (!this.#nameIsDurable) this.#options.caller.runBlocking(this.#options.syncName());
    } catch (error) {
      throw this.#fail('sync', error);
    }
    this.#noteSynced();
  }

  #noteSynced(): void {
    this.#nameIsDurable = true;
    this.#syncs++;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#failure === undefined && this.#allocatedEnd > this.#end) {
      try {
        ftruncateSync(this.#fd, this.#end);
      } catch {
        // The zeros stay, as after a crash: readers know them.
      }
    }
    this.#closeIfUnused();
  }

  #closeIfUnused(): void {
    if (this.#syncing > 0) return;
    try {
      closeSync(this.#fd);
      if (this.#poolFd !== undefined) closeSync(this.#poolFd);
    } catch {
      // What was synced is safe; for the rest nobody promised anything.
    }
  }

  /** Writes all of it; returns where it ends. */
  #writeAt(parts: readonly Uint8Array[], position: number): number {
    let end = position;
    for (const part of parts) {
      for (let done = 0; done < part.length; ) {
        const count = writeSync(this.#fd, part, done, part.length - done, end);
        done += count;
        end += count;
      }
    }
    return end;
  }

  /** Writes zeros ahead. No room for them is no failure: the frame itself is written. */
  #extend(): void {
    zeros ??= Buffer.alloc(ZEROS_BYTES_FIRST);
    const parts = Array.from({ length: this.#zerosBytes / ZEROS_BYTES_FIRST }, () => zeros as Buffer);
    try {
      this.#allocatedEnd = this.#writeAt(parts, this.#end);
      this.#zerosBytes = Math.min(this.#zerosBytes * 2, ZEROS_BYTES_MAX);
    } catch (error) {
      if (!isErrno(error) || !['ENOSPC', 'EDQUOT', 'EFBIG'].includes(error.code)) throw error;
      ftruncateSync(this.#fd, this.#end);
      this.#allocatedEnd = 0;
      this.#syncs = Number.NEGATIVE_INFINITY;
    }
  }

  #checkUsable(): void {
    if (this.#isClosed) throw new PeatError('CLOSED', `${this.#options.name} was closed`, { file: this.#options.name });
    this.#checkSound();
  }

  #checkSound(): void {
    if (this.#failure === undefined) return;
    const { name } = this.#options;
    throw new PeatError('STORAGE', `${name} takes no more bytes: a write or a sync of it failed`, { file: name, cause: this.#failure });
  }

  #fail(operation: string, error: unknown): unknown {
    if (error instanceof PeatError && this.#failure !== undefined) return error;
    this.#failure = error;
    const { name, path } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    return new PeatError('STORAGE', `${operation} of ${path} failed: ${reason}`, { file: name, cause: error });
  }
}
