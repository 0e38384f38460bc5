/**
 * Events of one local folder, not of those below it: which names came, went or changed. Hints and nothing more: they may be lost, and
 * come late or twice. Who needs to know looks again by itself after a while.
 */
import { watch } from 'node:fs';
import { join } from 'node:path';

export interface FolderWatch {
  /** No event comes after it. Idempotent. */
  close(): void;
}

/**
 * Calls `onName` with each name; with undefined where the system does not tell which. It does not keep the process alive. Undefined if
 * the folder can't be watched: it is not there, or too many are watched. A watch that fails later falls silent.
 */
export function watchFolder(directory: string, prefix: string, onName: (name: string | undefined) => void): FolderWatch | undefined {
  try {
    const watcher = watch(join(directory, prefix), { persistent: false }, (_, name) => onName(name ?? undefined));
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
