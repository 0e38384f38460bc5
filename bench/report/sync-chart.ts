/** The picture of the reproduction: a bar for each writer, as long as its sync took. */
import type { CaseReport, PeerReport } from '../harness/report.ts';
import type { Ending } from '../harness/suite.ts';
import { colorOf, draw, FAILED_COLOR, INK } from './draw.ts';

/** Of all bars of a peer, and between two peers. */
const GROUP_HEIGHT = 72;
/** With more bars than that, they carry no texts of their own. */
const LABELLED_MAX = 4;

interface Row {
  readonly label: string;
  readonly text: string;
  readonly ending: Ending | undefined;
  readonly color: string;
}

export interface SyncChartOptions {
  readonly titles: ReadonlyMap<string, string>;
  /** Stands beside what the bars mean. */
  readonly subtitle?: string;
}

/** @throws RangeError if there is nothing to show */
export function syncChart(one: CaseReport, { titles, subtitle }: SyncChartOptions): string {
  const groups = one.results
    .map((result) => ({ peer: result.peer, title: nameOf(result.peer, titles), endings: roundOf(result) }))
    .filter(({ endings }) => endings.length > 0);
  if (groups.length === 0) throw new RangeError(`no sync was measured in ${one.name}`);
  const rows = groups.flatMap(({ peer, title, endings }) => rowsOf(title, endings, colorOf(peer)));
  return draw(
    {
      title: {
        text: `${one.processes} writers sync at once: when is each done?`,
        subtext: [...(subtitle === undefined ? [] : [subtitle]), 'a bar is a writer', 'red: it gave up without the lock'].join('; '),
        left: 'center',
        textStyle: { color: INK, fontSize: 15 },
        subtextStyle: { color: INK },
      },
      grid: { left: 220, right: 120, top: 60, bottom: 45 },
      xAxis: {
        type: 'value',
        name: 'seconds',
        nameLocation: 'middle',
        nameGap: 25,
        nameTextStyle: { color: INK },
        axisLabel: { color: INK },
        splitLine: { lineStyle: { color: INK, opacity: 0.2 } },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: rows.map(({ label }, i) => `${i} ${label}`),
        axisLabel: { color: INK, interval: 0, formatter: (text: string) => text.replace(/^\d+ /, '') },
        axisTick: { show: false },
        axisLine: { lineStyle: { color: INK } },
      },
      series: [{ type: 'bar', barCategoryGap: rows.length > 40 ? '0%' : '20%', data: rows.map(barOf) }],
    },
    { width: 820, height: 105 + groups.length * GROUP_HEIGHT },
  );
}

/** Without the version of its library. */
function nameOf(peer: string, titles: ReadonlyMap<string, string>): string {
  return (titles.get(peer) ?? peer).replace(/ \(.*\)$/, '');
}

/** The round whose last end is the middle one. */
function roundOf({ endings = [] }: PeerReport): readonly Ending[] {
  const last = (round: readonly Ending[]): number => round.at(-1)?.seconds ?? 0;
  const sorted = [...endings].sort((a, b) => last(a) - last(b));
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? [];
}

/** The title stands at the middle bar, with a summary where bars are too thin for texts of their own; a gap ends the group. */
function rowsOf(title: string, endings: readonly Ending[], color: string): Row[] {
  const isLabelled = endings.length <= LABELLED_MAX;
  const middle = Math.floor((endings.length - 1) / 2);
  const bars = endings.map((ending, i): Row => {
    const label = isLabelled ? title : [title, ...summaryOf(endings)].join('\n');
    return { label: i === middle ? label : '', text: isLabelled ? textOf(ending) : '', ending, color };
  });
  return [...bars, ...new Array<Row>(Math.ceil(endings.length / 6)).fill({ label: '', text: '', ending: undefined, color })];
}

function textOf({ seconds, isDone }: Ending): string {
  return isDone ? `${secondsText(seconds)} s` : `failed after ${secondsText(seconds)} s`;
}

function summaryOf(endings: readonly Ending[]): string[] {
  const done = endings.filter(({ isDone }) => isDone);
  const failed = endings.length - done.length;
  const last = done.at(-1);
  return [
    ...(last === undefined ? [] : [`${done.length} done, the last after ${secondsText(last.seconds)} s`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
  ];
}

const secondsText = (seconds: number): string => seconds.toFixed(seconds < 10 ? 1 : 0);

function barOf({ ending, text, color }: Row): unknown {
  if (ending === undefined) return { value: 0 };
  return {
    value: Number(ending.seconds.toPrecision(3)),
    itemStyle: ending.isDone ? { color } : { color: `${FAILED_COLOR}8c` },
    label: { show: text !== '', position: 'right', color: ending.isDone ? INK : FAILED_COLOR, formatter: text },
  };
}
