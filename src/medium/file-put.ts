/**
 * `putIfAbsent` on a file system: an object appears whole, or not at all.
 *
 * 1. Write a temporary file under `tmp/`, sync its data, close it (which on a network file system is what
 *    sends the data off). 2. `link` it to its name: the one step that decides. 3. Sync the directory. 4. Remove the temporary name.
 *
 * Not `rename`, which replaces what is there, and not an exclusive create, which shows an empty file first. A crash before 2 leaves
 * nothing but a temporary file, which is swept when it is an hour old; a crash after 2 leaves the object, durable or not,
 * and its caller without an answer.
 *
 * `link` may fail with EEXIST although it did it: a network file system executes a request again whose answer was lost.
 * So EEXIST is judged by what stands there: the same inode, or the same bytes (every object carries a nonce), are mine. The
 * temporary file stays until that is decided. From step 2 on a failure leaves the outcome open, and is
 * reported as `OUTCOME_UNKNOWN`; one before it means that nothing was created.
 */
import { constants } from 'node:fs';
import { PeatError } from '../base/errors.ts';
import {
  close,
  type FileCallError,
  type FileSteps,
  isFileError,
  isMissing,
  isTransient,
  perform,
  statExact,
  storageError,
  syncData,
  write,
} from './file-calls.ts';
import { readWhole } from './file-reader.ts';
import { type FileTree, parentOf } from './file-tree.ts';

export interface PutRequest {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly durable: boolean;
  /** True if a lost answer can make one `link` look like two. */
  readonly isRemote: boolean;
}

export function* putIfAbsent(tree: FileTree, request: PutRequest): FileSteps<boolean> {
  const { name, path, fd } = yield* tree.createTemporary(constants.O_WRONLY);
  try {
    yield* fill(path, fd, request);
    return yield* publish(tree, name, request);
  } finally {
    yield* tree.discard(name);
  }
}

/** Writes the bytes and closes, whatever happens; an error of the close counts, since the data may be sent off by it. */
function* fill(path: string, fd: number, { bytes, durable }: PutRequest): FileSteps<void> {
  try {
    let written = 0;
    while (written < bytes.length) written += yield* perform(write(path, fd, written === 0 ? bytes : bytes.subarray(written)));
    if (durable) yield* perform(syncData(path, fd));
  } catch (error) {
    try {
      yield* perform(close(path, fd));
    } catch {
      // The first error says more.
    }
    throw error;
  }
  yield* perform(close(path, fd));
}

function* publish(tree: FileTree, temporary: string, request: PutRequest): FileSteps<boolean> {
  let linkError: FileCallError | undefined;
  try {
    yield* tree.link(temporary, request.name);
  } catch (error) {
    if (!isFileError(error)) throw error;
    if (isTransient(error)) throw outcomeUnknown(request.name, error);
    if (error.code !== 'EEXIST') throw error;
    linkError = error;
  }
  try {
    if (linkError !== undefined && !(yield* isMine(tree, temporary, { request, linkError }))) return false;
    if (request.durable) yield* tree.syncNames(parentOf(request.name));
    return true;
  } catch (error) {
    throw isFileError(error) ? outcomeUnknown(request.name, error) : error;
  }
}

/** The name is taken: by this very call, by an earlier one with the same bytes, or by somebody else? */
function* isMine(
  tree: FileTree,
  temporary: string,
  { request, linkError }: { request: PutRequest; linkError: FileCallError },
): FileSteps<boolean> {
  try {
    const there = yield* perform(statExact(tree.path(request.name)));
    const mine = yield* statIfThere(tree.path(temporary));
    if (mine !== undefined && mine.ino === there.ino && mine.dev === there.dev) return true;
    if (there.size !== BigInt(request.bytes.length)) return false;
    return (yield* readWhole(tree, request.name)).equals(request.bytes);
  } catch (error) {
    if (!isMissing(error)) throw error;
    // It was there, and was deleted since. If `link` was executed once, that was not mine.
    if (request.isRemote || linkError.attempts > 1) throw outcomeUnknown(request.name, linkError);
    return false;
  }
}

function* statIfThere(path: string): FileSteps<{ readonly ino: bigint; readonly dev: bigint } | undefined> {
  try {
    return yield* perform(statExact(path));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function outcomeUnknown(name: string, error: FileCallError): PeatError {
  const { message } = storageError(error, name);
  return new PeatError('OUTCOME_UNKNOWN', `${name} may or may not have been created: ${message}`, { cause: error.cause, file: name });
}
