/**
 * The seeds that every run of the tests simulates: the first ones of all kinds of scenarios and of plays, and those that have found a mutant (`mutants.mjs`), so that each of these was
 * found within what is run here. `npm run simulate -- --seeds 5000` runs more.
 */
import { describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.mjs';
import { LATER_PLOT_NAMES, PLOT_NAMES } from './plots.ts';
import { simulateApart } from './run-apart.ts';

const FIRST_SEEDS = 60;
const FIRST_PLAY = 2_000_000;
const FIRST_LATER_PLAY = 2_100_000;
/** In the others nobody is suspended. */
const SUSPENDING = PLOT_NAMES.filter((plot) => plot !== 'backlog' && plot !== 'layers');
const isFirst = (seed: number): boolean => [0, FIRST_PLAY, FIRST_LATER_PLAY].some((first) => seed >= first && seed < first + FIRST_SEEDS);
const TELLING_SEEDS = [...new Set(MUTANTS.flatMap(({ seed }) => (isFirst(seed) ? [] : [seed])))];

describe('the simulated protocol', () => {
  it(`keeps its promises in ${FIRST_SEEDS} scenarios, from writers alone to all faults at once`, async () => {
    const { report, output } = await simulateApart(['--from', '0', '--seeds', String(FIRST_SEEDS)]);
    expect(report.failure, output).toBeUndefined();
    expect(report.scenarios).toBe(FIRST_SEEDS);
    // Nothing of what it is made for was left out by chance.
    for (const what of ['put', 'delete', 'update', 'updateMany', 'putIf', 'get', 'scan', 'snapshot', 'snapshot SNAPSHOT_EXPIRED', 'lock']) {
      expect(report.counts[what], what).toBeGreaterThan(20);
    }
    for (const what of ['pass', 'lost pass', 'horizon', 'compact', 'put OUTCOME_UNKNOWN', 'put STORAGE', 'lock LOCK_TIMEOUT', 'waitFor']) {
      expect(report.counts[what], what).toBeGreaterThan(0);
    }
    expect(report.counts['undecided'] ?? 0, 'histories too large for the checker').toBe(0);
  });

  it(`keeps them in ${FIRST_SEEDS} plays`, async () => {
    const { report, output } = await simulateApart(['--from', String(FIRST_PLAY), '--seeds', String(FIRST_SEEDS)]);
    expect(report.failure, output).toBeUndefined();
    expect(report.scenarios).toBe(FIRST_SEEDS);
    // Each plot comes about: somebody is suspended where it wants them to be.
    for (const plot of SUSPENDING) expect(report.counts[`${plot} held`], plot).toBeGreaterThan(0);
    expect(report.counts['undecided'] ?? 0, 'histories too large for the checker').toBe(0);
  });

  it(`keeps them in ${FIRST_SEEDS} plays of later plots`, async () => {
    const { report, output } = await simulateApart(['--from', String(FIRST_LATER_PLAY), '--seeds', String(FIRST_SEEDS)]);
    expect(report.failure, output).toBeUndefined();
    expect(report.scenarios).toBe(FIRST_SEEDS);
    // In that one nobody is suspended.
    for (const plot of LATER_PLOT_NAMES.filter((name) => name !== 'clockGoesBack')) {
      expect((report.counts[`${plot} held`] ?? 0) + (report.counts[`${plot} failed`] ?? 0), plot).toBeGreaterThan(0);
    }
    expect(report.counts['undecided'] ?? 0, 'histories too large for the checker').toBe(0);
  });

  it('keeps them in the scenarios that find what is planted', async () => {
    const { report, output } = await simulateApart(['--only', TELLING_SEEDS.join()]);
    expect(report.failure, output).toBeUndefined();
    expect(report.scenarios).toBe(TELLING_SEEDS.length);
  });

  it('takes the same course each time, in any process', async () => {
    const again = ['--only', '3,7,12,25'];
    const [first, second] = [await simulateApart(again), await simulateApart(again)];
    expect(second.report.traces).toEqual(first.report.traces);
    expect(new Set(first.report.traces).size).toBe(4);
  });
});
