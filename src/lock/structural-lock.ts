/**
 * The structural lock excludes all named locks of a store (rule C6), without a window: either side first has its ticket, and then looks at
 * the other side. So of two that meet, one sees the other.
 *
 * A named locker at its turn sees a live ticket here, holding or waiting → it gives back what it has, waits until none is live, and queues
 * again. A structural locker at its turn lists all names, once, and waits until every ticket that was live then is over. Each of them either
 * holds since before, and ends some day, or gives back at its turn. Those that come later see this one's ticket.
 *
 * To wait for the *lowest* ticket of each name would be too little: a listing of a directory that is being swept may show a ticket that is over as
 * live (rule C2), so the lowest one seen may be gone while the true holder stays; and several share a lock in shared mode. A ticket that is live is
 * never missed.
 *
 * Nobody waits for the dead: both sides steal from them, as every waiter does.
 */
import type { System } from '../base/system.ts';
import { lockKindPrefix, lockPrefix, parseLockPrefix } from '../format/layout.ts';
import type { ListedObject, Medium } from '../medium/medium.ts';
import { HolderWatch } from './holder-watch.ts';
import type { Patience } from './patience.ts';
import type { ProcessFacts } from './process-facts.ts';
import { liveTickets, parseQueue } from './queue-state.ts';
import { TicketQueue } from './ticket-queue.ts';
import { TurnWait } from './turn-wait.ts';

export const STRUCTURAL_PREFIX: string = lockPrefix('structural', 'store');
/** What it is called in errors. */
export const STRUCTURAL_NAME = 'structural';

export interface StructuralLockContext {
  readonly medium: Medium;
  readonly system: System;
  readonly facts: ProcessFacts;
}

/** The longest pause between two looks, where nothing tells that there is something to see. */
const POLL_MS = 250;

interface Awaited {
  readonly name: string;
  readonly queue: TicketQueue;
  readonly watch: HolderWatch;
  /** Default: whoever is there. */
  readonly only?: ReadonlySet<number>;
}

interface Stage {
  readonly patience: Patience;
  readonly signal: AbortSignal;
}

export class StructuralLock {
  readonly #context: StructuralLockContext;
  /** Kept: what one caller has seen of a silent holder counts for the next. */
  readonly #structural: Awaited;

  constructor(context: StructuralLockContext) {
    this.#context = context;
    this.#structural = this.#queue(STRUCTURAL_PREFIX, STRUCTURAL_NAME);
  }

  /** A named locker at its turn: must it give way? */
  async isWanted(): Promise<boolean> {
    return liveTickets(await this.#structural.queue.state()).length > 0;
  }

  /** A named locker that gave way: until nobody holds the structural lock or waits for it. */
  async awaitNobody(patience: Patience): Promise<void> {
    await this.#awaitOver([this.#structural], { patience, signal: patience.signal });
  }

  /** A structural locker at its turn: until every named ticket is over that is live now. */
  async awaitNamed(patience: Patience, signal: AbortSignal): Promise<void> {
    const awaited: Awaited[] = [];
    for (const [prefix, listed] of byLock(await this.#context.medium.list(lockKindPrefix('user')))) {
      const live = liveTickets(parseQueue(prefix, listed));
      if (live.length > 0) awaited.push({ ...this.#queue(prefix, parseLockPrefix(prefix)?.name ?? prefix), only: new Set(live) });
    }
    await this.#awaitOver(awaited, { patience, signal });
  }

  /** All are watched while the first of them is waited for: silent holders of many locks are found out in one lease, not in one each. */
  async #awaitOver(awaited: readonly Awaited[], stage: Stage): Promise<void> {
    let left = awaited;
    let wait: TurnWait | undefined;
    let waitingFor: Awaited | undefined;
    try {
      for (;;) {
        const blockers = await Promise.all(left.map(look));
        left = left.filter((_, i) => blockers[i]?.length !== 0);
        const [first] = left;
        const firstBlockers = blockers.find((tickets) => tickets.length > 0);
        if (first === undefined || firstBlockers === undefined) return;
        if (first !== waitingFor) {
          wait?.close();
          wait = this.#wait(first, stage);
          waitingFor = first;
        }
        await wait?.pause(firstBlockers);
      }
    } finally {
      wait?.close();
    }
  }

  #wait({ name, queue, watch }: Awaited, { patience, signal }: Stage): TurnWait {
    const { medium, system } = this.#context;
    return new TurnWait({ ...patience.left(), medium, system, watch, lockName: name, prefix: queue.prefix, pollMs: POLL_MS, signal });
  }

  #queue(prefix: string, name: string): Awaited {
    const { medium, system, facts } = this.#context;
    const queue = new TicketQueue({ medium, system, facts, prefix });
    return { name, queue, watch: new HolderWatch({ queue, system, facts }) };
  }
}

/** The awaited tickets that are still live; of the dead in front, the places are taken. */
async function look({ queue, watch, only }: Awaited): Promise<number[]> {
  for (;;) {
    const state = await queue.state();
    const live = liveTickets(state).filter((n) => only?.has(n) ?? true);
    const [first] = live;
    if (first === undefined) return live;
    watch.observe(state);
    if (!(await watch.isDead(first))) return live;
    await queue.finish(first, 'stolen');
  }
}

/** A listing of many locks, cut into those of each. */
function byLock(listed: readonly ListedObject[]): Map<string, ListedObject[]> {
  const locks = new Map<string, ListedObject[]>();
  for (const object of listed) {
    const prefix = object.name.slice(0, object.name.lastIndexOf('/') + 1);
    const files = locks.get(prefix) ?? [];
    files.push(object);
    locks.set(prefix, files);
  }
  return locks;
}
