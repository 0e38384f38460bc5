/** Draws a chart as SVG text, without a browser. */
import { BarChart, CustomChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

echarts.use([BarChart, CustomChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

/** Told apart on white and on black, also by those who see no red and green (Okabe and Ito). */
export const COLORS: readonly string[] = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9', '#999999', '#b8a800'];
/** Of texts and lines: readable on white and on black. */
export const INK = '#7d8590';

export interface DrawOptions {
  readonly width?: number;
  readonly height?: number;
}

export function draw(option: echarts.EChartsCoreOption, { width = 720, height = 360 }: DrawOptions = {}): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  const ink = { color: INK, fontFamily: 'sans-serif' };
  chart.setOption({ animation: false, color: [...COLORS], textStyle: ink, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
