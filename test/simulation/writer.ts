/** An actor that writes keys of its own: puts, deletes, batches, puts that expire, several at once, and reads between them. */
import type { Namespace, Operation, Store } from '../../src/index.ts';
import type { Life, Stored } from './life.ts';
import type { Write } from './own-keys.ts';

const SINGLES = 4;
const BATCHED = 3;
const EXPIRING = 2;

/** Keys that are always written together. */
export function isBatched(key: string): boolean {
  return key.startsWith('w-') && key.includes('/b');
}

export async function writer(life: Life): Promise<void> {
  await new Writer(life).run();
}

interface Plan {
  readonly keys: readonly string[];
  readonly puts: boolean;
  readonly expiresAtMs?: number;
}

class Writer {
  readonly #life: Life;
  readonly #prefix: string;
  readonly #mixed: string | undefined;
  #store: Store | undefined;
  #entries: Namespace<Stored> | undefined;

  constructor(life: Life) {
    const { world } = life;
    this.#life = life;
    this.#prefix = `w-${life.name}/`;
    const { updaters, durability } = world.scenario;
    if (updaters > 0 && durability === 'sync' && life.random.chance(0.5)) {
      this.#mixed = `m-${life.name}`;
      world.mixedKeys.push(this.#mixed);
    }
  }

  async run(): Promise<void> {
    const { world, random } = this.#life;
    while (!world.isClosing) {
      if (this.#store === undefined) await this.#open();
      const kind = random.next();
      if (kind < 0.6) await this.#write(this.#plan());
      else if (kind < 0.66) await Promise.all(Array.from({ length: random.between(2, 5) }, () => this.#write(this.#plan())));
      else if (kind < 0.7) await this.#close();
      else if (kind < 0.8 && this.#mixed !== undefined) await this.#writeMixed(this.#mixed);
      else await this.#read();
      await this.#life.pause();
    }
    await this.#close();
  }

  async #open(): Promise<void> {
    const { world, process } = this.#life;
    ({ store: this.#store, entries: this.#entries } = await this.#life.open());
    if (world.scenario.faults.clockJumps === 0) return;
    // What an earlier handle wrote is newer for sure only to one that has seen it, since the clock may have been set back.
    const entries = this.#entries;
    const see = (): Promise<{ code?: string }> => this.#life.attempt('see', () => entries.get(`${this.#prefix}k0`));
    while ((await see()).code !== undefined) await process.sleep(1000);
  }

  async #close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    if (store !== undefined) await this.#life.attempt('close', () => store.close());
  }

  #plan(): Plan {
    const { random, process } = this.#life;
    const kind = random.next();
    const keys = (letter: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${this.#prefix}${letter}${i}`);
    if (kind < 0.2) return { keys: keys('b', BATCHED), puts: random.chance(0.8) };
    if (kind < 0.35) {
      return {
        keys: [random.pick(keys('e', EXPIRING))],
        puts: true,
        expiresAtMs: process.wallNowMs() + Math.floor(random.spread(1000, 3_600_000)),
      };
    }
    return { keys: [random.pick(keys('k', SINGLES))], puts: random.chance(0.65) };
  }

  /** Its fate is told as soon as the call has ended; the calls of several at once keep their order. */
  async #write({ keys, puts, expiresAtMs = 0 }: Plan): Promise<void> {
    const { world } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const id = world.nextId();
    const value: Stored = { id, pad: this.#life.pad() };
    const isDurable = world.scenario.durability === 'sync';
    const writes = keys.map((key) => world.own.call({ key, id, puts, expiresAtMs, isDurable, calledAt: world.moment() }));
    const { result, code } = await this.#life.attempt(`${puts ? 'put' : 'delete'} ${keys.join()} ${id}`, async () => {
      const operations = keys.map((key): Operation<Stored> => {
        return puts ? { type: 'put', key, value, ...(expiresAtMs === 0 ? {} : { expiresAt: expiresAtMs }) } : { type: 'delete', key };
      });
      if (world.scenario.medium.blocking && this.#life.random.chance(0.3)) return entries.batchSync(operations);
      return await entries.batch(operations);
    });
    this.#settle(writes, code);
    if (result !== undefined) world.noteWritten(result);
    if (code !== undefined) return;
    // Own writes are always seen.
    if (this.#life.random.chance(0.2)) await this.#readKey(keys[0] as string);
  }

  #settle(writes: readonly Write[], code: string | undefined): void {
    const { world, process } = this.#life;
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

  /** A blind write of a key that others update. */
  async #writeMixed(key: string): Promise<void> {
    const { world, name, random } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const draft = world.updates.begin(name, 'blind', world.moment());
    const puts = random.chance(0.75);
    world.updates.tries(draft, { reads: {}, writes: { [key]: puts ? draft.id : null } });
    const { code } = await this.#life.attempt(`blind ${puts ? 'put' : 'delete'} ${key} ${draft.id}`, () =>
      puts ? entries.put(key, { id: draft.id }) : entries.delete(key),
    );
    draft.endedAt = world.moment();
    draft.code = code;
    draft.outcome = code === undefined ? 'ok' : code === 'OUTCOME_UNKNOWN' ? 'unknown' : 'fail';
  }

  async #read(): Promise<void> {
    const own = this.#life.world.own.names.filter((key) => key.startsWith(this.#prefix));
    if (own.length > 0) await this.#readKey(this.#life.random.pick(own));
  }

  async #readKey(key: string): Promise<void> {
    const { world, process } = this.#life;
    const entries = this.#entries as Namespace<Stored>;
    const span = world.beginRead(process);
    const { result, code } = await this.#life.attempt(`get ${key}`, () => entries.get(key));
    if (code === undefined) world.check(world.own.check(key, result?.id as number | undefined, span.end()), process);
  }
}
