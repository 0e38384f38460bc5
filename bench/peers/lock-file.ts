/** The lock that many command-line tools use: a file that is created exclusively, polled for, and waited for up to a minute. */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export const LOCK_POLL_MS = 10;
export const LOCK_TIMEOUT_MS = 60_000;

export class LockTimeoutError extends Error {}

/** @throws LockTimeoutError when it could not be had in time. */
export async function withLockFile<T>(path: string, work: () => T | Promise<T>, timeoutMs: number = LOCK_TIMEOUT_MS): Promise<T> {
  const startMs = performance.now();
  while (!tryLock(path)) {
    if (performance.now() - startMs > timeoutMs) throw new LockTimeoutError(`the lock ${path} was not free for ${timeoutMs / 1000} s`);
    await delay(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    unlinkSync(path);
  }
}

function tryLock(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
