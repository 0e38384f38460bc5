/** A report as one page that needs nothing else: what the Markdown says, with charts. */
import { marked } from 'marked';
import type { Report, SuiteReport } from '../harness/report.ts';
import { chartsOf } from './charts.ts';
import { reportMarkdown } from './markdown.ts';
import { syncChart } from './sync-chart.ts';

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 1500px; margin: 2em auto; padding: 0 1em; color-scheme: light dark; }
  table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px; }
  th, td { border: 1px solid #8886; padding: 0.2em 0.6em; text-align: left; }
  figure { display: inline-block; margin: 0.5em; max-width: 100%; overflow-x: auto; }
`;

export async function reportHtml(report: Report): Promise<string> {
  const titles = new Map(report.peers.map(({ name, title }) => [name, title]));
  let body = await marked(reportMarkdown(report));
  for (const suite of report.suites) {
    const heading = `<h2>${suite.name}</h2>`;
    const figures = [...syncCharts(suite, titles), ...chartsOf(suite).map(({ svg }) => svg)].map((svg) => `<figure>${svg}</figure>`);
    body = body.replace(heading, () => `${heading}\n${figures.join('\n')}`);
  }
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Peat: benchmark</title><style>${STYLE}</style></head>
<body>
${body}
</body></html>
`;
}

/** Where each process counts by itself, and there is more than one peer to compare. */
function syncCharts({ cases }: SuiteReport, titles: ReadonlyMap<string, string>): string[] {
  return cases
    .filter(({ results }) => results.filter(({ endings = [] }) => endings.length > 0).length > 1)
    .map((one) => syncChart(one, { titles, subtitle: one.name }));
}
