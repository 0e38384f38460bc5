/** Finds out what kind of history a path is. */
import { stat } from 'node:fs/promises';
import type { HistorySource } from './history.ts';

export async function openHistory(path: string, signal: AbortSignal): Promise<HistorySource> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error(`there is neither a checkout nor a file at ${path}`) : error;
  });
  if (found.isDirectory()) return await (await import('./git-repository.ts')).GitRepository.open(path, signal);
  return new (await import('./history-file.ts')).HistoryFile(path);
}
