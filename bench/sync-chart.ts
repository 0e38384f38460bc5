/**
 * Draws the picture of the reproduction that the README shows.
 *
 *   node .ci/prepare.mjs built dist/bench/sync-chart.js REPORT.json OUT.svg [--case NAME]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readReport } from './harness/read-report.ts';
import { orMisuse } from './misuse.ts';
import { syncChart } from './report/sync-chart.ts';

const { from, to, name } = orMisuse(() => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { case: { type: 'string', default: 'over a link, 4 processes' } },
  });
  const [report, picture, ...more] = positionals;
  if (report === undefined || picture === undefined || more.length > 0)
    throw new TypeError('usage: sync-chart REPORT.json OUT.svg [--case NAME]');
  return { from: report, to: picture, name: values.case };
});

const svg = orMisuse(() => {
  const report = readReport(from);
  const one = report.suites.find((suite) => suite.name === 'reproduction')?.cases.find((each) => each.name === name);
  if (one === undefined) throw new RangeError(`${from} has no case ${JSON.stringify(name)} of the reproduction`);
  return syncChart(one, { titles: new Map(report.peers.map((peer) => [peer.name, peer.title])) });
});
writeFileSync(to, `${svg}\n`);
