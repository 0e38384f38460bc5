/** What Peat wants to reach, as ratios within one run. Each suite names its own; `docs/benchmarks.md` says which are met. */

import type { PeerName } from '../peers/peer.ts';
import type { CaseReport, FigureReport, SuiteReport, TargetReport } from './report.ts';
import { ratioOf, spreadOf } from './statistics.ts';

/** Where a figure stands in a report. */
export interface Place {
  readonly suite: string;
  readonly case: string;
  readonly peer: PeerName;
  readonly figure: string;
}

export interface Target {
  readonly name: string;
  readonly of: Place;
  /** What it is divided by, round by round; without it the figure itself is judged. */
  readonly to?: Partial<Place>;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

export function judge(targets: readonly Target[], suites: readonly SuiteReport[]): TargetReport[] {
  return targets.map(({ name, of, to, bound }) => {
    const above = figureAt(suites, of);
    const below = to === undefined ? undefined : figureAt(suites, { ...of, ...to });
    if (above === undefined || (to !== undefined && below === undefined)) return { name, measured: undefined, bound, isMet: undefined };
    const measured = below === undefined ? spreadOf(above.rounds) : ratioOf(above.rounds, below.rounds);
    const isMet = 'atLeast' in bound ? measured.median >= bound.atLeast : measured.median <= bound.atMost;
    return { name, measured, bound, isMet };
  });
}

function figureAt(suites: readonly SuiteReport[], place: Place): FigureReport | undefined {
  const cases: readonly CaseReport[] = suites.find(({ name }) => name === place.suite)?.cases ?? [];
  const results = cases.find(({ name }) => name === place.case)?.results ?? [];
  return results.find(({ peer }) => peer === place.peer)?.figures[place.figure];
}
