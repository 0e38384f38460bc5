/**
 * `get` on a file system.
 *
 * Reads of a part of a file, the blocks of tables and the tails of segments, are the hot path of every query. On a local file
 * system their descriptors are kept open: a read is then one `fstat`, which tells the size and whether the name may be gone, and
 * one `pread`. On a network file system each read opens the file, since opening is what makes the client ask the server.
 */
import { constants, fstatSync, readSync, type Stats } from 'node:fs';
import { PeatError } from '../base/errors.ts';
import { END_MARK_BYTES, isEnd } from './end-mark.ts';
import { close, type FileSteps, isFileError, isMissing, open, perform, read, statOpen } from './file-calls.ts';
import type { FileDescriptors } from './file-descriptors.ts';
import type { FileTree } from './file-tree.ts';
import type { ByteRange } from './medium.ts';

/** Where a pipe stands in a file's place, opening it must not wait for someone who writes to it. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** The largest files are segments: 1 GiB, and the last group and the room that is allocated ahead. None comes near this; see `docs/format.md`. */
const FILE_BYTES_MAX = 2 ** 31 - 1;

/** The bytes of a file that must be there. @throws FileCallError, PeatError `STORAGE` where something else stands there */
export function* readWhole(tree: FileTree, name: string): FileSteps<Buffer> {
  const path = tree.path(name);
  const fd = yield* perform(open(path, READ_FLAGS));
  try {
    const { size } = yield* statFile(path, { name, fd });
    return yield* fillFrom(path, fd, { offset: 0, length: size });
  } finally {
    yield* perform(close(path, fd));
  }
}

/** @throws PeatError `STORAGE` for what is no file that a store could have: reading it might never end, or take all memory. */
function* statFile(path: string, { name, fd }: { name: string; fd: number }): FileSteps<Stats> {
  const stats = yield* perform(statOpen(path, fd));
  const strange = (what: string): PeatError => new PeatError('STORAGE', `${path} is ${what}, and none of a store`, { file: name });
  // Of a directory the read itself tells.
  if (!stats.isFile() && !stats.isDirectory()) throw strange('a pipe, a device or the like');
  if (stats.size > FILE_BYTES_MAX) throw strange(`a file of ${stats.size} bytes`);
  return stats;
}

function* fillFrom(path: string, fd: number, { offset, length }: ByteRange): FileSteps<Buffer> {
  const into = Buffer.allocUnsafe(length);
  let start = 0;
  while (start < length) {
    const count = yield* perform(read(path, { fd, into, start, position: offset + start }));
    if (count === 0) break;
    start += count;
  }
  return start === length ? into : into.subarray(0, start);
}

/** How much of a range a file of this size holds. */
function clamp({ offset, length }: ByteRange, size: number): ByteRange {
  return { offset, length: Math.max(0, Math.min(length, size - offset)) };
}

export class FileReader {
  readonly #tree: FileTree;
  readonly #descriptors: FileDescriptors | undefined;
  /** What stands at a file's end, or after it. */
  readonly #end: Buffer = Buffer.alloc(END_MARK_BYTES);

  /** Without descriptors, every read opens the file. */
  constructor(tree: FileTree, descriptors: FileDescriptors | undefined) {
    this.#tree = tree;
    this.#descriptors = descriptors;
  }

  /** A part of a file whose descriptor is at hand; undefined if it isn't, or isn't to be trusted: then `get` decides. */
  getWarm(name: string, range: ByteRange): Buffer | undefined {
    const file = this.#descriptors?.find(name);
    if (file === undefined) return undefined;
    try {
      const stats = fstatSync(file.fd);
      if (stats.nlink === file.links) {
        const length = Math.max(0, Math.min(range.length, stats.size - range.offset));
        const into = Buffer.allocUnsafe(length);
        if (length === 0 || readSync(file.fd, into, 0, length, range.offset) === length) return into;
      }
    } catch {
      // `get` opens the file anew, tries again, and reports.
    }
    this.#descriptors?.drop(name);
    return undefined;
  }

  /** Whether a file ends at `offset`, if its descriptor is at hand; false if it isn't. Whether its name is still there is not looked at. */
  endsWarm(name: string, offset: number): boolean {
    const file = this.#descriptors?.find(name);
    if (file === undefined) return false;
    try {
      const count = readSync(file.fd, this.#end, 0, END_MARK_BYTES, offset);
      return isEnd(count === END_MARK_BYTES ? this.#end : this.#end.subarray(0, count));
    } catch {
      return false;
    }
  }

  *get(name: string, range: ByteRange | undefined): FileSteps<Buffer | undefined> {
    try {
      if (range === undefined) return yield* readWhole(this.#tree, name);
      return (yield* this.#getFromKept(name, range)) ?? (yield* this.#openAndGet(name, range));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  *#getFromKept(name: string, range: ByteRange): FileSteps<Buffer | undefined> {
    const descriptors = this.#descriptors;
    const file = descriptors?.find(name);
    if (descriptors === undefined || file === undefined) return undefined;
    const path = this.#tree.path(name);
    descriptors.acquire(file);
    try {
      const stats = yield* perform(statOpen(path, file.fd));
      if (stats.nlink === file.links) return yield* fillFrom(path, file.fd, clamp(range, stats.size));
    } catch (error) {
      if (!isFileError(error)) throw error;
    } finally {
      descriptors.release(file);
    }
    descriptors.drop(name);
    return undefined;
  }

  *#openAndGet(name: string, range: ByteRange): FileSteps<Buffer> {
    const path = this.#tree.path(name);
    const fd = yield* perform(open(path, READ_FLAGS));
    let stats: Stats;
    let bytes: Buffer;
    try {
      stats = yield* statFile(path, { name, fd });
      bytes = yield* fillFrom(path, fd, clamp(range, stats.size));
    } catch (error) {
      yield* perform(close(path, fd));
      throw error;
    }
    if (this.#descriptors === undefined) yield* perform(close(path, fd));
    else this.#descriptors.add(name, { fd, links: stats.nlink });
    return bytes;
  }
}
