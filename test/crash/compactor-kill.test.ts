/**
 * Compactors that are killed with -9 again and again under four writers, with a standby that takes over; and two that compact at once
 * without an election. Nothing is lost, and what the killed ones left is cleared away.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { filesOf } from '../../compactor/shards.ts';
import { nodeSystem } from '../../src/base/system.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import type { Root } from '../../src/format/root.ts';
import { newestRoot } from '../../src/manifest/newest-root.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { Child, CRASH_WORKER, testSeed } from '../support/child.ts';
import { randomFrom } from '../support/random.mjs';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { judge, type Summary, type Told } from './history.mjs';

const KILLS = 60;
const WRITERS = 4;
const PASSES = 60;
const LAYOUT = namespaceLayout('crash');

function startWriters(store: string, options: Record<string, unknown> = {}): Child[] {
  return Array.from({ length: WRITERS }, (_, i) => {
    const facts = { writer: `w${i}`, lane: `l${i}`, seed: i + 1, inFlight: 4, sizeMax: 20, bytesMax: 2000, pauseMs: 20 };
    return new Child(CRASH_WORKER, { role: 'write', store, ...facts, ...options });
  });
}

/** Ends them cleanly, and says what they were told. */
async function endWriters(writers: readonly Child[]): Promise<Told[]> {
  for (const writer of writers) writer.kill('SIGTERM');
  return await Promise.all(
    writers.map(async (writer, i) => {
      expect(await writer.exit).toEqual({ code: 0, signal: null });
      return { writer: `w${i}`, lane: `l${i}`, acked: writer.numbers('ack') };
    }),
  );
}

async function readStore(store: string, options: Record<string, unknown> = {}): Promise<Summary> {
  const child = new Child(CRASH_WORKER, { role: 'check', store, ...options });
  expect(await child.exit, child.lines.at(-1) ?? '').toEqual({ code: 0, signal: null });
  return child.json('summary') as Summary;
}

async function rootAndTables(store: string): Promise<{ root: Root; tables: string[] }> {
  const medium = FileMedium.open(store, { readOnly: true });
  const reading = await runAsync(newestRoot(LAYOUT, { medium, system: nodeSystem }), { medium, system: nodeSystem });
  if (reading === undefined) throw new Error('there is no root');
  const tables = (await medium.list(LAYOUT.shard)).map(({ name }) => name.slice(LAYOUT.shard.length));
  await medium.close();
  return { root: reading.root, tables };
}

function events(child: Child): { event: string; message?: string }[] {
  return child.lines.filter((line) => line.startsWith('event ')).map((line) => JSON.parse(line.slice(6)) as { event: string });
}

/** Waits until one of them was elected. */
async function leaderAmong(compactors: readonly Child[]): Promise<void> {
  while (!compactors.flatMap(events).some(({ event }) => event === 'elected')) {
    expect(compactors.some(({ isAlive }) => isAlive)).toBe(true);
    await delay(10);
  }
}

/** After one more pass: every file is named, waits for its readers, or is gone. */
async function expectNoOrphans(store: string, told: Told[]): Promise<void> {
  told.push({ writer: 'last', lane: 'last', acked: [0] });
  expect(judge(await readStore(store, { append: { writer: 'last', lane: 'last' }, compact: true }), told)).toEqual([]);
  const { root, tables } = await rootAndTables(store);
  const named = filesOf(root.shards);
  expect(tables.filter((table) => !named.has(table) && !root.dropped.has(table))).toEqual([]);
  for (const file of named) expect(tables).toContain(file);
}

it(`a compactor killed ${KILLS} times under ${WRITERS} writers loses nothing, and a standby takes over`, async () => {
  const random = randomFrom(testSeed());
  const store = temporaryDirectory();
  const start = (): Child => new Child(CRASH_WORKER, { role: 'compactor', store, gatherMs: 5, pollMs: 50 });
  const writers = startWriters(store);
  // Two are alive at any time: the older one leads, or is about to. It is killed, and the younger one takes over.
  const all: Child[] = [start(), start()];
  for (let kill = 0; kill < KILLS; kill++) {
    await delay(100 + 400 * random());
    // At random points, but now and then only once one of them leads.
    if (kill % 6 === 5) await leaderAmong(all.slice(-2));
    all.at(-2)?.kill();
    all.push(start());
  }
  const told = await endWriters(writers);
  expect(told.every(({ acked }) => acked.length > 0)).toBe(true);

  const [leader, standby] = all.slice(-2) as [Child, Child];
  leader.kill();
  await leader.exit;
  await leaderAmong([standby]);
  expect(judge(await readStore(store), told)).toEqual([]);
  standby.kill('SIGTERM');
  expect(await standby.exit).toEqual({ code: 0, signal: null });

  const failures = all.flatMap(events).filter(({ event }) => event === 'failed' || event === 'warning');
  expect(failures).toEqual([]);
  expect((await rootAndTables(store)).root.number).toBeGreaterThan(0);
  await expectNoOrphans(store, told);
});

it('two compactors at once, without an election, lose nothing', async () => {
  const store = temporaryDirectory();
  const writers = startWriters(store, { pauseMs: 1 });
  await Promise.all(writers.map((writer) => writer.line('ack')));
  const compactors = [1, 2].map(() => new Child(CRASH_WORKER, { role: 'passes', store }));
  const passes = (): number => compactors.flatMap((compactor) => compactor.numbers('pass')).length;
  while (passes() < PASSES && compactors.every(({ isAlive }) => isAlive)) await delay(10);
  const told = await endWriters(writers);
  for (const compactor of compactors) compactor.kill('SIGTERM');
  for (const compactor of compactors) expect(await compactor.exit, compactor.lines.at(-1) ?? '').toEqual({ code: 0, signal: null });
  const [one = [], other = []] = compactors.map((compactor) => compactor.numbers('pass'));
  // A root is published once, whoever publishes it.
  expect(one.filter((root) => other.includes(root))).toEqual([]);
  expect(judge(await readStore(store), told)).toEqual([]);
  await expectNoOrphans(store, told);
});
