/** Draws a chart as SVG text, without a browser. */
import { BarChart, CustomChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

echarts.use([BarChart, CustomChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

/** Each peer has its own in all charts. Told apart on white and on black, also by those who see no red and green (Okabe and Ito). */
const COLORS: readonly (readonly [prefix: string, color: string])[] = [
  ['peat', '#0072b2'],
  ['sqlite', '#e69f00'],
  ['lmdb', '#009e73'],
  ['classic-level', '#cc79a7'],
  ['json-file', '#b8a800'],
  ['json-shards', '#56b4e9'],
  ['raw', '#999999'],
];
const OTHER_COLOR = '#a0522d';

export const FAILED_COLOR = '#e5484d';

export function colorOf(peer: string): string {
  return COLORS.find(([prefix]) => peer.startsWith(prefix))?.[1] ?? OTHER_COLOR;
}

/** Of texts and lines: readable on white and on black. */
export const INK = '#7d8590';

export interface DrawOptions {
  readonly width?: number;
  readonly height?: number;
}

export function draw(option: echarts.EChartsCoreOption, { width = 720, height = 360 }: DrawOptions = {}): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  const ink = { color: INK, fontFamily: 'sans-serif' };
  chart.setOption({ animation: false, textStyle: ink, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
