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
  /** One of the runs measured it once: there is no spread that it could be beyond. */
  readonly isSingle: boolean;
}

export interface Comparison {
  /** How many figures are in both. */
  readonly compared: number;
  /** Those with the largest change come first. */
  readonly moves: readonly Move[];
  /** Why a move may have another reason than a change of the program, in words. */
  readonly cautions: readonly string[];
}

export function compareReports(before: Report, after: Report): Comparison {
  const earlier = new Map(figuresOf(before).map(({ place, figure }) => [JSON.stringify(place), figure]));
  let compared = 0;
  const moves: Move[] = [];
  for (const { place, figure } of figuresOf(after)) {
    const old = earlier.get(JSON.stringify(place));
    if (old === undefined) continue;
    compared++;
    if (figure.min <= old.max && old.min <= figure.max) continue;
    const isBetter = figure.better === 'more' ? figure.median > old.median : figure.median < old.median;
    const isSingle = Math.min(old.rounds.length, figure.rounds.length) < 2;
    moves.push({ ...place, unit: figure.unit, before: old.median, after: figure.median, isBetter, isSingle });
  }
  return { compared, moves: moves.sort((a, b) => changeOf(b) - changeOf(a)), cautions: cautionsOf(before, after) };
}

/** From or to nothing is more than anything else. */
function changeOf({ before, after }: Move): number {
  return before > 0 && after > 0 ? Math.abs(Math.log(after / before)) : Number.MAX_VALUE;
}

function cautionsOf(before: Report, after: Report): string[] {
  const aspects: readonly (readonly [string, (report: Report) => unknown])[] = [
    ['scale', ({ scale }) => scale],
    ['seed', ({ seed }) => seed],
    ['processor', ({ machine }) => machine.cpu],
    ['number of cores', ({ machine }) => machine.cores],
    ['file system', ({ machine }) => machine.fileSystem],
    ['version of Node', ({ versions }) => versions['node']],
  ];
  return aspects
    .filter(([, of]) => of(before) !== of(after))
    .map(([what, of]) => `the ${what} differs: ${String(of(before))}, then ${String(of(after))}`);
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

export function moveText({ suite, case: one, peer, figure, unit, before, after, isBetter, isSingle }: Move): string {
  const verdict = isBetter ? 'better' : 'WORSE';
  const factor = before > 0 ? ` (${short(after / before)}×)` : '';
  return (
    `${verdict}  ${suite}: ${one}: ${peer}: ${figure} ${short(before)} → ${short(after)} ${unit}`.trimEnd() +
    factor +
    (isSingle ? ', from one round' : '')
  );
}
