/**
 * The real program is stopped, as by SIGSTOP, at each call that makes something durable, visible or gone. While it stands still, others write
 * and compact until the roots that it knows are deleted, and segments, records and tables with them; then it goes on. What it acknowledges is
 * there, once; what it says had failed is not.
 *
 * The files of the roots are dated back, so that what takes a quarter of an hour in life takes a moment. The clocks of the one that is stopped
 * can't be set, so that there are no drains here: writers that they pass by are the simulation's.
 */
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compactOnce } from '../../compactor/index.ts';
import { nodeSystem } from '../../src/base/system.ts';
import { namespaceLayout, rootName } from '../../src/format/layout.ts';
import { DEFAULT_CONSTANTS } from '../../src/format/store-file.ts';
import { isPeatError, open, type Store } from '../../src/index.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import { datedRoots } from '../../src/manifest/root-ages.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { claimOf, expectPut, RaisedCounter } from '../support/command-claims.ts';
import { newStore } from '../support/new-store.ts';
import { callsIn, HAS_STRACE, type Traced, TracedProcess } from '../support/strace.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const CALLS = ['link', 'fdatasync', 'fsync', 'unlink', 'pwrite64', 'write', 'openat'] as const;
/** Of a file that is only opened to be read nothing is there to be overtaken. */
const CHANGES = /^(?!.*openat\((?!.*O_CREAT))/;
const CONSTANTS = { ...DEFAULT_CONSTANTS, rootsKept: 2, drainAgeRoots: 1_000_000 };
/** The age of a root is the sum of the gaps after it, of which each counts so much at most. */
const GAP_MS = 60_000;
const LAYOUT = namespaceLayout('runs');

async function makeStore(): Promise<string> {
  const directory = temporaryDirectory();
  const medium = FileMedium.open(directory, { system: nodeSystem });
  await newStore({ medium, system: nodeSystem }, CONSTANTS);
  await medium.close();
  await using store = await open(directory, { autoCompact: false });
  await store.namespace('runs').put('counter', 0);
  return directory;
}

/** A root is added to those there are, without an election: one that is stopped may hold that. */
async function pass(medium: FileMedium): Promise<void> {
  const context = { medium, system: nodeSystem, layout: LAYOUT, constants: CONSTANTS, log: () => {} };
  const { warnings } = await compactOnce(context);
  expect(warnings).toEqual([]);
}

/** Makes a minute of each gap between two roots. Says which there are. */
async function dateBack(directory: string, medium: FileMedium): Promise<number[]> {
  const listed = datedRoots(LAYOUT, await medium.list(LAYOUT.root, { stats: true }));
  const nowMs = Date.now();
  listed.reverse().forEach(({ number }, i) => {
    const at = new Date(nowMs - i * GAP_MS);
    utimesSync(join(directory, rootName(LAYOUT, number)), at, at);
  });
  return listed.map(({ number }) => number);
}

/** Writes and compacts until no root is left of those that there were. */
async function letTimePass(store: Store, { directory, medium }: { directory: string; medium: FileMedium }): Promise<void> {
  const runs = store.namespace<number>('runs');
  const known = Math.max(...(await dateBack(directory, medium)));
  for (let n = 0; ; n++) {
    await runs.batch([
      { type: 'put', key: 'other', value: n },
      { type: 'delete', key: `gone${n}` },
    ]);
    await pass(medium);
    const roots = await dateBack(directory, medium);
    if (roots.every((root) => root > known)) return;
    expect(n).toBeLessThan(100);
  }
}

interface Case {
  readonly name: string;
  readonly args: (directory: string, n: number) => string[];
  /** What else others do while it stands still. */
  readonly meanwhile?: (store: Store) => Promise<void>;
  readonly judge: (store: Store, told: { n: number; ran: Traced; step: string }) => Promise<void>;
}

let counter = new RaisedCounter();

const CASES: readonly Case[] = [
  {
    name: 'put',
    args: (directory, n) => ['put', directory, '-n', 'runs', `k${n}`, String(n)],
    judge: async (store, { n, ran, step }) => {
      expectPut(await store.namespace('runs').get(`k${n}`), { ran, put: n, where: step });
    },
  },
  {
    name: 'update',
    args: (directory) => ['update', directory, '-n', 'runs', 'counter', '--add', '1'],
    meanwhile: async (store) => {
      // One that is stopped with its ticket in hand passes for alive while it is traced: nobody may take its turn.
      try {
        await store.namespace<number>('runs').update('counter', (count = 0) => count + 1, { maxWaitMs: 2_000 });
        counter.raise('done');
      } catch (error) {
        if (!isPeatError(error, 'LOCK_TIMEOUT')) throw error;
      }
    },
    judge: async (store, { ran, step }) => {
      counter.raise(claimOf(ran));
      counter.expect((await store.namespace<number>('runs').get('counter')) ?? 0, `${step}: ${ran.stderr}`);
    },
  },
  {
    name: 'compact',
    args: (directory) => ['compact', directory],
    judge: async (store, { n, ran, step }) => {
      const runs = store.namespace('runs');
      // Another one was faster: that is no failure.
      expect(ran.code, `${step}: ${ran.stderr}`).toBe(0);
      expect(await runs.get('kept'), step).toBe(n === 0 ? undefined : n - 1);
      await runs.put('kept', n);
    },
  },
];

describe.skipIf(!HAS_STRACE)(`the program, stopped${HAS_STRACE ? '' : ' (skipped: strace is missing here, or may not trace)'}`, () => {
  it.each(CASES)('$name goes on well after it stood still at any step', async ({ args, meanwhile, judge }) => {
    const directory = await makeStore();
    counter = new RaisedCounter();
    await using store = await open(directory, { autoCompact: false });
    const medium = FileMedium.open(directory, { system: nodeSystem });
    const { ran, numbers } = await callsIn(directory, { args: args(directory, 0), calls: CALLS, printed: CHANGES });
    expect(ran.code, ran.stderr).toBe(0);
    await judge(store, { n: 0, ran, step: 'nowhere' });
    let n = 1;
    let stops = 0;
    const codes = new Map<number | null, number>();
    for (const call of CALLS) {
      for (const when of numbers.get(call) ?? []) {
        const process = await TracedProcess.startStopping(args(directory, n), { call, when });
        while (await process.stopped()) {
          stops++;
          await meanwhile?.(store);
          await letTimePass(store, { directory, medium });
          await process.goOn();
        }
        const traced = await process.ended;
        const step = `stopped at ${call} ${when}`;
        codes.set(traced.code, (codes.get(traced.code) ?? 0) + 1);
        expect([0, 1, 75], `${step}: ${traced.stderr}`).toContain(traced.code);
        await judge(store, { n, ran: traced, step });
        const report = await verifyStore({ medium, system: nodeSystem });
        expect(report.clean, step).toBe(true);
        n++;
      }
    }
    console.log(`stopped at ${stops} of ${n - 1} steps, exit codes ${[...codes].map(([code, count]) => `${code} × ${count}`).join(', ')}`);
    expect(stops).toBeGreaterThan(5);
    await medium.close();
  });
});
