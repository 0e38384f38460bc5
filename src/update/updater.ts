/**
 * Read-modify-writes of one namespace by one handle ("Updating" in `docs/protocol.md`).
 *
 * Updates that wait in this process for the same stripe, or the same stripes, form a group, and share one record of each. A group tries once
 * without a ticket where nobody is queued; after a lost race, and where someone is, it takes its place in the stripe's queue, so that nobody
 * starves; in those of several stripes in ascending order. The tickets only save wasted work: what is right rests on the records alone, so
 * a ticket that is stolen meanwhile does no harm.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import { lockPrefix, type NamespaceLayout } from '../format/layout.ts';
import { LOCK_SITES } from '../lock/lock-sites.ts';
import type { LockTracer } from '../lock/lock-tracer.ts';
import type { OwedMarkers } from '../lock/owed-markers.ts';
import { nodeProcessFacts } from '../lock/process-facts.ts';
import { liveTickets } from '../lock/queue-state.ts';
import { type LockHandle, TicketLock } from '../lock/ticket-lock.ts';
import type { Medium } from '../medium/medium.ts';
import { type AttemptContext, attempt } from './attempt.ts';
import { type Committed, Job, type JobOptions } from './job.ts';

/** How long a silent holder of a stripe's lock on another host is waited for; a longer one where signs of life cross a network. */
export const STRIPE_LEASE_MS = 2_000;
export const REMOTE_STRIPE_LEASE_MS = 10_000;

const GROUP_JOBS_MAX = 1_000;
/** Of those tries that run no function of a caller, which has its own bound. */
const IDLE_ATTEMPTS_MAX = 1_000;
const BACKOFF_MAX_MS = 32;
const MANY_RECORDS = 256;

/** Where locks are; not always where the data is. */
export interface LockPlace {
  readonly medium: Medium;
  readonly tracer: LockTracer | undefined;
  readonly owed?: OwedMarkers | undefined;
}

export interface UpdaterContext extends AttemptContext {
  readonly storeId: string;
  readonly locks: LockPlace;
  /** Told now and then, when many records were put: somebody should compact. */
  readonly onManyRecords: () => void;
}

function isWaiting(job: Job): boolean {
  return !job.isSettled;
}

/** Those who wait for the same stripes; there as long as they are served. */
interface Queue {
  readonly stripes: readonly number[];
  jobs: Job[];
  /** The stripe whose ticket is waited for. */
  awaited: number;
  /** Ends the wait for tickets that nobody needs any more. */
  giveUp: AbortController;
}

/** The namespaces whose functions are being run by what is calling. */
interface Running {
  /** Store and namespace. */
  readonly place: string;
  readonly outer: Running | undefined;
  isOver: boolean;
}

const running = new AsyncLocalStorage<Running>();

export class Updater {
  readonly counters = { updates: 0, committed: 0, attempts: 0, lostRaces: 0, tickets: 0 };
  readonly #context: UpdaterContext;
  /** What one has seen of a silent holder counts the next time. */
  readonly #locks = new Map<number, TicketLock>();
  /** By their stripes, as text. */
  readonly #queues = new Map<string, Queue>();
  /** The latest ticket of each stripe. */
  readonly #tickets = new Map<number, LockHandle>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #place: string;

  constructor(context: UpdaterContext) {
    this.#context = context;
    this.#place = `${context.storeId} ${context.layout.namespace}`;
  }

  get #system(): System {
    return this.#context.system;
  }

  get #layout(): NamespaceLayout {
    return this.#context.layout;
  }

  /**
   * Waits for its turn where there is a queue.
   *
   * @throws PeatError `UPDATE_TIMEOUT`, `LOCK_TIMEOUT`, `OUTCOME_UNKNOWN`, `TEMPORARY`, and what the function throws
   */
  update(options: JobOptions): Promise<Committed> {
    const job = this.#newJob(options);
    this.#enqueue(job);
    return job.promise;
  }

  /** Never waits for a lock: tries until its record is there, or its function leaves everything as it is. */
  updateAtOnce(options: JobOptions): Promise<Committed> {
    const job = this.#newJob(options);
    this.#track(this.#persist(() => [job]).catch((error: unknown) => job.fail(error)));
    return job.promise;
  }

  /** Waits for what is under way, tickets that are being given back included. */
  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #track(work: Promise<unknown>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  #newJob(options: JobOptions): Job {
    const { namespace } = this.#layout;
    for (let outer = running.getStore(); outer !== undefined; outer = outer.outer) {
      if (outer.place !== this.#place || outer.isOver) continue;
      throw new TypeError(`an update of ${namespace} can't be made from inside the function of another one; updateMany takes several keys`);
    }
    options.signal?.throwIfAborted();
    this.counters.updates++;
    return new Job({ system: this.#system, namespace }, { ...options, decide: this.#inContext(options) });
  }

  /** Runs `decide` as if its caller did, who may not be the one for whom a group is served; and marks what runs inside of it. */
  #inContext({ decide, stripes }: JobOptions): JobOptions['decide'] {
    const outer = running.getStore();
    const inContextOfCaller = AsyncLocalStorage.snapshot();
    return (entries, signal) => {
      const mark: Running = { place: this.#place, outer, isOver: false };
      const end = (): void => {
        mark.isOver = true;
      };
      let decided: ReturnType<JobOptions['decide']>;
      try {
        decided = inContextOfCaller(() => this.#underTickets(stripes, () => running.run(mark, decide, entries, signal)));
      } catch (error) {
        end();
        throw error;
      }
      if (!(decided instanceof Promise)) end();
      else decided.then(end, end);
      return decided;
    };
  }

  /** A trace then knows that this is what the tickets are held for. One that was given back by now changes nothing. */
  #underTickets<R>(stripes: readonly number[], work: () => R): R {
    return stripes.reduce<() => R>((inner, stripe) => {
      const ticket = this.#tickets.get(stripe);
      return ticket === undefined ? inner : () => ticket.run(inner);
    }, work)();
  }

  // ---- groups

  #enqueue(job: Job): void {
    const { stripes } = job.options;
    const name = stripes.join();
    const known = this.#queues.get(name);
    const queue: Queue = known ?? { stripes, jobs: [], awaited: stripes[0] as number, giveUp: new AbortController() };
    queue.jobs.push(job);
    void job.promise.catch(() => {
      if (!queue.jobs.some(isWaiting)) queue.giveUp.abort();
    });
    if (known !== undefined) {
      this.#startWaiting(job, queue);
    } else {
      this.#queues.set(name, queue);
      this.#track(this.#serve(name, queue));
    }
  }

  #startWaiting(job: Job, queue: Queue): void {
    job.startWaiting((waitedMs) => this.#waitedTooLong(queue, waitedMs));
  }

  #waitedTooLong(queue: Queue, waitedMs: number): Promise<PeatError> {
    return this.#lock(queue.awaited).timeout(waitedMs, 'another update of this process, or others, who were faster');
  }

  async #serve(name: string, queue: Queue): Promise<void> {
    // Calls of one turn of the event loop join one group.
    await Promise.resolve();
    while (queue.jobs.length > 0) {
      const group: Job[] = [];
      try {
        await this.#serveGroup(queue, group);
      } catch (error) {
        for (const job of [...group, ...queue.jobs.splice(0)]) job.fail(error);
      }
      queue.jobs = queue.jobs.filter(isWaiting);
    }
    this.#queues.delete(name);
  }

  async #serveGroup(queue: Queue, group: Job[]): Promise<void> {
    const join = (): Job[] => {
      group.push(...queue.jobs.splice(0, GROUP_JOBS_MAX - group.length));
      return group;
    };
    if ((await this.#isFree(queue.stripes)) && (await this.#try(join()))) return;
    const tickets: LockHandle[] = [];
    try {
      if (await this.#takeTickets(queue, { group, tickets })) await this.#persist(join);
    } finally {
      await Promise.all(tickets.map((ticket) => ticket.release()));
    }
  }

  /** False if those who waited have given up, or waited for too long. */
  async #takeTickets(queue: Queue, { group, tickets }: { group: Job[]; tickets: LockHandle[] }): Promise<boolean> {
    queue.jobs.unshift(...group.splice(0));
    for (const job of queue.jobs.filter(({ hasWaitedTooLong }) => hasWaitedTooLong)) {
      job.fail(await this.#waitedTooLong(queue, job.options.maxWaitMs));
    }
    queue.jobs = queue.jobs.filter(isWaiting);
    if (queue.jobs.length === 0) return false;
    for (const job of queue.jobs) this.#startWaiting(job, queue);
    // Each caller has a time of its own; the tickets stay in their places as long as anyone waits.
    queue.giveUp = new AbortController();
    const { signal } = queue.giveUp;
    try {
      for (const stripe of queue.stripes) {
        queue.awaited = stripe;
        tickets.push(await this.#acquire(stripe, { isOneOfSeveral: queue.stripes.length > 1, signal }));
      }
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    }
  }

  // ---- the parts

  #lock(stripe: number): TicketLock {
    let lock = this.#locks.get(stripe);
    if (lock === undefined) {
      const { locks, system } = this.#context;
      const name = `${this.#layout.namespace}/${stripe}`;
      lock = new TicketLock({ ...locks, system, facts: nodeProcessFacts(), prefix: lockPrefix('stripe', name), name: `of stripe ${name}` });
      this.#locks.set(stripe, lock);
    }
    return lock;
  }

  /** Whether nobody is queued for any of the stripes. */
  async #isFree(stripes: readonly number[]): Promise<boolean> {
    for (const stripe of stripes) {
      if (liveTickets(await this.#lock(stripe).queue.state()).length > 0) return false;
    }
    return true;
  }

  async #acquire(stripe: number, { isOneOfSeveral, signal }: { isOneOfSeveral: boolean; signal: AbortSignal }): Promise<LockHandle> {
    this.counters.tickets++;
    const ticket = await this.#lock(stripe).acquire({
      site: isOneOfSeveral ? LOCK_SITES.stripeUpdateMany : LOCK_SITES.stripeUpdate,
      leaseMs: this.#context.medium.isRemote ? REMOTE_STRIPE_LEASE_MS : STRIPE_LEASE_MS,
      signal,
    });
    this.#tickets.set(stripe, ticket);
    return ticket;
  }

  /** True if all jobs have their answers. */
  async #try(jobs: readonly Job[]): Promise<boolean> {
    const open = jobs.filter(isWaiting);
    if (open.length === 0) return true;
    this.counters.attempts++;
    const outcome = await attempt(this.#context, open);
    if (outcome === 'done') {
      if (++this.counters.committed % MANY_RECORDS === 0) this.#context.onManyRecords();
      return !open.some(isWaiting);
    }
    this.counters.lostRaces++;
    if (outcome === 'split') for (const job of open) await this.#persist(() => [job]);
    return outcome === 'split';
  }

  /** Tries until all have their answers. `jobs` is asked again before each try: who has come meanwhile joins. */
  async #persist(jobs: () => readonly Job[]): Promise<void> {
    for (let tries = 0; tries < IDLE_ATTEMPTS_MAX; tries++) {
      const { committed } = this.counters;
      if (await this.#try(jobs())) return;
      // Only a part found room in the record.
      if (this.counters.committed > committed) tries = -1;
      // Two that race without a ticket must not go on in step.
      const spreadMs = Math.min(2 ** Math.min(tries, 10), BACKOFF_MAX_MS);
      const [random = 0] = this.#system.randomBytes(1);
      if (tries > 0) await this.#system.sleep((spreadMs * random) / 256);
    }
    const { namespace } = this.#layout;
    throw new PeatError('TEMPORARY', `${namespace} changed ${IDLE_ATTEMPTS_MAX} times before an update could be made`, { namespace });
  }
}
