/**
 * Draws the picture of the reproduction that the README shows.
 *
 *   node .ci/prepare.mjs built dist/bench/sync-chart.js REPORT.json OUT.svg [--case NAME]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readReport } from './harness/read-report.ts';
import { syncChart } from './report/sync-chart.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { case: { type: 'string', default: 'over a link, 4 processes' } },
});
const [from, to] = positionals;
if (from === undefined || to === undefined || positionals.length > 2)
  throw new TypeError('usage: sync-chart REPORT.json OUT.svg [--case NAME]');
const report = readReport(from);
const one = report.suites.find(({ name }) => name === 'reproduction')?.cases.find(({ name }) => name === values.case);
if (one === undefined) throw new RangeError(`${from} has no case ${JSON.stringify(values.case)} of the reproduction`);
writeFileSync(to, `${syncChart(one, new Map(report.peers.map(({ name, title }) => [name, title])))}\n`);
