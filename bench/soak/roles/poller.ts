/**
 * A poller: every 50 ms or so it puts some of its own keys, deletes one now and then, and reads some back. It knows what each of them must
 * hold, its earlier lives included: only a batch that a kill interrupted may be there or not, as a whole.
 */
import type { Namespace, Operation } from '../../../src/index.ts';
import type { Actor } from '../actor.ts';
import { Journal } from '../journal.ts';
import { NAMESPACE, POLLER_KEYS, pollerPrefix, RUNS_KEPT, runKey, runPrefix } from '../plan.ts';

interface Entry {
  readonly n: number;
  readonly body: string;
}

/** Batch n was begun, or acknowledged. A key's null is a deletion. */
type Line = { readonly n: number; readonly writes: Readonly<Record<string, number | null>> } | { readonly acknowledged: number };

const TICK_MS = 50;
const TICKS_A_SCAN = 40;

export async function poll(actor: Actor): Promise<void> {
  const { assignment, telemetry, random, stop, pause, store } = actor;
  const entries = store.namespace<Entry>(NAMESPACE);
  const journal = new Journal<Line>(assignment.journals, assignment.name);
  const { expected, last } = await recall({ actor, entries, journal });
  for (let n = last + 1; !stop.aborted; n++) {
    const { writes, operations } = nextBatch({ actor, n });
    journal.note({ n, writes });
    await telemetry.time('append', () => entries.batch(operations));
    journal.note({ acknowledged: n });
    apply(expected, writes);
    for (let i = 0; i < 3; i++) {
      const key = `${pollerPrefix(assignment.name)}${Math.floor(random() * POLLER_KEYS)}`;
      const entry = await telemetry.time('get', () => entries.get(key));
      telemetry.expect(entry?.n === expected.get(key), () => `${key} reads as ${entry?.n}, and must be ${expected.get(key)}`);
    }
    if (n % TICKS_A_SCAN === 0) await compareAll({ actor, entries, n, expected });
    await pause(TICK_MS * 2 * random());
  }
  journal.close();
}

function nextBatch({ actor: { assignment, random }, n }: { actor: Actor; n: number }): {
  writes: Record<string, number | null>;
  operations: Operation<Entry>[];
} {
  const writes: Record<string, number | null> = {};
  for (let i = 0; i < 4; i++) {
    writes[`${pollerPrefix(assignment.name)}${Math.floor(random() * POLLER_KEYS)}`] = random() < 0.1 ? null : n;
  }
  const body = 'x'.repeat(Math.floor(50 + 900 * random() ** 3));
  const operations = Object.entries(writes).map(
    ([key, value]): Operation<Entry> => (value === null ? { type: 'delete', key } : { type: 'put', key, value: { n: value, body } }),
  );
  return { writes, operations: [...operations, { type: 'put', key: runKey(assignment.name, n), value: { n, body } }] };
}

function apply(expected: Map<string, number>, writes: Readonly<Record<string, number | null>>): void {
  for (const [key, n] of Object.entries(writes)) {
    if (n === null) expected.delete(key);
    else expected.set(key, n);
  }
}

async function readAll({ actor, entries }: { actor: Actor; entries: Namespace<Entry> }): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for await (const { key, value } of entries.scan({ prefix: pollerPrefix(actor.assignment.name) })) seen.set(key, value.n);
  return seen;
}

async function compareAll(all: { actor: Actor; entries: Namespace<Entry>; n: number; expected: Map<string, number> }): Promise<void> {
  const { actor, entries, n, expected } = all;
  const { telemetry, assignment } = actor;
  const seen = await telemetry.time('scan', () => readAll(all));
  const difference = differenceOf(seen, expected);
  telemetry.expect(difference === undefined, () => `a scan of ${assignment.name} does not match what it wrote: ${difference}`);
  // The collector keeps that many: none of these may be missing.
  const wanted = Math.min(n, RUNS_KEPT);
  let runs = 0;
  for await (const { key } of entries.scan({ prefix: runPrefix(assignment.name) })) {
    if (key >= runKey(assignment.name, n - wanted + 1)) runs++;
  }
  telemetry.expect(runs === wanted, () => `of the last ${wanted} runs of ${assignment.name} ${runs} are there`);
}

function differenceOf(seen: ReadonlyMap<string, number>, expected: ReadonlyMap<string, number>): string | undefined {
  for (const key of new Set([...seen.keys(), ...expected.keys()])) {
    if (seen.get(key) !== expected.get(key)) return `${key} is ${seen.get(key)}, and must be ${expected.get(key)}`;
  }
  return undefined;
}

/** What earlier lives have left. A batch that a kill cut off is there as a whole, with its run, or never was: then its number is used again. */
async function recall(all: { actor: Actor; entries: Namespace<Entry>; journal: Journal<Line> }): Promise<{
  expected: Map<string, number>;
  last: number;
}> {
  const { actor, entries, journal } = all;
  const expected = new Map<string, number>();
  let last = 0;
  let open: { n: number; writes: Readonly<Record<string, number | null>> } | undefined;
  for (const line of journal.read()) {
    if ('writes' in line) open = line;
    else if (open !== undefined) {
      apply(expected, open.writes);
      last = open.n;
      open = undefined;
    }
  }
  if (open !== undefined && (await entries.has(runKey(actor.assignment.name, open.n)))) {
    apply(expected, open.writes);
    last = open.n;
    // The collector will delete its run: later lives could not tell any more.
    journal.note({ acknowledged: open.n });
  }
  const difference = differenceOf(await readAll(all), expected);
  actor.telemetry.expect(
    difference === undefined,
    () => `${actor.assignment.name} does not find what its earlier lives wrote: ${difference}`,
  );
  return { expected, last };
}
