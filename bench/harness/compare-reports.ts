/** What moved between two runs, beyond the spread of both. */
import { short } from '../report/text.ts';
import type { FigureReport, Report } from './report.ts';

export interface Move {
  readonly suite: string;
  readonly case: string;
  readonly peer: string;
  readonly figure: string;
  readonly unit: string;
  readonly before: number;
  readonly after: number;
  readonly isBetter: boolean;
}

/** Figures of both; those with the largest change come first. */
export function compareReports(before: Report, after: Report): { readonly compared: number; readonly moves: readonly Move[] } {
  const earlier = new Map(figuresOf(before).map(({ place, figure }) => [JSON.stringify(place), figure]));
  let compared = 0;
  const moves: Move[] = [];
  for (const { place, figure } of figuresOf(after)) {
    const old = earlier.get(JSON.stringify(place));
    if (old === undefined) continue;
    compared++;
    if (figure.min <= old.max && old.min <= figure.max) continue;
    const isBetter = figure.better === 'more' ? figure.median > old.median : figure.median < old.median;
    moves.push({ ...place, unit: figure.unit, before: old.median, after: figure.median, isBetter });
  }
  const change = ({ before: a, after: b }: Move): number => Math.abs(Math.log(b / a));
  return { compared, moves: moves.sort((a, b) => change(b) - change(a)) };
}

type Place = Pick<Move, 'suite' | 'case' | 'peer' | 'figure'>;

function figuresOf({ suites }: Report): { readonly place: Place; readonly figure: FigureReport }[] {
  return suites.flatMap((suite) =>
    suite.cases.flatMap((one) =>
      one.results.flatMap(({ peer, figures }) =>
        Object.entries(figures).map(([name, figure]) => ({ place: { suite: suite.name, case: one.name, peer, figure: name }, figure })),
      ),
    ),
  );
}

export function moveText({ suite, case: one, peer, figure, unit, before, after, isBetter }: Move): string {
  const verdict = isBetter ? 'better' : 'WORSE';
  return `${verdict}  ${suite}: ${one}: ${peer}: ${figure} ${short(before)} → ${short(after)} ${unit} (${short(after / before)}×)`;
}
