/**
 * The directories of a store: made on demand, with the modes that the store asks for, and made durable.
 *
 * Nothing is looked up before it is used: a call that meets a missing parent makes it and tries again. So a
 * directory that another process removes in between (an emptied segment's) is made anew.
 *
 * A name is durable once its directory was synced, and that directory's name in its parent, up to the store's
 * own (rule A15). `syncNames` does all of it, *after* the name was created: from then on its directory isn't empty,
 * so nobody removes it or puts another in its place. What a process synced once, it remembers.
 */
import { constants } from 'node:fs';
import { PeatError } from '../base/errors.ts';
import { randomId, type System } from '../base/system.ts';
import { TMP_PREFIX } from '../format/layout.ts';
import {
  changeGroup,
  changeMode,
  close,
  type FileCall,
  type FileSteps,
  isFileError,
  isMissing,
  link,
  makeDirectory,
  open,
  perform,
  removeDirectory,
  rename,
  syncAll,
  unlink,
} from './file-calls.ts';

/** Permissions of what is created; where one is absent, the process's umask and group decide. */
export interface CreationModes {
  readonly fileMode?: number | undefined;
  readonly directoryMode?: number | undefined;
  /** Numeric group id. */
  readonly group?: number | undefined;
}

/** Each round makes the missing parents; more than one is needed only if somebody keeps removing them. */
const PARENT_ROUNDS_MAX = 4;
const TEMPORARY_NAMES_MAX = 3;
const TMP_DIRECTORY = TMP_PREFIX.slice(0, -1);

export interface TemporaryFile {
  readonly name: string;
  readonly path: string;
  readonly fd: number;
}

export interface FileTreeOptions {
  readonly system: System;
  readonly modes: CreationModes;
}

export class FileTree {
  /** The store's directory, absolute. */
  readonly root: string;
  readonly #system: System;
  readonly #modes: CreationModes;
  /** Directories whose own names are known to be durable; "" is the store's. */
  readonly #anchored = new Set<string>(['']);

  constructor(root: string, options: FileTreeOptions) {
    this.root = root;
    this.#system = options.system;
    this.#modes = options.modes;
  }

  path(name: string): string {
    return name === '' ? this.root : `${this.root}/${name}`;
  }

  /** Creates a file under `tmp/`, with the store's modes. The caller gives it its name, and discards it. */
  *createTemporary(flags: number): FileSteps<TemporaryFile> {
    for (let round = 1; ; round++) {
      const name = this.#newTemporaryName();
      try {
        return { name, path: this.path(name), fd: yield* this.#createFile(name, flags) };
      } catch (error) {
        // An exclusive create that was executed twice meets its own file; that one is left to be swept.
        if (!isFileError(error, 'EEXIST') || round === TEMPORARY_NAMES_MAX) throw error;
      }
    }
  }

  #newTemporaryName(): string {
    return TMP_PREFIX + randomId(this.#system, 20);
  }

  *#createFile(name: string, flags: number): FileSteps<number> {
    const path = this.path(name);
    const fd = yield* this.#withParent(name, open(path, flags | constants.O_CREAT | constants.O_EXCL));
    try {
      yield* this.#setModes(path, this.#modes.fileMode);
    } catch (error) {
      yield* perform(close(path, fd));
      yield* this.discard(name);
      throw error;
    }
    return fd;
  }

  /** Creates an append-only file under its final name. Nobody sees it with other modes than the store's. */
  *createAppendFile(name: string): FileSteps<number> {
    if (this.#modes.fileMode === undefined && this.#modes.group === undefined) return yield* this.#createFile(name, constants.O_RDWR);
    const temporary = yield* this.createTemporary(constants.O_RDWR);
    try {
      yield* this.link(temporary.name, name);
      return temporary.fd;
    } catch (error) {
      yield* perform(close(temporary.path, temporary.fd));
      throw error;
    } finally {
      yield* this.discard(temporary.name);
    }
  }

  *link(temporary: string, name: string): FileSteps<void> {
    yield* this.#withParent(name, link(this.path(temporary), this.path(name)));
  }

  /** Removes a temporary file. What can't be removed now is swept later. */
  *discard(temporary: string): FileSteps<void> {
    try {
      yield* perform(unlink(this.path(temporary)));
    } catch (error) {
      if (!isFileError(error)) throw error;
    }
  }

  /** Makes the names in a directory durable, and its own; a directory that isn't there has none. */
  *syncNames(directory: string): FileSteps<void> {
    yield* syncDirectory(this.path(directory));
    const synced: string[] = [];
    for (let at = directory; !this.#anchored.has(at); at = parentOf(at)) {
      yield* syncDirectory(this.path(parentOf(at)));
      synced.push(at);
    }
    for (const at of synced) this.#anchored.add(at);
  }

  *#withParent<T>(name: string, call: FileCall<T>): FileSteps<T> {
    for (let round = 1; ; round++) {
      try {
        return yield* perform(call);
      } catch (error) {
        if (!isFileError(error, 'ENOENT') || round === PARENT_ROUNDS_MAX) throw error;
        yield* this.#makeDirectory(parentOf(name));
      }
    }
  }

  *#makeDirectory(directory: string): FileSteps<void> {
    // The store's own directory is made by init alone: one that vanished is an unmounted disk, not a wish for a new store.
    if (directory === '') throw new PeatError('STORE_NOT_FOUND', `the store's directory ${this.root} is gone`);
    this.#anchored.delete(directory);
    for (let round = 1; ; round++) {
      try {
        yield* this.#makeOne(directory);
        return;
      } catch (error) {
        if (isFileError(error, 'EEXIST')) return;
        if (!isFileError(error, 'ENOENT') || round === PARENT_ROUNDS_MAX) throw error;
        yield* this.#makeDirectory(parentOf(directory));
      }
    }
  }

  /** A directory gets its modes before its name, too: otherwise another user might meet one that is closed to it. */
  *#makeOne(directory: string): FileSteps<void> {
    const path = this.path(directory);
    const plain = this.#modes.directoryMode === undefined && this.#modes.group === undefined;
    if (plain || directory === TMP_DIRECTORY) {
      yield* perform(makeDirectory(path));
      if (!plain) yield* this.#setModes(path, this.#modes.directoryMode);
      return;
    }
    const temporary = this.#newTemporaryName();
    const temporaryPath = this.path(temporary);
    yield* this.#withParent(temporary, makeDirectory(temporaryPath));
    try {
      yield* this.#setModes(temporaryPath, this.#modes.directoryMode);
      // If another made the directory meanwhile, this fails, or replaces an empty directory by one that is just the same.
      yield* perform(rename(temporaryPath, path));
    } catch (error) {
      yield* perform(removeDirectory(temporaryPath));
      if (!isFileError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
  }

  /** The group first: changing it may clear bits of the mode. */
  *#setModes(path: string, mode: number | undefined): FileSteps<void> {
    if (this.#modes.group !== undefined) yield* perform(changeGroup(path, this.#modes.group));
    if (mode !== undefined) yield* perform(changeMode(path, mode));
  }

  /** Removes a directory if it is empty. */
  *removeIfEmpty(directory: string): FileSteps<void> {
    try {
      yield* perform(removeDirectory(this.path(directory)));
      this.#anchored.delete(directory);
    } catch (error) {
      if (!isMissing(error) && !isFileError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
  }
}

/** The name of the directory that a name stands in; "" is the store's. */
export function parentOf(name: string): string {
  const slash = name.lastIndexOf('/');
  return slash === -1 ? '' : name.slice(0, slash);
}

/** Makes the names in a directory durable. */
export function* syncDirectory(path: string): FileSteps<void> {
  const fd = yield* perform(open(path, constants.O_RDONLY | constants.O_DIRECTORY));
  try {
    yield* perform(syncAll(path, fd));
  } catch (error) {
    // Some file systems don't sync directories: there a name is as durable as it gets when the call that made it returns.
    if (!isFileError(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
  } finally {
    yield* perform(close(path, fd));
  }
}
