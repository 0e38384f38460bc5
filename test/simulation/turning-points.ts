/**
 * Moments that matter to those who are slow: a root has come to be, a drain has begun, a horizon has moved. A call that is held up, or a
 * process that is suspended, goes on more often just after one of them than chance alone would have it.
 */
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

const KINDS = ['root', 'drain', 'horizon'] as const;
export type TurningPoint = (typeof KINDS)[number];

interface Waiter {
  readonly kind: TurningPoint;
  left: number;
  readonly go: () => void;
}

/** Who waits for what does not come goes on all the same. */
const PATIENCE_MS = 30 * 60_000;
const AFTER_MS_MAX = 20_000;

export class TurningPoints {
  readonly #scheduler: Scheduler;
  #waiters: Waiter[] = [];
  #known = { drain: 0, horizon: 0 };

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Whether someone waits already: the more do, the less there is to wait for. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** A root was put. */
  note({ drain, horizon }: { readonly drain: number; readonly horizon: number }): void {
    const met = new Set<TurningPoint>(['root']);
    if (drain > Math.max(horizon, this.#known.drain)) met.add('drain');
    if (horizon > this.#known.horizon) met.add('horizon');
    this.#known = { drain: Math.max(drain, this.#known.drain), horizon: Math.max(horizon, this.#known.horizon) };
    for (const waiter of this.#waiters) if (met.has(waiter.kind)) waiter.left--;
    const over = this.#waiters.filter(({ left }) => left <= 0);
    this.#waiters = this.#waiters.filter(({ left }) => left > 0);
    for (const { go } of over) go();
  }

  /** Calls back a little while after some turning point that is still to come. */
  after(random: Random, run: () => void): void {
    const kind = random.chance(0.6) ? 'root' : random.pick(KINDS);
    let isOver = false;
    const go = (): void => {
      if (isOver) return;
      isOver = true;
      this.#waiters = this.#waiters.filter((waiter) => waiter.go !== go);
      this.#scheduler.after(random.spread(0.1, AFTER_MS_MAX), run);
    };
    this.#waiters.push({ kind, left: kind === 'root' ? random.between(1, 3) : 1, go });
    this.#scheduler.after(PATIENCE_MS, go);
  }
}
