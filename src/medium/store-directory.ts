/** The directory that a store lives in: found, or made with its parents, durably. */
import { dirname } from 'node:path';
import { PeatError } from '../base/errors.ts';
import { changeGroup, changeMode, type FileSteps, isFileError, isMissing, makeDirectory, perform, stat } from './file-calls.ts';
import { type CreationModes, syncDirectory } from './file-tree.ts';

export interface StoreDirectoryOptions {
  readonly create: boolean;
  readonly modes: CreationModes;
}

/** @throws PeatError `STORE_NOT_FOUND` if it is missing and not to be made, or is no directory. */
export function* findStoreDirectory(path: string, { create, modes }: StoreDirectoryOptions): FileSteps<void> {
  try {
    if ((yield* perform(stat(path))).isDirectory()) return;
    throw new PeatError('STORE_NOT_FOUND', `${path} is not a directory`);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  if (!create) throw new PeatError('STORE_NOT_FOUND', `there is no directory ${path}`);
  yield* makeDurably(path);
  if (modes.group !== undefined) yield* perform(changeGroup(path, modes.group));
  if (modes.directoryMode !== undefined) yield* perform(changeMode(path, modes.directoryMode));
}

function* makeDurably(path: string): FileSteps<void> {
  try {
    yield* perform(makeDirectory(path));
  } catch (error) {
    if (isFileError(error, 'EEXIST')) return;
    const parent = dirname(path);
    if (!isFileError(error, 'ENOENT') || parent === path) throw error;
    yield* makeDurably(parent);
    yield* makeDurably(path);
    return;
  }
  yield* syncDirectory(dirname(path));
}
