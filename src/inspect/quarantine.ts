/** Copies of damaged files, under their old names, before anything is changed. */
import { PeatError } from '../base/errors.ts';
import type { Medium } from '../medium/medium.ts';
import { QUARANTINE_PREFIX } from './store-names.ts';

const COPIES_MAX = 1000;

/** Returns the copy's name; undefined if the file is gone. The same bytes are copied once. */
export async function quarantine(medium: Medium, name: string): Promise<string | undefined> {
  const bytes = await medium.get(name);
  if (bytes === undefined) return undefined;
  for (let i = 1; i < COPIES_MAX; i++) {
    const copy = `${QUARANTINE_PREFIX}${name}${i === 1 ? '' : `~${i}`}`;
    if (await medium.putIfAbsent(copy, bytes)) return copy;
    if ((await medium.get(copy))?.equals(bytes) === true) return copy;
  }
  throw new PeatError('STORAGE', `there are ${COPIES_MAX} copies of ${name} in quarantine`, { file: name });
}
