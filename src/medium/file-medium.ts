/**
 * The medium on a file system: every object is a file of its own, under its own name.
 *
 * What always holds: a name appears with its whole content or not at all (`file-put.ts`), it is given once,
 * and only an append-only file changes after that, by growing. No file is locked, mapped or rewritten.
 *
 * On a local file system there is a blocking form, and segments are appended to. On a network file system (and FUSE, which usually
 * is one) every call goes through the thread pool, and segments are made of whole objects: there a writer that
 * died while appending would block every reader of its segment for minutes.
 */
import { resolve } from 'node:path';
import { nodeSystem, type System } from '../base/system.ts';
import { CallPace } from './call-pace.ts';
import { FileBlocking } from './file-blocking.ts';
import { FileCaller } from './file-calls.ts';
import { FileDescriptors } from './file-descriptors.ts';
import { FileOperations } from './file-operations.ts';
import { fileSystemKind } from './file-system-kind.ts';
import { type CreationModes, FileTree } from './file-tree.ts';
import type { AppendFile, BlockingMedium, ByteRange, ListedObject, ListOptions, Medium, PutOptions } from './medium.ts';
import { findStoreDirectory } from './store-directory.ts';

export interface FileMediumOptions extends CreationModes {
  readonly system?: System | undefined;
  /** Makes the store's directory if it is missing. Default false: a mistyped path should not become a store. */
  readonly create?: boolean | undefined;
  /** Never writes a byte. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Overrides what the file system's kind says. False where it says true: the mount options of NFS aren't checked either. */
  readonly remote?: boolean | undefined;
  /** Whether segments are append-only files. Default: yes on a local file system. */
  readonly canAppend?: boolean | undefined;
  /** Whether to offer the blocking form. Default: yes on a local file system. */
  readonly blocking?: boolean | undefined;
  /** How many descriptors are kept open for reading; on a local file system only. Default 256. */
  readonly descriptorsMax?: number | undefined;
  /** For tests: runs before each file system call, and may throw an errno error in its place. */
  readonly beforeCall?: ((operation: string, path: string) => void) | undefined;
}

export class FileMedium implements Medium {
  readonly description: string;
  readonly canAppend: boolean;
  readonly isRemote: boolean;
  readonly blocking: BlockingMedium | undefined;
  readonly localDirectory: string | undefined;
  readonly #operations: FileOperations;

  private constructor(
    operations: FileOperations,
    facts: Pick<Medium, 'description' | 'canAppend' | 'isRemote' | 'localDirectory' | 'blocking'>,
  ) {
    this.#operations = operations;
    this.description = facts.description;
    this.canAppend = facts.canAppend;
    this.isRemote = facts.isRemote;
    this.localDirectory = facts.localDirectory;
    this.blocking = facts.blocking;
  }

  /**
   * Opens a directory. Nothing in it is read or written by this.
   *
   * @throws PeatError `STORE_NOT_FOUND` if there is no such directory, `MEDIUM_UNSUITABLE` if it is on NFS that
   * caches attributes, `ACCESS_DENIED` or `STORAGE` if it can't be looked at.
   */
  static open(directory: string, options: FileMediumOptions = {}): FileMedium {
    const { system = nodeSystem, readOnly = false, descriptorsMax = 256 } = options;
    const path = resolve(directory);
    if (readOnly && options.create === true)
      throw new TypeError('a store opened for reading is not created: got { readOnly: true, create: true }');
    const root = { system, root: path, beforeCall: options.beforeCall };
    new FileCaller(root).runBlocking(findStoreDirectory(path, { create: options.create === true, modes: options }));
    const kind = fileSystemKind(path, options.remote);
    const canBlock = options.blocking ?? !kind.isRemote;
    const caller = new FileCaller({ ...root, pace: canBlock ? new CallPace(system) : undefined });
    const tree = new FileTree(path, { system, modes: options });
    const canAppend = options.canAppend ?? !kind.isRemote;
    const descriptors = kind.isRemote ? undefined : new FileDescriptors(descriptorsMax);
    const operations = new FileOperations({ tree, caller, descriptors, readOnly, canAppend, isRemote: kind.isRemote });
    const blocking = canBlock ? new FileBlocking(operations, system) : undefined;
    return new FileMedium(operations, {
      description: `file system ${path} (${kind.name})`,
      canAppend,
      isRemote: kind.isRemote,
      localDirectory: kind.isRemote ? undefined : path,
      blocking,
    });
  }

  putIfAbsent(name: string, bytes: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    return this.#operations.caller.run(this.#operations.putIfAbsent(name, bytes, options));
  }

  get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    return this.#operations.caller.run(this.#operations.get(name, range));
  }

  list(prefix: string, options: ListOptions = {}): Promise<ListedObject[]> {
    return this.#operations.caller.run(this.#operations.list(prefix, options));
  }

  listFolders(prefix: string): Promise<string[]> {
    return this.#operations.caller.run(this.#operations.listFolders(prefix));
  }

  delete(names: readonly string[]): Promise<void> {
    return this.#operations.caller.run(this.#operations.delete(names));
  }

  openAppend(name: string): Promise<AppendFile> {
    return this.#operations.caller.run(this.#operations.openAppend(name));
  }

  syncNames(prefix: string): Promise<void> {
    return this.#operations.caller.run(this.#operations.syncNames(prefix));
  }

  nowMs(): Promise<number | undefined> {
    return this.#operations.caller.run(this.#operations.nowMs());
  }

  /** Across a network, too: only what is written tells a server's time here, and a look costs no more than that. */
  lastAnsweredAtMs(): undefined {}

  /** Closes the descriptors kept for reading; append-only files are closed by their owners. Idempotent. */
  async close(): Promise<void> {
    this.#operations.close();
  }
}
