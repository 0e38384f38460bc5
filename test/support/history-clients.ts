/** Processes that update one namespace, and note what they do: started, stopped, killed and replaced, and judged by their histories. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { toKey } from '../../src/base/key.ts';
import { nodeSystem } from '../../src/base/system.ts';
import { lockPrefix } from '../../src/format/layout.ts';
import { stripeOf } from '../../src/format/record.ts';
import { DEFAULT_CONSTANTS } from '../../src/format/store-file.ts';
import { nodeProcessFacts } from '../../src/lock/process-facts.ts';
import { liveTickets } from '../../src/lock/queue-state.ts';
import { TicketQueue } from '../../src/lock/ticket-queue.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { Child } from './child.ts';
import { describeOperation, type Operation, readHistories, type Value } from './history.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const WORKER = fileURLToPath(new URL('../process/updates.worker.mjs', import.meta.url));

const HANG_MS = 200_000;
const COMPACTOR_HANG_MS = 120_000;

/** What a row of processes does, of which one lives at a time. */
export interface Work {
  readonly role: string;
  readonly [option: string]: unknown;
}

interface Lane {
  readonly name: string;
  readonly work: Work;
  lives: number;
  child: Child;
}

export interface ReadBack {
  readonly values: Readonly<Record<string, Value>>;
  readonly tableEntries: number;
  /** Read-modify-write records that no root has absorbed. */
  readonly records: number;
}

export class Clients {
  readonly store: string;
  /** How often a process was killed, and how often stopped for longer than a lease. */
  readonly blows = { kills: 0, stops: 0 };
  readonly #histories: string;
  readonly #random: () => number;
  readonly #lanes: Lane[] = [];
  readonly #stopped = new Set<Child>();
  #compactor: Child | undefined;

  constructor(random: () => number) {
    const directory = temporaryDirectory();
    this.store = join(directory, 'store');
    this.#histories = join(directory, 'histories');
    this.#random = random;
    mkdirSync(this.#histories);
  }

  /** Starts a process and waits for its end. */
  async run(work: Work): Promise<Child> {
    const child = new Child(WORKER, { store: this.store, ...work });
    expect(await child.exit, child.lines.at(-1) ?? '').toEqual({ code: 0, signal: null });
    return child;
  }

  start(name: string, work: Work): Child {
    const lane: Lane = { name, work, lives: 0, child: this.#spawn(name, work) };
    this.#lanes.push(lane);
    return lane.child;
  }

  /** What a process needs to be told that notes what it does. */
  noting(client: string): { client: string; histories: string; seed: number } {
    return { client, histories: this.#histories, seed: Math.floor(this.#random() * 2 ** 31) };
  }

  startCompactor(): Child {
    this.#compactor = new Child(WORKER, { store: this.store, role: 'compact' });
    return this.#compactor;
  }

  /** Ends the compactor cleanly. @returns what it complained of */
  async stopCompactor(): Promise<string[]> {
    const compactor = this.#compactor as Child;
    compactor.kill('SIGTERM');
    const stop = new AbortController();
    const late = delay(COMPACTOR_HANG_MS, 'the compactor does not come to an end' as const, { signal: stop.signal });
    const end = await Promise.race([compactor.exit, late]);
    stop.abort();
    await late.catch(() => {});
    expect(end).toEqual({ code: 0, signal: null });
    return compactor.lines.filter((line) => /"(failed|warning)"/.test(line));
  }

  /** Waits until all have done what they were to do; who hangs is shown with what it was doing, and the queues that it may wait in. */
  async finish(): Promise<void> {
    const stop = new AbortController();
    const late = delay(HANG_MS, 'late' as const, { signal: stop.signal });
    for (const { name, child } of this.#lanes) {
      const end = await Promise.race([child.exit, late]);
      if (end === 'late') throw new Error(`${name} does not come to an end\n${await this.#describe()}`);
      expect(end, `${name}: ${child.lines.at(-1)}`).toEqual({ code: 0, signal: null });
    }
    stop.abort();
    await late.catch(() => {});
  }

  async #describe(): Promise<string> {
    const last = this.history()
      .filter(({ endedAt, client }) => endedAt === Number.POSITIVE_INFINITY && this.#lanes.some((lane) => clientOf(lane) === client))
      .map(describeOperation);
    const failed = countBy(this.history().flatMap(({ code = [] }) => code));
    const medium = FileMedium.open(this.store);
    const locks = (await medium.list('lock/')).map(({ name }) => name).filter((name) => !name.endsWith('.done'));
    await medium.close();
    const now = `now ${process.hrtime.bigint()}`;
    return [now, 'under way:', ...last, JSON.stringify(failed), 'locks:', ...locks].join('\n');
  }

  /**
   * Every `everyMs`, until all are done or `blowsMax` is reached: stops a process for `stopMs`, or kills it and starts another one in its
   * place. Half of the time it is one that holds the lock of the stripe of `key`, or waits for it.
   */
  async attack(options: { key: string; everyMs: number; stopMs: number; blowsMax: number }): Promise<void> {
    const ends: Promise<void>[] = [];
    const lanesAlive = (): Lane[] => this.#lanes.filter(({ child }) => child.isAlive);
    for (let blow = 0; blow < options.blowsMax && lanesAlive().length > 0; blow++) {
      await delay(options.everyMs);
      if (blow % 8 === 7 && this.#compactor !== undefined) await this.#replaceCompactor();
      const alive = lanesAlive().filter(({ child }) => !this.#stopped.has(child));
      const holder = this.#random() < 0.5 ? await this.#holderOf(options.key) : undefined;
      const victim = alive.find(({ child }) => pidOf(child) === holder) ?? alive[Math.floor(this.#random() * alive.length)];
      if (victim === undefined) continue;
      if (this.#stopped.size < 2 && this.#random() < 0.2) ends.push(this.#stop(victim.child, options.stopMs));
      else await this.#replace(victim);
    }
    await Promise.all(ends);
  }

  /** What all of them noted. */
  history(): Operation[] {
    return readHistories(this.#histories);
  }

  /** What a new process reads, which is a part of the history, too. */
  async readBack(keys: readonly string[], options: { compact?: boolean } = {}): Promise<ReadBack & { readonly history: Operation[] }> {
    const invokedAt = Number(process.hrtime.bigint());
    const read = (await this.run({ role: 'read', keys, ...options })).json('read') as ReadBack;
    const endedAt = Number(process.hrtime.bigint());
    const history = keys.map((key): Operation => {
      const id = `end/${key}`;
      return { id, client: 'end', what: 'get', invokedAt, endedAt, outcome: 'ok', reads: { [key]: read.values[key] as Value }, writes: {} };
    });
    return { ...read, history };
  }

  #spawn(client: string, work: Work): Child {
    return new Child(WORKER, { store: this.store, ...this.noting(client), ...work });
  }

  async #stop(child: Child, stopMs: number): Promise<void> {
    this.#stopped.add(child);
    this.blows.stops++;
    child.kill('SIGSTOP');
    await delay(stopMs);
    child.kill('SIGCONT');
    this.#stopped.delete(child);
  }

  /** The new one does what is left. */
  async #replace(lane: Lane): Promise<void> {
    lane.child.kill('SIGKILL');
    const { signal } = await lane.child.exit;
    if (signal === null) return;
    this.blows.kills++;
    lane.lives++;
    const done = this.history().filter(
      ({ client, outcome, what }) => laneOf(client) === lane.name && outcome !== 'fail' && what !== 'get',
    ).length;
    const left = Math.max(0, (lane.work['operations'] as number) - done);
    lane.child = this.#spawn(clientOf(lane), { ...lane.work, operations: left });
  }

  async #replaceCompactor(): Promise<void> {
    this.#compactor?.kill('SIGKILL');
    await this.#compactor?.exit;
    this.startCompactor();
  }

  /** The process whose turn it is to update a key; undefined if nobody is queued. */
  async #holderOf(key: string): Promise<number | undefined> {
    const medium = FileMedium.open(this.store);
    try {
      const prefix = lockPrefix('stripe', `updates/${stripeOf(toKey(key), DEFAULT_CONSTANTS.stripes)}`);
      const queue = new TicketQueue({ medium, system: nodeSystem, facts: nodeProcessFacts(), prefix });
      const [lowest] = liveTickets(await queue.state());
      return lowest === undefined ? undefined : (await queue.read(lowest))?.holder.pid;
    } finally {
      await medium.close();
    }
  }
}

function clientOf({ name, lives }: Lane): string {
  return lives === 0 ? name : `${name}.${lives}`;
}

function countBy(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

function pidOf(child: Child): number | undefined {
  return child.numbers('pid')[0];
}

function laneOf(client: string): string {
  return client.split('.')[0] as string;
}

export function countOutcomes(history: readonly Operation[]): { ok: number; fail: number; unknown: number } {
  const counts = { ok: 0, fail: 0, unknown: 0 };
  for (const { outcome } of history) counts[outcome]++;
  return counts;
}
