/**
 * Shows what moved between two runs of the benchmark.
 *
 *   npm run bench:compare -- BEFORE.json AFTER.json [--json]
 *
 * A figure has moved if the ranges of its rounds do not touch: then it is more than the spread of either run. What stayed is not shown.
 */
import { parseArgs } from 'node:util';
import { compareReports, moveText } from './harness/compare-reports.ts';
import { readReport } from './harness/read-report.ts';
import { machineText } from './machine.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean', default: false } } });
const [before, after] = positionals;
if (before === undefined || after === undefined || positionals.length > 2)
  throw new TypeError('usage: bench:compare BEFORE.json AFTER.json [--json]');
const [first, second] = [readReport(before), readReport(after)];
const { compared, moves } = compareReports(first, second);
if (values.json) {
  console.log(JSON.stringify({ compared, moves }));
} else {
  for (const report of [first, second])
    console.log(`${report.startedAt}: ${machineText(report.machine)}, scale ${report.scale}, ${report.rounds} rounds`);
  for (const move of moves) console.log(moveText(move));
  console.log(`${moves.length} of ${compared} figures moved`);
}
