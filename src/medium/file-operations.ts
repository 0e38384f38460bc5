/**
 * What a file medium can do, as steps; `FileMedium` awaits them, `FileBlocking` blocks on them. Here, too, is
 * what holds for all: a closed medium does nothing, one opened for reading never writes a byte.
 */
import { constants } from 'node:fs';
import { PeatError } from '../base/errors.ts';
import { FileAppend } from './file-append.ts';
import { close, type FileCaller, type FileSteps, isMissing, perform, performAll, statOpen, syncData, unlink, write } from './file-calls.ts';
import type { FileDescriptors } from './file-descriptors.ts';
import { list, listFolders } from './file-list.ts';
import { putIfAbsent } from './file-put.ts';
import { FileReader } from './file-reader.ts';
import { type FileTree, parentOf } from './file-tree.ts';
import type { AppendFile, ByteRange, ListedObject, ListOptions, PutOptions } from './medium.ts';

export interface FileOperationsParts {
  readonly tree: FileTree;
  readonly caller: FileCaller;
  /** Undefined where descriptors may not be kept (network file systems). */
  readonly descriptors: FileDescriptors | undefined;
  readonly readOnly: boolean;
  readonly canAppend: boolean;
  readonly isRemote: boolean;
}

/** A segment that is made of objects has a directory of its own, which goes when they are gone. */
const SEGMENT_DIRECTORY = /^ns\/[^/]+\/log\/[^/]+$/;

export class FileOperations {
  readonly tree: FileTree;
  readonly caller: FileCaller;
  readonly #parts: FileOperationsParts;
  readonly #reader: FileReader;
  #isClosed = false;

  constructor(parts: FileOperationsParts) {
    this.#parts = parts;
    this.tree = parts.tree;
    this.caller = parts.caller;
    this.#reader = new FileReader(parts.tree, parts.descriptors);
  }

  *putIfAbsent(name: string, bytes: Uint8Array, options: PutOptions): FileSteps<boolean> {
    this.#checkWritable(name);
    return yield* putIfAbsent(this.tree, { name, bytes, durable: options.durable !== false, isRemote: this.#parts.isRemote });
  }

  getWarm(name: string, range: ByteRange): Buffer | undefined {
    return this.#isClosed ? undefined : this.#reader.getWarm(name, range);
  }

  endsWarm(name: string, offset: number): boolean {
    return !this.#isClosed && this.#reader.endsWarm(name, offset);
  }

  *get(name: string, range: ByteRange | undefined): FileSteps<Buffer | undefined> {
    this.#checkOpen();
    return yield* this.#reader.get(name, range);
  }

  *list(prefix: string, options: ListOptions): FileSteps<ListedObject[]> {
    this.#checkOpen();
    return yield* list(this.tree, prefix, options);
  }

  *listFolders(prefix: string): FileSteps<string[]> {
    this.#checkOpen();
    return yield* listFolders(this.tree, prefix);
  }

  *delete(names: readonly string[]): FileSteps<void> {
    if (names.length === 0) return;
    this.#checkWritable(names[0] as string);
    const results = yield* performAll(names.map((name) => unlink(this.tree.path(name))));
    for (const name of names) this.#parts.descriptors?.drop(name);
    for (const result of results) {
      if ('error' in result && !isMissing(result.error)) throw result.error;
    }
    for (const directory of new Set(names.map(parentOf))) {
      if (SEGMENT_DIRECTORY.test(directory)) yield* this.tree.removeIfEmpty(directory);
    }
  }

  *openAppend(name: string): FileSteps<AppendFile> {
    this.#checkWritable(name);
    if (!this.#parts.canAppend)
      throw new PeatError('MEDIUM_UNSUITABLE', `${this.tree.root} is used without append-only files`, { file: name });
    const fd = yield* this.tree.createAppendFile(name);
    const syncName = (): FileSteps<void> => this.tree.syncNames(parentOf(name));
    return new FileAppend({ name, path: this.tree.path(name), fd, caller: this.caller, syncName });
  }

  *syncNames(prefix: string): FileSteps<void> {
    this.#checkOpen();
    if (this.#parts.readOnly) return;
    try {
      yield* this.tree.syncNames(prefix.replace(/\/$/, ''));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** A local file system's clock is this machine's. A server stamps a file with its own when bytes reach it. */
  *nowMs(): FileSteps<number | undefined> {
    this.#checkOpen();
    if (!this.#parts.isRemote || this.#parts.readOnly) return undefined;
    const { name, path, fd } = yield* this.tree.createTemporary(constants.O_WRONLY);
    try {
      yield* perform(write(path, fd, Buffer.from('now')));
      yield* perform(syncData(path, fd));
      return (yield* perform(statOpen(path, fd))).mtimeMs;
    } finally {
      yield* perform(close(path, fd));
      yield* this.tree.discard(name);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#parts.descriptors?.clear();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new PeatError('CLOSED', `the store at ${this.tree.root} was closed`);
  }

  #checkWritable(name: string): void {
    this.#checkOpen();
    if (this.#parts.readOnly) throw new PeatError('READ_ONLY', `the store at ${this.tree.root} was opened for reading`, { file: name });
  }
}
