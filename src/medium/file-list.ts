/**
 * `list` on a file system: all files below a directory, in byte order of their whole names.
 *
 * Each directory is read by one `readdir`. What vanishes while the listing runs (a deleted file, an emptied
 * segment's directory) is left out, as if it had gone before. Left out, too, are names that can't be ours: those that start with a dot, such as
 * NFS's `.nfs0001`, the remains of a file that was deleted while it was open.
 */
import type { Dirent } from 'node:fs';
import { type FileSteps, isFileError, isMissing, perform, performAll, readDirectory, stat } from './file-calls.ts';
import type { FileTree } from './file-tree.ts';
import type { ListedObject, ListOptions } from './medium.ts';

/** Names in a store have fewer parts. What lies deeper is none of ours, and links may lead in circles. */
const DEPTH_MAX = 8;

export function* list(tree: FileTree, prefix: string, options: ListOptions): FileSteps<ListedObject[]> {
  const names: string[] = [];
  yield* collect(tree, prefix, { options, into: names });
  // Names are ASCII: the order of UTF-16 units is the order of bytes.
  names.sort();
  if (options.stats !== true) return names.map((name) => ({ name }));
  return yield* withStats(tree, names);
}

/** The names of the directories directly below a directory, in order. */
export function* listFolders(tree: FileTree, prefix: string): FileSteps<string[]> {
  const folders: string[] = [];
  for (const entry of yield* readIfThere(tree.path(prefix.slice(0, -1)))) {
    if (!entry.name.startsWith('.') && (yield* isDirectory(tree, prefix + entry.name, entry))) folders.push(entry.name);
  }
  return folders.sort();
}

function* collect(tree: FileTree, prefix: string, context: { options: ListOptions; into: string[] }): FileSteps<void> {
  const { options, into } = context;
  const after = options.after ?? '';
  options.signal?.throwIfAborted();
  for (const entry of yield* readIfThere(tree.path(prefix.slice(0, -1)))) {
    if (entry.name.startsWith('.')) continue;
    const name = prefix + entry.name;
    if (yield* isDirectory(tree, name, entry)) {
      if (name.split('/').length > DEPTH_MAX) continue;
      const below = `${name}/`;
      // A directory whose names all come before `after` need not be read.
      if (below >= after || after.startsWith(below)) yield* collect(tree, below, context);
    } else if (name > after) {
      into.push(name);
    }
  }
}

function* readIfThere(path: string): FileSteps<readonly Dirent[]> {
  try {
    return yield* perform(readDirectory(path));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** A symbolic link counts as what it leads to: a namespace may live on another disk. */
function* isDirectory(tree: FileTree, name: string, entry: Dirent): FileSteps<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return (yield* perform(stat(tree.path(name)))).isDirectory();
  } catch (error) {
    // Whoever wants to read it will be told.
    if (isMissing(error) || isFileError(error, 'ELOOP')) return false;
    throw error;
  }
}

function* withStats(tree: FileTree, names: readonly string[]): FileSteps<ListedObject[]> {
  const results = yield* performAll(names.map((name) => stat(tree.path(name))));
  const listed: ListedObject[] = [];
  for (const [i, result] of results.entries()) {
    if ('error' in result) {
      if (isMissing(result.error)) continue;
      throw result.error;
    }
    const { size, mtimeMs } = result.value as { size: number; mtimeMs: number };
    listed.push({ name: names[i] as string, size, modifiedMs: mtimeMs });
  }
  return listed;
}
