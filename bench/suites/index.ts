/** The suites, in the order in which they run. */
import type { Suite } from '../harness/suite.ts';

const LOADERS: Readonly<Record<string, () => Promise<{ readonly suite: Suite }>>> = {
  append: () => import('./append.ts'),
  reproduction: () => import('./reproduction.ts'),
  flat: () => import('./flat.ts'),
  cold: () => import('./cold.ts'),
  read: () => import('./read.ts'),
  update: () => import('./update.ts'),
  load: () => import('./load.ts'),
  polling: () => import('./polling.ts'),
  metadata: () => import('./metadata.ts'),
  bucket: () => import('./bucket.ts'),
  replay: () => import('./replay.ts'),
};

export const SUITES: readonly string[] = Object.keys(LOADERS);

export async function suiteNamed(name: string): Promise<Suite> {
  const load = LOADERS[name];
  if (load === undefined) throw new RangeError(`there is no suite ${JSON.stringify(name)}; there are ${SUITES.join(', ')}`);
  return (await load()).suite;
}
