/** Single calls of actors, each with a note of what was promised, or a check of what was read. */
import type { Namespace, Operation } from '../../src/index.ts';
import type { Life, Stored } from './life.ts';
import type { Write } from './own-keys.ts';
import type { Draft } from './update-history.ts';
import type { World } from './world.ts';

/** Who calls, and through what. */
export interface Hand {
  readonly life: Life;
  readonly entries: Namespace<Stored>;
}

export interface Plan {
  readonly keys: readonly string[];
  readonly puts: boolean;
  readonly expiresAtMs?: number;
}

/** Writes keys that nobody else writes. Its fate is told as soon as the call has ended; the calls of several at once keep their order. */
export async function writeOwn({ life, entries }: Hand, { keys, puts, expiresAtMs = 0 }: Plan): Promise<void> {
  const { world } = life;
  const id = world.nextId();
  const value: Stored = { id, pad: life.pad() };
  const isDurable = world.scenario.durability === 'sync';
  const writes = keys.map((key) => world.own.call({ key, id, puts, expiresAtMs, isDurable, calledAt: world.moment() }));
  const { result, code } = await life.attempt(`${puts ? 'put' : 'delete'} ${keys.join()} ${id}`, async () => {
    const operations = keys.map((key): Operation<Stored> => {
      return puts ? { type: 'put', key, value, ...(expiresAtMs === 0 ? {} : { expiresAt: expiresAtMs }) } : { type: 'delete', key };
    });
    if (world.scenario.medium.blocking && life.random.chance(0.3)) return entries.batchSync(operations);
    return await entries.batch(operations);
  });
  settleWrites(life, writes, code);
  if (result !== undefined) world.noteWritten(result);
  if (code !== undefined) return;
  // Own writes are always seen.
  if (life.random.chance(0.2)) await readOwn({ life, entries }, keys[0] as string);
}

function settleWrites({ world, process }: Life, writes: readonly Write[], code: string | undefined): void {
  for (const write of writes) {
    // A power cut has settled what it met.
    if (write.state !== 'pending') continue;
    if (code === undefined) {
      write.state = 'acknowledged';
      write.acknowledgedAt = world.moment();
    } else if (code === 'OUTCOME_UNKNOWN') {
      write.state = 'unknown';
    } else {
      world.check(world.own.fail(write), process);
    }
  }
}

/** Reads a key that one process writes. */
export async function readOwn({ life, entries }: Hand, key: string): Promise<void> {
  const { world, process } = life;
  const span = world.beginRead(process);
  const { result, code } = await life.attempt(`get ${key}`, () => entries.get(key));
  if (code === undefined) world.check(world.own.check(key, result?.id as number | undefined, span.end()), process);
}

/** Writes a key blindly that others update. */
export async function writeMixed({ life, entries }: Hand, key: string, puts: boolean): Promise<void> {
  const { world, name } = life;
  const draft = world.updates.begin(name, 'blind', world.moment());
  world.updates.tries(draft, { reads: {}, writes: { [key]: puts ? draft.id : null } });
  const { code } = await life.attempt(`blind ${puts ? 'put' : 'delete'} ${key} ${draft.id}`, () =>
    puts ? entries.put(key, { id: draft.id }) : entries.delete(key),
  );
  endDraft(world, draft, code);
}

export function endDraft(world: World, draft: Draft, code: string | undefined): void {
  draft.endedAt = world.moment();
  draft.code = code;
  draft.outcome = code === undefined ? 'ok' : code === 'OUTCOME_UNKNOWN' ? 'unknown' : 'fail';
}
