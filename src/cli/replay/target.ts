/** Where a replay goes: a store that stays, or a temporary one that is removed at the end, however that comes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../datastore/open.ts';

export interface ReplayTarget {
  readonly location: string;
  /** Removes what is temporary. */
  remove(): void;
}

/** @throws Error if the namespace has entries: they would be taken for the replay's. */
export async function createNamespaceIfEmpty(options: { location: string | undefined; namespace: string }): Promise<ReplayTarget> {
  const { namespace } = options;
  const location = options.location ?? mkdtempSync(join(tmpdir(), 'peat-replay-'));
  const remove = (): void => {
    if (options.location === undefined) rmSync(location, { recursive: true, force: true });
  };
  process.once('exit', remove);
  try {
    const store = await open(location);
    try {
      await store.createNamespace(namespace);
      for await (const { key } of store.namespace(namespace).scan({ limit: 1, values: false })) {
        throw new Error(`namespace ${namespace} of ${location} is not empty (it has ${JSON.stringify(key)}); choose another one with -n`);
      }
    } finally {
      await store.close();
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { location, remove };
}
