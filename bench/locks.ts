/**
 * Measures locks and updates among processes of one machine.
 *
 *   node .ci/prepare.mjs built dist/bench/locks.js [--seconds N] [--waiters N] [--json]
 *
 * Method: a fresh directory under the system's temporary directory; each client a process of its own, started and ready before the clock starts.
 *
 * - *Held*: durable appends, one at a time, then fresh gets, then compactions, for `seconds` each: without, and with one process that holds
 *   every lock of every stripe and 16 named locks; then without again. The ratio is that with to the mean of the two without.
 *   The p99 of single appends is told likewise.
 * - *Apart*: four processes put entries one at a time, durably, and compact: each in a namespace of its own, one process after the other, then all
 *   at once; then all at once in one namespace. The times are those from the first start to the last end; those one after the other are added up.
 * - *Lag*: how late a timer of 5 ms comes in a process that waits in the queue of a held lock, beside one that does nothing.
 * - *Queue*: N processes take a named lock again and again and hold it for 2 ms. A hand-over is the time from the call of `release` to
 *   that at which the next one has the lock. The fair share of a wait is N times the mean time between two acquisitions; how many others
 *   had the lock during one wait shows the same without what the machine's load does to single turns.
 * - *Updates*: `update` of one counter by N processes, one at a time each: the same counter for all, or 64 counters in turn.
 *
 * Times that are compared across processes are of CLOCK_MONOTONIC. The machine's other load is part of every figure: its load average is printed.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nodeSystem } from '../src/base/system.ts';
import { lockPrefix } from '../src/format/layout.ts';
import { open, type Store } from '../src/index.ts';
import { LOCK_SITES } from '../src/lock/lock-sites.ts';
import { nodeProcessFacts } from '../src/lock/process-facts.ts';
import { TicketLock } from '../src/lock/ticket-lock.ts';
import { FileMedium } from '../src/medium/file-medium.ts';
import { type Machine, machineOf, machineText } from './machine.ts';
import { quantile } from './quantile.ts';

interface Task {
  readonly role: 'hold' | 'wait' | 'idle' | 'queue' | 'update' | 'fill';
  readonly directory: string;
  readonly keys?: number;
  /** Of role `fill`: where, and how many entries. */
  readonly namespace?: string;
  readonly entries?: number;
}

/** What a client has to tell when it is done. */
interface Told {
  readonly lagsMs?: number[];
  readonly turns?: Turn[];
  readonly updates?: number;
  readonly span?: Span;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Turn {
  readonly token: number;
  readonly askedAtMs: number;
  readonly heldAtMs: number;
  readonly releasedAtMs: number;
}

const NAMES = Array.from({ length: 16 }, (_, i) => `bench/${i}`);
const HELD_MS = 2;
const LAG_TIMER_MS = 5;
/** An entry for so many ms that a measurement may take: a durable append takes about as long. */
const FILL_MS_EACH = 5;
const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

// ---- a client

async function holdEverything(store: Store, directory: string): Promise<() => Promise<void>> {
  const medium = FileMedium.open(directory);
  const held: { release(): Promise<void> }[] = [];
  for (let stripe = 0; stripe < store.file.constants.stripes; stripe++) {
    const prefix = lockPrefix('stripe', `bench/${stripe}`);
    const lock = new TicketLock({ medium, system: nodeSystem, facts: nodeProcessFacts(), prefix });
    held.push(await lock.acquire({ site: LOCK_SITES.stripeUpdate, leaseMs: 2000, maxWaitMs: 10_000 }));
  }
  held.push(await store.locks(NAMES));
  return async () => {
    await Promise.all(held.map((lock) => lock.release()));
    await medium.close();
  };
}

async function sampleLag(stop: AbortSignal): Promise<number[]> {
  const lagsMs: number[] = [];
  while (!stop.aborted) {
    const dueMs = nowMs() + LAG_TIMER_MS;
    await delay(LAG_TIMER_MS);
    lagsMs.push(Math.max(0, nowMs() - dueMs));
  }
  return lagsMs;
}

async function takeTurns(store: Store, stop: AbortSignal): Promise<Turn[]> {
  const turns: Turn[] = [];
  while (!stop.aborted) {
    const askedAtMs = nowMs();
    const lock = await store.lock('bench/queue');
    const heldAtMs = nowMs();
    await delay(HELD_MS);
    const releasedAtMs = nowMs();
    await lock.release();
    turns.push({ token: lock.token, askedAtMs, heldAtMs, releasedAtMs });
  }
  return turns;
}

async function update(store: Store, keys: number, stop: AbortSignal): Promise<number> {
  const counters = store.namespace<number>('bench');
  let done = 0;
  for (; !stop.aborted; done++) await counters.update(`counter/${(done + process.pid) % keys}`, (count = 0) => count + 1);
  return done;
}

async function fill(store: Store, namespace: string, entries: number): Promise<Span> {
  const items = store.namespace(namespace);
  const fromMs = nowMs();
  for (let i = 0; i < entries; i++) await items.put(`${process.pid}/${i}`, { i, payload: 'x'.repeat(300) });
  await store.compact({ namespace });
  return { fromMs, toMs: nowMs() };
}

/** What is loaded late is loaded before the clock starts. */
async function warmUp(store: Store): Promise<void> {
  await (await store.lock(`warm-up/${process.pid}`)).release();
  await store.namespace<number>('bench').update(`warm-up/${process.pid}`, () => 1);
}

/** Gets ready, says so, works from "go" to "stop", and tells. */
async function client({ role, directory, keys = 1, namespace = 'bench', entries = 0 }: Task): Promise<void> {
  const stop = new AbortController();
  const store = await open(directory, { autoCompact: false });
  const release = role === 'hold' ? await holdEverything(store, directory) : undefined;
  if (role === 'queue' || role === 'update') await warmUp(store);
  if (role === 'fill') await fill(store, namespace, 1);
  const stopped = new Promise<void>((resolve) => {
    process.on('message', (message) => {
      if (message === 'stop') resolve();
    });
  });
  void stopped.then(() => stop.abort());
  const went = once(process, 'message');
  process.send?.('ready');
  await went;
  let told: Told = {};
  if (role === 'queue') told = { turns: await takeTurns(store, stop.signal) };
  else if (role === 'update') told = { updates: await update(store, keys, stop.signal) };
  else if (role === 'fill') told = { span: await fill(store, namespace, entries) };
  else if (role === 'idle') told = { lagsMs: await sampleLag(stop.signal) };
  else if (role === 'wait') {
    const waited = store.lock(NAMES[0] as string, { signal: stop.signal }).catch(() => undefined);
    told = { lagsMs: await sampleLag(stop.signal) };
    await waited;
  }
  await stopped;
  await release?.();
  await store.close();
  process.send?.(told, () => process.disconnect());
}

// ---- the measurements

class Clients {
  readonly #children: ChildProcess[];

  private constructor(children: ChildProcess[]) {
    this.#children = children;
  }

  static async ready(count: number, task: Task): Promise<Clients> {
    const children = Array.from({ length: count }, () => fork(fileURLToPath(import.meta.url), ['--client', JSON.stringify(task)]));
    await Promise.all(children.map((child) => once(child, 'message')));
    return new Clients(children);
  }

  static async start(count: number, task: Task): Promise<Clients> {
    const clients = await Clients.ready(count, task);
    clients.go();
    return clients;
  }

  go(): void {
    for (const child of this.#children) child.send('go');
  }

  async stop(): Promise<Told[]> {
    return await Promise.all(
      this.#children.map(async (child) => {
        const told = once(child, 'message');
        const ended = once(child, 'exit');
        child.send('stop');
        const [message] = (await told) as [Told];
        await ended;
        return message;
      }),
    );
  }
}

async function perSecond(forMs: number, work: (i: number) => Promise<unknown>): Promise<number> {
  const startMs = nowMs();
  let done = 0;
  while (nowMs() - startMs < forMs) await work(done++);
  return (done / (nowMs() - startMs)) * 1000;
}

interface Rates {
  readonly appends: number;
  readonly appendP99Ms: number;
  readonly gets: number;
  readonly compactions: number;
}

async function measureRates(store: Store, forMs: number): Promise<Rates> {
  const entries = store.namespace('bench');
  const appendsMs: number[] = [];
  const appends = await perSecond(forMs, async (i) => {
    const startMs = nowMs();
    await entries.put(`key/${i % 1000}`, { i, payload: 'x'.repeat(300) });
    appendsMs.push(nowMs() - startMs);
  });
  const gets = await perSecond(forMs, (i) => entries.get(`key/${i % 1000}`));
  const compactions = await perSecond(forMs, async (i) => {
    await entries.put('last', i);
    await store.compact();
  });
  return { appends, appendP99Ms: quantile(appendsMs, 0.99) ?? Number.NaN, gets, compactions };
}

type Figures = Record<string, number>;

async function held(directory: string, forMs: number): Promise<Figures> {
  const store = await open(directory, { autoCompact: false });
  await measureRates(store, forMs / 10);
  const before = await measureRates(store, forMs);
  const holder = await Clients.start(1, { role: 'hold', directory });
  const during = await measureRates(store, forMs);
  await holder.stop();
  const after = await measureRates(store, forMs);
  await store.close();
  const figures: Figures = {};
  for (const name of ['appends', 'gets', 'compactions'] as const) {
    const free = (before[name] + after[name]) / 2;
    Object.assign(figures, {
      [`${name}/s, no lock held`]: free,
      [`${name}/s, all locks held`]: during[name],
      [`${name}, ratio`]: during[name] / free,
    });
  }
  const freeMs = (before.appendP99Ms + after.appendP99Ms) / 2;
  return {
    ...figures,
    'append p99, no lock held, ms': freeMs,
    'append p99, all locks held, ms': during.appendP99Ms,
    'append p99, ratio': during.appendP99Ms / freeMs,
  };
}

/** How long so many processes take, each in its namespace: from the first start to the last end. */
async function fillAtOnce(directory: string, { namespaces, entries }: { namespaces: readonly string[]; entries: number }): Promise<number> {
  const clients = await Promise.all(namespaces.map((namespace) => Clients.ready(1, { role: 'fill', directory, namespace, entries })));
  for (const one of clients) one.go();
  const told = (await Promise.all(clients.map((one) => one.stop()))).flat();
  const spans = told.flatMap(({ span }) => span ?? []);
  return Math.max(...spans.map(({ toMs }) => toMs)) - Math.min(...spans.map(({ fromMs }) => fromMs));
}

async function apart(directory: string, forMs: number): Promise<Figures> {
  const entries = Math.ceil(forMs / FILL_MS_EACH);
  const namespaces = ['a', 'b', 'c', 'd'];
  const eachMs: number[] = [];
  for (const namespace of namespaces) eachMs.push(await fillAtOnce(directory, { namespaces: [namespace], entries }));
  const inTurnMs = eachMs.reduce((sum, ms) => sum + ms, 0);
  const atOnceMs = await fillAtOnce(directory, { namespaces, entries });
  const inOneMs = await fillAtOnce(directory, { namespaces: namespaces.map(() => 'one'), entries });
  return {
    '4 namespaces, one after the other, s': inTurnMs / 1000,
    '4 namespaces, the longest alone / all in turn': Math.max(...eachMs) / inTurnMs,
    '4 namespaces, at once / in turn': atOnceMs / inTurnMs,
    '4 processes in one namespace, at once / in turn': inOneMs / inTurnMs,
  };
}

async function lag(directory: string, forMs: number): Promise<Figures> {
  const holder = await Clients.start(1, { role: 'hold', directory });
  const figures: Figures = {};
  for (const role of ['idle', 'wait'] as const) {
    const clients = await Clients.start(1, { role, directory });
    await delay(forMs);
    const lags = (await clients.stop()).flatMap(({ lagsMs = [] }) => lagsMs);
    const who = role === 'idle' ? 'doing nothing' : 'waiting for a lock';
    Object.assign(figures, { [`lag p99, ${who}, ms`]: quantile(lags, 0.99) ?? Number.NaN, [`lag max, ${who}, ms`]: Math.max(...lags) });
  }
  await holder.stop();
  return figures;
}

async function queue(directory: string, { forMs, processes }: { forMs: number; processes: number }): Promise<Figures> {
  const clients = await Clients.start(processes, { role: 'queue', directory });
  await delay(forMs);
  const turns = (await clients.stop()).flatMap((told) => told.turns ?? []).sort((a, b) => a.token - b.token);
  const handOvers: number[] = [];
  turns.forEach((turn, i) => {
    const previous = turns[i - 1];
    // Only where the next one was waiting already.
    if (previous !== undefined && turn.askedAtMs < previous.releasedAtMs) handOvers.push(turn.heldAtMs - previous.releasedAtMs);
    if (previous !== undefined && turn.heldAtMs < previous.releasedAtMs)
      throw new Error(`two held the lock: ${JSON.stringify([previous, turn])}`);
  });
  const waits = turns.map(({ askedAtMs, heldAtMs }) => heldAtMs - askedAtMs);
  const first = turns[0]?.heldAtMs ?? 0;
  const meanTurnMs = ((turns.at(-1)?.heldAtMs ?? 0) - first) / (turns.length - 1);
  return {
    [`${processes} in the queue: turns/s`]: 1000 / meanTurnMs,
    [`${processes} in the queue: hand-over p50, ms`]: quantile(handOvers, 0.5) ?? Number.NaN,
    [`${processes} in the queue: hand-over p99, ms`]: quantile(handOvers, 0.99) ?? Number.NaN,
    [`${processes} in the queue: longest wait, ms`]: Math.max(...waits),
    [`${processes} in the queue: longest wait / fair share`]: Math.max(...waits) / (processes * meanTurnMs),
    [`${processes} in the queue: most turns of others in one wait`]: Math.max(
      ...turns.map((turn, i) => othersBefore(turns, i, turn.askedAtMs)),
    ),
  };
}

/** How many had the lock between the asking and the getting of turn i. */
function othersBefore(turns: readonly Turn[], i: number, askedAtMs: number): number {
  let first = i;
  while (first > 0 && (turns[first - 1] as Turn).heldAtMs > askedAtMs) first--;
  return i - first;
}

async function updates(
  directory: string,
  { forMs, processes, keys }: { forMs: number; processes: number; keys: number },
): Promise<Figures> {
  const clients = await Clients.start(processes, { role: 'update', directory, keys });
  const startMs = nowMs();
  await delay(forMs);
  const done = (await clients.stop()).reduce((sum, told) => sum + (told.updates ?? 0), 0);
  return { [`updates/s, ${processes} processes, ${keys === 1 ? 'one hot key' : 'spread keys'}`]: (done / (nowMs() - startMs)) * 1000 };
}

async function measure(options: { seconds: number; waiters: number; json: boolean }): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), 'peat-bench-'));
  const forMs = options.seconds * 1000;
  const figures: Figures = {};
  let stores = 0;
  const add = async (run: (directory: string) => Promise<Figures>): Promise<void> => {
    Object.assign(figures, await run(join(parent, `store${stores++}`)));
  };
  try {
    const machine = machineOf(parent);
    const loadBefore = loadavg()[0];
    await add((directory) => held(directory, forMs));
    await add((directory) => apart(directory, forMs));
    await add((directory) => lag(directory, forMs));
    for (const processes of [2, 4, 16]) {
      if (processes <= options.waiters) await add((directory) => queue(directory, { forMs, processes }));
    }
    for (const keys of [64, 1]) {
      for (const processes of [1, 4, 8]) {
        if (processes <= options.waiters) await add((directory) => updates(directory, { forMs, processes, keys }));
      }
    }
    const load = { before: loadBefore, after: loadavg()[0] };
    const report = { machine, load, versions: { node: process.version }, secondsEach: options.seconds, figures };
    console.log(options.json ? JSON.stringify(report) : text(report));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

function text(report: {
  readonly machine: Machine;
  readonly load: { readonly before: number | undefined; readonly after: number | undefined };
  readonly versions: { readonly node: string };
  readonly secondsEach: number;
  readonly figures: Figures;
}): string {
  const { machine, load, secondsEach } = report;
  return [
    machineText(machine),
    `${secondsEach} s each; load average ${load.before?.toFixed(1)} before, ${load.after?.toFixed(1)} after (its own processes count, too)`,
    '',
    ...Object.entries(report.figures).map(([name, figure]) => `${name.padEnd(48)} ${figure.toFixed(2).padStart(12)}`),
  ].join('\n');
}

const { values } = parseArgs({
  options: {
    client: { type: 'string' },
    seconds: { type: 'string', default: '10' },
    waiters: { type: 'string', default: '16' },
    json: { type: 'boolean', default: false },
  },
});
if (values.client === undefined) {
  const [seconds, waiters] = [Number(values.seconds), Number(values.waiters)];
  if (!(seconds > 0)) throw new RangeError(`--seconds must be above 0, got ${values.seconds}`);
  await measure({ seconds, waiters, json: values.json });
} else {
  await client(JSON.parse(values.client) as Task);
}
