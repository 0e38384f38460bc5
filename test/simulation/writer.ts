/** An actor that writes keys of its own: puts, deletes, batches, puts that expire, several at once, and reads between them. */
import type { Namespace, Store } from '../../src/index.ts';
import { type Hand, type Plan, readOwn, writeMixed, writeOwn } from './acts.ts';
import type { Life, Stored } from './life.ts';

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
      if (kind < 0.6) await writeOwn(this.#hand, this.#plan());
      else if (kind < 0.66) await Promise.all(Array.from({ length: random.between(2, 5) }, () => writeOwn(this.#hand, this.#plan())));
      else if (kind < 0.7) await this.#close();
      else if (kind < 0.8 && this.#mixed !== undefined) await writeMixed(this.#hand, this.#mixed, random.chance(0.75));
      else await this.#read();
      await this.#life.pause();
    }
    await this.#close();
  }

  get #hand(): Hand {
    return { life: this.#life, entries: this.#entries as Namespace<Stored> };
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

  async #read(): Promise<void> {
    const own = this.#life.world.own.names.filter((key) => key.startsWith(this.#prefix));
    if (own.length > 0) await readOwn(this.#hand, this.#life.random.pick(own));
  }
}
