/**
 * Removes temporary files that their writers left behind when they died. One that is being written is minutes
 * old at most; an hour is generous, and a writer that sleeps longer finds its file gone and fails, which loses nothing.
 */
import type { System } from '../base/system.ts';
import { TMP_PREFIX } from '../format/layout.ts';
import type { Medium } from './medium.ts';

export const TMP_AGE_MS_MAX: number = 60 * 60_000;

/** Ages are by the medium's clock where it has one of its own. Returns the names that were removed. */
export async function sweepTmp(medium: Medium, system: System): Promise<string[]> {
  const temporary = await medium.list(TMP_PREFIX, { stats: true });
  if (temporary.length === 0) return [];
  const nowMs = (await medium.nowMs()) ?? system.wallNowMs();
  const old = temporary.filter(({ modifiedMs }) => modifiedMs !== undefined && nowMs - modifiedMs > TMP_AGE_MS_MAX);
  const names = old.map(({ name }) => name);
  await medium.delete(names);
  return names;
}
