/**
 * Everything at once: processes that append, read, scan, watch, take snapshots, update and lock, in one store, while a compactor deletes what it has
 * replaced, and all of them are killed at random, or stopped. What each did and was told is judged by the checks of
 * `test/support/history-*.ts`. PEAT_SEED repeats a run, as far as real processes can be repeated; PEAT_HISTORIES_SECONDS makes it longer.
 * Runs what `npx tsc -p .` built.
 */
import { describe, expect, it } from 'vitest';
import { testSeed } from '../support/child.ts';
import type { Operation } from '../support/history.ts';
import { type History, problemsOf, runHistory } from '../support/history-run.ts';
import { randomFrom } from '../support/random.mjs';

const SECONDS = Number(process.env['PEAT_HISTORIES_SECONDS'] ?? 6);

function countBy(operations: readonly Operation[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { what, outcome } of operations) {
    const name = outcome === 'ok' ? what : `${what} (${outcome})`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Some are enough to see what is wrong. */
function firstOf(history: History): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(problemsOf(history)).map(([check, problems]) => [check, problems.slice(0, 5)]));
}

const NONE = { sets: [], sessions: [], snapshots: [], updates: [], locks: [] };

describe('a history of processes that are killed at random', () => {
  it.each(['appended', 'framed'] as const)(
    'keeps every promise, with segments that are %s',
    async (segments) => {
      const random = randomFrom(testSeed());
      const history = await runHistory(random, { segments, clients: 4, forMs: SECONDS * 1000, blowEveryMs: 700 });
      const { operations, blows } = history;
      console.log(
        JSON.stringify({ ...countBy(operations), kills: blows.filter(({ until }) => until === Number.POSITIVE_INFINITY).length }),
      );
      expect(firstOf(history)).toEqual(NONE);
    },
    120_000 + SECONDS * 4000,
  );
});

/** Chance decides whether a fault shows: so many runs are made in search of it. Others are planted in histories that are made up (`test/unit/support/`). */
const PLANTED_RUNS_MAX = 5;

describe('a fault that processes play on themselves', () => {
  it.each([
    ['stale reads', 'sessions', /is older than/],
    ['lost puts', 'sets', /not the whole of/],
    ['moving snapshots', 'snapshots', /changed in the snapshot/],
    ['lost updates', 'updates', /not linearizable|is hidden from|is lost/],
    ['locks of nobody', 'locks', /began before the end of/],
  ])('is found: %s, by the check of %s', async (plant, check, problem) => {
    const random = randomFrom(testSeed());
    let found: readonly string[] = [];
    for (let run = 0; run < PLANTED_RUNS_MAX && found.length === 0; run++) {
      const problems = problemsOf(await runHistory(random, { segments: 'appended', clients: 3, forMs: 1200, plant }));
      found = problems[check]?.filter((one) => problem.test(one)) ?? [];
    }
    expect(found).not.toEqual([]);
  });
});
