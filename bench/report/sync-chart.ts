/** The picture of the reproduction: a bar for each writer, as long as its sync took. */
import { bucketUs } from '../../src/cli/replay/latencies.ts';
import type { CaseReport, PeerReport } from '../harness/report.ts';
import { COLORS, draw, INK } from './draw.ts';

const ROW_HEIGHT = 16;
const FAILED_COLOR = '#b35900';

interface Bar {
  readonly seconds: number;
  readonly isFailed: boolean;
}

/** @throws RangeError if there is nothing to show */
export function syncChart(one: CaseReport, titles: ReadonlyMap<string, string>): string {
  const groups = one.results
    .map((result) => ({ title: titles.get(result.peer) ?? result.peer, bars: barsOf(result) }))
    .filter(({ bars }) => bars.length > 0);
  if (groups.length === 0) throw new RangeError(`no sync was measured in ${one.name}`);
  const rows = groups.flatMap(({ title, bars }, group) =>
    bars.map((bar, i) => ({ ...bar, label: i === 0 ? title : '', color: COLORS[group] })),
  );
  return draw(
    {
      title: { text: `${one.processes} writers sync at once: when each is done`, left: 'center', textStyle: { color: INK, fontSize: 14 } },
      grid: { left: 130, right: 110, top: 40, bottom: 45 },
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
        data: rows.map(({ label }) => label),
        axisLabel: { color: INK, interval: 0 },
        axisTick: { show: false },
      },
      series: [
        {
          type: 'bar',
          barCategoryGap: '25%',
          data: rows.map(({ seconds, isFailed, color }) => ({
            value: Number(seconds.toPrecision(3)),
            itemStyle: isFailed ? { color: 'transparent', borderColor: FAILED_COLOR, borderWidth: 1, borderType: 'dashed' } : { color },
            label: {
              show: true,
              position: 'right',
              color: isFailed ? FAILED_COLOR : INK,
              formatter: isFailed ? 'failed' : `${Number(seconds.toPrecision(2))} s`,
            },
          })),
        },
      ],
    },
    { width: 760, height: 85 + rows.length * ROW_HEIGHT },
  );
}

/** Of one round, the quickest first. */
function barsOf({ latencies, figures }: PeerReport): Bar[] {
  const rounds = Math.max(1, figures['failed syncs']?.rounds.length ?? 1);
  const done = (latencies['sync']?.buckets ?? []).flatMap(([bucket, count]) => new Array<number>(count).fill(bucketUs(bucket) / 1e6));
  const finished = done.filter((_, i) => i % rounds === 0).map((seconds): Bar => ({ seconds, isFailed: false }));
  const failedAfter = figures['failed after']?.median ?? 0;
  const failed = new Array<Bar>(figures['failed syncs']?.median ?? 0).fill({ seconds: failedAfter, isFailed: true });
  return [...finished, ...failed];
}
