/** A report as one page that needs nothing else: charts, then all tables. */
import { marked } from 'marked';
import type { Report } from '../harness/report.ts';
import { chartsOf } from './charts.ts';
import { reportMarkdown } from './markdown.ts';
import { syncChart } from './sync-chart.ts';

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color-scheme: light dark; }
  table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px; }
  th, td { border: 1px solid #8886; padding: 0.2em 0.6em; text-align: left; white-space: nowrap; }
  figure { display: inline-block; margin: 0.5em; }
`;

export async function reportHtml(report: Report): Promise<string> {
  const titles = new Map(report.peers.map(({ name, title }) => [name, title]));
  const syncs = report.suites
    .filter(({ name }) => name === 'reproduction')
    .flatMap(({ cases }) => cases.filter(({ name }) => name.startsWith('over a link')).map((one) => syncChart(one, titles)));
  const charts = report.suites.map(
    (suite) =>
      `<h2>${suite.name}</h2>${chartsOf(suite)
        .map(({ svg }) => `<figure>${svg}</figure>`)
        .join('\n')}`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Peat: benchmark</title><style>${STYLE}</style></head>
<body>
${syncs.map((svg) => `<figure>${svg}</figure>`).join('\n')}
${charts.join('\n')}
${await marked(reportMarkdown(report))}
</body></html>
`;
}
