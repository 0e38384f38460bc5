/** One life of an actor: a process with a store of its own, from its start to its end or its death. */
import { type Namespace, type OpenOptions, open, type Store } from '../../src/index.ts';
import { mediumFor } from './medium.ts';
import type { SimulatedProcess } from './process.ts';
import type { Random } from './random.ts';
import { type Attempted, NAMESPACE, type World } from './world.ts';

export interface LifeOptions {
  readonly world: World;
  readonly process: SimulatedProcess;
  /** How often the actor was restarted. */
  readonly number: number;
}

/** The stored values: who wrote it, and padding so that sizes differ. */
export interface Stored {
  readonly id: number | string;
  readonly pad?: string;
}

const RETRY_MS = 5000;

export class Life {
  readonly world: World;
  readonly process: SimulatedProcess;
  readonly number: number;
  readonly random: Random;

  constructor({ world, process, number }: LifeOptions) {
    this.world = world;
    this.process = process;
    this.number = number;
    this.random = process.random.fork('life');
  }

  get name(): string {
    return this.process.name;
  }

  /** Opens the store, again and again while that fails. */
  async open(options: OpenOptions = {}): Promise<{ store: Store; entries: Namespace<Stored> }> {
    const { world, process } = this;
    for (;;) {
      const { result: store } = await this.attempt('open', () =>
        open(mediumFor(process, world), {
          system: process,
          create: true,
          durability: world.scenario.durability,
          segmentBytesMax: this.random.pick([1024, 4096, 1 << 20]),
          autoCompact: this.random.chance(0.5),
          drainWaitMs: 120_000,
          onWarning: ({ code, message }) => {
            world.scheduler.trace(`${process.name} warns: ${message}`);
            if (code === 'damage') world.violate(`${process.name} warns of damage: ${message}`);
          },
          ...options,
        }),
      );
      if (store !== undefined) return { store, entries: store.namespace<Stored>(NAMESPACE) };
      await process.sleep(RETRY_MS);
    }
  }

  attempt<T>(what: string, run: () => Promise<T>): Promise<Attempted<T>> {
    return this.world.attempt(this.process, { what, run });
  }

  /** Between two operations: often so short that many are under way at once, and often long enough for things to age. */
  async pause(): Promise<void> {
    const { lengthMs, operations, latencyMs } = this.world.scenario;
    const longMs = (2 * lengthMs) / operations;
    const isShort = this.random.chance(0.6);
    await this.process.sleep(isShort ? this.random.spread(latencyMs / 10, latencyMs * 20) : this.random.spread(longMs / 10, longMs * 5));
  }

  pad(): string {
    return 'x'.repeat(Math.floor(this.random.spread(1, 1500)));
  }
}
