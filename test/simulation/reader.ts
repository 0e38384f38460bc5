/** An actor that only reads: single keys, several, all of them, and snapshots that it comes back to. */
import type { Namespace, Snapshot, Store } from '../../src/index.ts';
import type { Life, Stored } from './life.ts';
import { noteRead, readUpdated, SHARED_KEYS, updatedKeys } from './updater.ts';
import { CONSTANTS, type World } from './world.ts';
import { isBatched } from './writer.ts';

export async function reader(life: Life): Promise<void> {
  await new Reader(life).run();
}

interface Held {
  readonly snapshot: Snapshot<Stored>;
  readonly takenAtMs: number;
  /** What it showed the first time. */
  readonly shown: ReadonlyMap<string, string>;
}

class Reader {
  readonly #life: Life;
  #store: Store | undefined;
  #entries: Namespace<Stored> | undefined;
  #held: Held | undefined;

  constructor(life: Life) {
    this.#life = life;
  }

  async run(): Promise<void> {
    const { world, random } = this.#life;
    while (!world.isClosing) {
      if (this.#store === undefined) ({ store: this.#store, entries: this.#entries } = await this.#open());
      const kind = random.next();
      if (kind < 0.35) await this.#get();
      else if (kind < 0.5) await this.#getMany();
      else if (kind < 0.65) await this.#scan();
      else if (kind < 0.75 || this.#held === undefined) await this.#takeSnapshot();
      else if (kind < 0.92) await this.#readSnapshot(this.#held);
      else if (kind < 0.96) await this.#waitFor();
      else await this.#close();
      await this.#life.pause();
    }
    await this.#close();
  }

  async #open(): Promise<{ store: Store; entries: Namespace<Stored> }> {
    // One that may write finishes a drain that it meets; the other kind waits for others.
    const { random } = this.#life;
    const cacheBytes = random.pick([0, 10_000, 1 << 20]);
    return await this.#life.open(random.chance(0.5) ? { readOnly: true, create: false, cacheBytes } : { cacheBytes });
  }

  async #close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    this.#held = undefined;
    if (store !== undefined) await this.#life.attempt('close', () => store.close());
  }

  async #get(): Promise<void> {
    const { world, random, process } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const own = world.own.names;
    if (own.length === 0 || (world.scenario.updaters > 0 && random.chance(0.3))) {
      await readUpdated(this.#life, entries, [random.pick(updatedKeys(world))]);
      return;
    }
    const key = random.pick(own);
    const span = world.beginRead(process);
    const { result, code } = await this.#life.attempt(`get ${key}`, () => entries.get(key));
    if (code === undefined) world.check(world.own.check(key, result?.id as number | undefined, span.end()), process);
  }

  async #getMany(): Promise<void> {
    const { world, random, process } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const own = world.own.names;
    const updated = world.scenario.updaters > 0 ? random.some(SHARED_KEYS) : [];
    if (own.length === 0 && updated.length === 0) return;
    const keys = own.length === 0 ? [] : [...new Set([...random.some(own).slice(0, 6), ...own.filter(isBatched).slice(-3)])];
    const draft = updated.length === 0 ? undefined : world.updates.begin(this.#life.name, 'getMany', world.moment());
    const span = world.beginRead(process);
    const { result, code } = await this.#life.attempt(`getMany ${keys.length}+${updated.length}`, () =>
      entries.getMany([...keys, ...updated]),
    );
    const ended = span.end();
    if (draft !== undefined) noteRead(world, draft, { keys: updated, values: result?.slice(keys.length), code });
    if (result === undefined) return;
    for (const [i, key] of keys.entries()) world.check(world.own.check(key, result[i]?.id as number | undefined, ended), process);
    checkBatches(this.#life, new Map(keys.flatMap((key, i) => (result[i] === undefined ? [] : [[key, result[i]]]))), new Set(keys));
  }

  async #scan(): Promise<void> {
    const { world, process, random } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const own = world.own.names;
    const span = world.beginRead(process);
    const reverse = random.chance(0.3);
    const { result } = await this.#life.attempt('scan', () => collect(entries.scan({ prefix: 'w-', reverse })));
    if (result === undefined) return;
    const ended = span.end();
    for (const key of new Set([...own, ...result.keys()])) {
      world.check(world.own.check(key, result.get(key)?.id as number | undefined, ended), process);
    }
  }

  async #takeSnapshot(): Promise<void> {
    const { world, process, name } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    this.#held?.snapshot.close();
    this.#held = undefined;
    const own = world.own.names;
    const draft = world.updates.begin(name, 'snapshot', world.moment());
    const span = world.beginRead(process);
    const { result: snapshot } = await this.#life.attempt('snapshot', () => entries.snapshot());
    const ended = span.end();
    draft.endedAt = world.moment();
    const takenAtMs = world.scheduler.nowMs;
    const found = snapshot === undefined ? undefined : (await this.#life.attempt('snapshot scan', () => collect(snapshot.scan()))).result;
    if (snapshot === undefined || found === undefined) {
      draft.outcome = 'fail';
      return;
    }
    const { endedAt } = draft;
    noteRead(world, draft, { keys: SHARED_KEYS, values: SHARED_KEYS.map((key) => found.get(key)) });
    draft.endedAt = endedAt;
    // What expires goes by the clock at the time of the reading.
    const late = { ...ended, wallMs: Number.NEGATIVE_INFINITY, latestWallMs: world.noteClocks() };
    for (const key of new Set([...own, ...found.keys()])) {
      if (!key.startsWith('w-')) continue;
      world.check(world.own.check(key, found.get(key)?.id as number | undefined, late), process);
    }
    checkBatches(this.#life, found, new Set(own));
    this.#held = { snapshot, takenAtMs, shown: idsOf(found) };
  }

  /** As long as it is kept it shows what it showed before, but for what has expired. */
  async #readSnapshot({ snapshot, takenAtMs, shown }: Held): Promise<void> {
    const { world, process } = this.#life;
    const { result, code } = await this.#life.attempt('snapshot reread', () => collect(snapshot.scan()));
    if (code === 'SNAPSHOT_EXPIRED') {
      this.#held = undefined;
      // A clock that stands still, or is stopped with its process, makes it later, never earlier.
      const ageMs = world.scheduler.nowMs - takenAtMs;
      if (ageMs < CONSTANTS.retentionMs) world.violate(`${process.name}: a snapshot expired after ${ageMs} ms`);
    }
    if (result === undefined) return;
    const found = idsOf(result);
    for (const key of new Set([...shown.keys(), ...found.keys()])) {
      if (isExpiring(key) || found.get(key) === shown.get(key)) continue;
      world.violate(`${process.name}: a snapshot changed: ${key} was ${shown.get(key)}, and is ${found.get(key)}`);
    }
  }

  /** What was acknowledged is seen, whoever wrote it. */
  async #waitFor(): Promise<void> {
    const { world, random } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    if (world.tokens.length === 0) return;
    const token = random.pick(world.tokens.slice(-5));
    await this.#life.attempt(`waitFor ${token}`, () => entries.waitFor(token, { timeoutMs: 60_000 }));
  }
}

function isExpiring(key: string): boolean {
  return key.startsWith('w-') && key.includes('/e');
}

export async function collect(entries: AsyncIterable<{ readonly key: string; readonly value: Stored }>): Promise<Map<string, Stored>> {
  const found = new Map<string, Stored>();
  for await (const { key, value } of entries) {
    if (found.has(key)) throw new Error(`a scan shows ${key} twice`);
    found.set(key, value);
  }
  return found;
}

function idsOf(found: ReadonlyMap<string, Stored>): Map<string, string> {
  return new Map([...found].map(([key, { id }]) => [key, String(id)]));
}

/** Keys that are always written together show one write, where they are read at one moment. @param keys those that were asked for */
export function checkBatches(life: Life, found: ReadonlyMap<string, Stored>, keys: ReadonlySet<string>): void {
  const batches = new Map<string, Set<string>>();
  for (const key of keys) {
    if (!isBatched(key)) continue;
    const batch = key.slice(0, key.lastIndexOf('/'));
    batches.set(batch, (batches.get(batch) ?? new Set()).add(String(found.get(key)?.id)));
  }
  const world: World = life.world;
  for (const [batch, ids] of batches) if (ids.size > 1) world.violate(`${life.name}: half a batch of ${batch} is read: ${[...ids].join()}`);
}
