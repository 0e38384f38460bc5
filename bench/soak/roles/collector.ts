/** The collection of garbage: deletes the runs of the pollers but for the newest, a few at a time, and sees that none comes back. */
import type { Actor } from '../actor.ts';
import { NAMESPACE, namesOf, RUNS_KEPT, runPrefix } from '../plan.ts';

const BATCH_MAX = 7;
const EVERY_MS = 2000;

export async function collect({ store, telemetry, stop, pause }: Actor): Promise<void> {
  const runs = store.namespace(NAMESPACE);
  /** The newest key of each prefix that was deleted. */
  const deleted = new Map<string, string>();
  while (!stop.aborted) {
    for (const poller of namesOf('poller')) {
      if (stop.aborted) break;
      const prefix = runPrefix(poller);
      const keys: string[] = [];
      for await (const { key } of runs.scan({ prefix, values: false })) keys.push(key);
      const newest = deleted.get(prefix) ?? '';
      const back = keys.filter((key) => key <= newest);
      telemetry.expect(back.length === 0, () => `${back.length} deleted keys came back, the first is ${back[0]}`);
      const old = keys.slice(0, Math.max(0, keys.length - RUNS_KEPT));
      for (let at = 0; at < old.length; at += BATCH_MAX) {
        const some = old.slice(at, at + BATCH_MAX);
        await telemetry.time('collection of 7', () => runs.batch(some.map((key) => ({ type: 'delete', key }))));
        deleted.set(prefix, some.at(-1) as string);
      }
    }
    await pause(EVERY_MS);
  }
}
