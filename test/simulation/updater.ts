/** An actor that reads and writes as one step: `update`, `updateMany`, `putIf`, of keys that it shares with others. */
import { DELETE, type Namespace, type Store, type Updated } from '../../src/index.ts';
import type { Value } from '../support/history.ts';
import { endDraft } from './acts.ts';
import type { Life, Stored } from './life.ts';
import type { Draft } from './update-history.ts';
import type { World } from './world.ts';

export const SHARED_KEYS: readonly string[] = ['u0', 'u1', 'u2', 'u3', 'u4', 'u5'];
/** Seldom longer than an update may take. */
const THINK_MS_MAX = 12_000;

/** All that updates may touch. */
export function updatedKeys(world: World): string[] {
  return [...SHARED_KEYS, ...world.mixedKeys];
}

export function idOf(stored: Stored | undefined): Value {
  return stored === undefined ? null : String(stored.id);
}

export async function updater(life: Life): Promise<void> {
  await new UpdaterActor(life).run();
}

class UpdaterActor {
  readonly #life: Life;
  #store: Store | undefined;
  #entries: Namespace<Stored> | undefined;

  constructor(life: Life) {
    this.#life = life;
  }

  async run(): Promise<void> {
    const { world, random } = this.#life;
    while (!world.isClosing) {
      if (this.#store === undefined) ({ store: this.#store, entries: this.#entries } = await this.#life.open());
      const kind = random.next();
      if (kind < 0.5) await this.#update();
      else if (kind < 0.7) await this.#updateMany();
      else if (kind < 0.8) await this.#putIf();
      else if (kind < 0.97) await this.#read();
      else await this.#close();
      if (random.chance(0.7)) await this.#life.pause();
    }
    await this.#close();
  }

  async #close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    if (store !== undefined) await this.#life.attempt('close', () => store.close());
  }

  #key(): string {
    const { random, world } = this.#life;
    const { mixedKeys } = world;
    return mixedKeys.length > 0 && random.chance(0.4) ? random.pick(mixedKeys.slice(-2)) : random.pick(SHARED_KEYS);
  }

  /** What it would write at each key, having read these values. */
  #decide(draft: Draft, keys: readonly string[], values: readonly (Stored | undefined)[]): Updated<Stored>[] {
    const { world, random } = this.#life;
    const reads: Record<string, Value> = {};
    const writes: Record<string, Value> = {};
    const updated = keys.map((key, i): Updated<Stored> => {
      reads[key] = idOf(values[i]);
      const kind = random.next();
      if (kind < 0.1) return undefined;
      // A key that is not there is not deleted.
      if (kind < 0.3) {
        if (reads[key] !== null) writes[key] = null;
        return DELETE;
      }
      // Another run of the function is another write.
      const id = `${draft.id}.${world.nextId()}`;
      writes[key] = id;
      return { id, pad: this.#life.pad() };
    });
    world.updates.tries(draft, { reads, writes });
    return updated;
  }

  async #think(): Promise<void> {
    const { random, process } = this.#life;
    if (random.chance(0.2)) await process.sleep(random.spread(1, THINK_MS_MAX));
  }

  async #update(): Promise<void> {
    const { world, name } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const key = this.#key();
    const draft = world.updates.begin(name, 'update', world.moment());
    const { code } = await this.#life.attempt(`update ${key} ${draft.id}`, async () => {
      await entries.update(key, async (value) => {
        await this.#think();
        return this.#decide(draft, [key], [value])[0];
      });
    });
    endDraft(world, draft, code);
  }

  async #updateMany(): Promise<void> {
    const { world, name, random } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const keys = random.some(SHARED_KEYS).slice(0, 3);
    const draft = world.updates.begin(name, 'updateMany', world.moment());
    const { code } = await this.#life.attempt(`updateMany ${keys.join()} ${draft.id}`, async () => {
      await entries.updateMany(keys, async (values) => {
        await this.#think();
        return this.#decide(draft, keys, values);
      });
    });
    endDraft(world, draft, code);
  }

  /** Puts in place of what it has read, if that is still there. */
  async #putIf(): Promise<void> {
    const { world, name } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const key = this.#key();
    const { result: entry, code: readCode } = await this.#life.attempt(`getEntry ${key}`, () => entries.getEntry(key));
    if (readCode !== undefined) return;
    await this.#think();
    const draft = world.updates.begin(name, 'putIf', world.moment());
    world.updates.tries(draft, { reads: { [key]: idOf(entry?.value) }, writes: { [key]: draft.id } });
    const condition = entry === undefined ? ({ ifAbsent: true } as const) : { ifStamp: entry.stamp };
    const { result, code } = await this.#life.attempt(`putIf ${key} ${draft.id}`, () => entries.putIf(key, { id: draft.id }, condition));
    if (result?.ok === false) world.updates.tries(draft, { reads: { [key]: idOf(result.value) }, writes: {} });
    endDraft(world, draft, code);
  }

  async #read(): Promise<void> {
    await readUpdated(this.#life, this.#entries as Namespace<Stored>, [this.#key()]);
  }
}

/** Reads keys, several at one moment, and notes what was there. Of keys that are written blindly, too, only one: their order is not that of the others. */
export async function readUpdated(life: Life, entries: Namespace<Stored>, keys: readonly string[]): Promise<void> {
  const { world, name } = life;
  const draft = world.updates.begin(name, 'get', world.moment());
  const { result, code } = await life.attempt(`get ${keys.join()} ${draft.id}`, () =>
    keys.length === 1 ? entries.get(keys[0] as string).then((value) => [value]) : entries.getMany(keys),
  );
  noteRead(world, draft, { keys, values: result, code });
}

export function noteRead(
  world: World,
  draft: Draft,
  { keys, values, code }: { keys: readonly string[]; values: readonly (Stored | undefined)[] | undefined; code?: string | undefined },
): void {
  world.updates.tries(draft, { reads: Object.fromEntries(keys.map((key, i) => [key, idOf(values?.[i])])), writes: {} });
  draft.endedAt = world.moment();
  draft.code = code;
  draft.outcome = code === undefined ? 'ok' : 'fail';
}
