/**
 * Where the lock files of a store are: in the store, or, if it says so (`lockDir`, for stores of one host whose data is on a slow or remote file
 * system), in a directory of its own in another place. Every process goes by what `peat.json` says, so all meet at one place.
 *
 * The election of a compactor stays with the data: tools that mend a store, `peat.json` included, must find it.
 */
import { join } from 'node:path';
import { isPeatError, PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { StoreFile } from '../format/store-file.ts';
import { FileMedium } from '../medium/file-medium.ts';
import type { Medium } from '../medium/medium.ts';

export interface LockPlaceContext {
  readonly system: System;
  readonly readOnly: boolean;
}

/**
 * The medium of a store that has a `lockDir`. Undefined if nobody has locked anything there yet, and the store is only read.
 *
 * @throws PeatError `MEDIUM_UNSUITABLE` if `lockDir` is not there.
 */
export function openLockPlace(file: StoreFile & { readonly lockDir: string }, context: LockPlaceContext): FileMedium | undefined {
  const { lockDir, storeId, fileMode, directoryMode, group } = file;
  const { system, readOnly } = context;
  checkLockDirectory(lockDir, system);
  const modes = readOnly ? {} : { fileMode, directoryMode, group };
  try {
    return FileMedium.open(join(lockDir, storeId), { system, readOnly, create: !readOnly, ...modes });
  } catch (error) {
    if (readOnly && isPeatError(error, 'STORE_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** @throws PeatError `MEDIUM_UNSUITABLE` */
export function checkLockDirectory(lockDir: string, system: System): void {
  let medium: Medium;
  try {
    medium = FileMedium.open(lockDir, { system, readOnly: true });
  } catch (error) {
    if (!isPeatError(error, 'STORE_NOT_FOUND')) throw error;
    throw new PeatError('MEDIUM_UNSUITABLE', `the store keeps its locks in ${lockDir}, which is no directory: ${error.message}`, {
      cause: error,
    });
  }
  void medium.close();
}
