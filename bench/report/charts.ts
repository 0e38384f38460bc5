/** The charts of a report. */
import { bucketUs, type LatencyCounts } from '../../src/cli/replay/latencies.ts';
import type { CaseReport, SuiteReport } from '../harness/report.ts';
import { colorOf, draw, INK } from './draw.ts';

export interface Chart {
  readonly title: string;
  readonly svg: string;
}

interface Line {
  readonly name: string;
  /** Undefined where there is nothing to show. */
  readonly points: readonly (readonly [number, number])[];
}

interface Axis {
  readonly name: string;
  readonly logBase: number;
  readonly label: (value: number) => string;
}

export function chartsOf(suite: SuiteReport): Chart[] {
  return [...byProcesses(suite), ...bySize(suite), ...suite.cases.flatMap(latencyCharts)].filter(({ svg }) => svg !== '');
}

/** How long which share of the calls took: the further right, the rarer. */
function latencyCharts({ name, results }: CaseReport): Chart[] {
  const kinds = new Set(results.flatMap(({ latencies }) => Object.keys(latencies)));
  return [...kinds].map((kind) => {
    const lines = results.map(
      ({ peer, latencies }): Line => ({ name: peer, points: latencies[kind] === undefined ? [] : curveOf(latencies[kind]) }),
    );
    const title = `${name}: ${kind}`;
    return {
      title,
      svg: lineChart(title, lines, { x: { name: 'slowest of', logBase: 10, label: (of) => `1 in ${compact(of)}` }, y: TIME }),
    };
  });
}

const TIME: Axis = { name: 'time', logBase: 10, label: timeText };

/** [how rare, µs]: of 100 calls one takes at least so long. */
function curveOf({ buckets }: LatencyCounts): [number, number][] {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let slower = total;
  return buckets.map(([bucket, count]) => {
    const point: [number, number] = [total / slower, bucketUs(bucket)];
    slower -= count;
    return point;
  });
}

/** Cases that differ only in how many processes work. */
function byProcesses({ cases }: SuiteReport): Chart[] {
  return grouped(cases, /^(.*?),? ?(\d+) processes$/).map(([group, members]) => {
    const title = `${group}: throughput by processes`;
    const lines = linesOf(members, 'throughput');
    return {
      title,
      svg: lineChart(title, lines, {
        x: { name: 'processes', logBase: 2, label: compact },
        y: { name: 'a second', logBase: 10, label: compact },
      }),
    };
  });
}

/** Cases that differ only in the size of the store: a chart for each kind of call. */
function bySize({ cases }: SuiteReport): Chart[] {
  return grouped(cases, /^(.*?),? ?([\d,]+) entries$/).flatMap(([group, members]) => {
    const figures = new Set(members.flatMap(({ one }) => one.results.flatMap(({ figures: those }) => Object.keys(those))));
    return [...figures]
      .filter((figure) => figure.endsWith(' p50'))
      .map((figure) => {
        const title = `${group} ${figure.replace(/ p50$/, '')}: median time by entries in the store`.trim();
        return { title, svg: lineChart(title, linesOf(members, figure), { x: { name: 'entries', logBase: 10, label: compact }, y: TIME }) };
      });
  });
}

interface Member {
  readonly at: number;
  readonly one: CaseReport;
}

/** Groups of at least two. */
function grouped(cases: readonly CaseReport[], pattern: RegExp): [string, Member[]][] {
  const groups = new Map<string, Member[]>();
  for (const one of cases) {
    const [, group, at] = pattern.exec(one.name) ?? [];
    if (group === undefined || at === undefined) continue;
    groups.set(group, [...(groups.get(group) ?? []), { at: Number(at.replaceAll(',', '')), one }]);
  }
  return [...groups].filter(([, members]) => members.length > 1);
}

function linesOf(members: readonly Member[], figure: string): Line[] {
  const peers = [...new Set(members.flatMap(({ one }) => one.results.map(({ peer }) => peer)))];
  return peers.map((name) => ({
    name,
    points: members.flatMap(({ at, one }): [number, number][] => {
      const median = one.results.find(({ peer }) => peer === name)?.figures[figure]?.median;
      return median === undefined || !(median > 0) ? [] : [[at, median]];
    }),
  }));
}

function lineChart(title: string, lines: readonly Line[], { x, y }: { readonly x: Axis; readonly y: Axis }): string {
  const drawn = lines.filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return '';
  const all = drawn.flatMap(({ points }) => points.map(([at]) => at));
  const axis = ({ name, logBase, label }: Axis) => ({
    name,
    type: 'log',
    logBase,
    nameTextStyle: { color: INK },
    axisLabel: { color: INK, formatter: label },
    axisLine: { show: true, lineStyle: { color: INK } },
    splitLine: { lineStyle: { color: INK, opacity: 0.2 } },
    minorTick: { show: false },
  });
  return draw({
    title: { text: title, left: 'center', textStyle: { color: INK, fontSize: 14 } },
    legend: { bottom: 0, itemGap: 18, textStyle: { color: INK } },
    grid: { left: 70, right: 80, top: 45, bottom: 60 },
    // Only as far as there is something to show: a decade more would be empty.
    xAxis: { ...axis(x), min: Math.min(...all), max: Math.max(...all), nameLocation: 'middle', nameGap: 22 },
    yAxis: axis(y),
    series: drawn.map(({ name, points }) => ({
      name,
      type: 'line',
      data: [...points],
      symbol: 'circle',
      symbolSize: points.length > 20 ? 0 : 6,
      itemStyle: { color: colorOf(name) },
      lineStyle: { color: colorOf(name) },
    })),
  });
}

function compact(n: number): string {
  if (n >= 1e6) return `${Number((n / 1e6).toPrecision(3))} M`;
  if (n >= 1e3) return `${Number((n / 1e3).toPrecision(3))} k`;
  return String(Number(n.toPrecision(3)));
}

function timeText(us: number): string {
  if (us >= 1e6) return `${us / 1e6} s`;
  return us >= 1e3 ? `${us / 1e3} ms` : `${us} µs`;
}
