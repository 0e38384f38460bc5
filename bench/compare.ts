/**
 * Shows what moved between two runs of the benchmark.
 *
 *   npm run bench:compare -- BEFORE.json AFTER.json [--json]
 *
 * A figure has moved if the ranges of its rounds do not touch: then it is more than the spread of either run. What stayed is not shown.
 * Exit code 64 if a file is no report.
 */
import { parseArgs } from 'node:util';
import { compareReports, moveText } from './harness/compare-reports.ts';
import { readReport } from './harness/read-report.ts';
import type { Report } from './harness/report.ts';
import { machineText } from './machine.ts';
import { orMisuse } from './misuse.ts';

const { before, after, isJson } = orMisuse(() => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean', default: false } } });
  const [first, second, ...more] = positionals;
  if (first === undefined || second === undefined || more.length > 0)
    throw new TypeError('usage: npm run bench:compare -- BEFORE.json AFTER.json [--json]');
  return { before: readReport(first), after: readReport(second), isJson: values.json };
});
const comparison = compareReports(before, after);
console.log(isJson ? JSON.stringify(comparison) : comparisonText());

function comparisonText(): string {
  const { compared, moves, cautions } = comparison;
  return [
    ...[before, after].map(runText),
    ...cautions.map((caution) => `caution: ${caution}`),
    ...moves.map(moveText),
    `${moves.length} of ${compared} figures moved`,
  ].join('\n');
}

function runText({ startedAt, machine, versions, scale, rounds }: Report): string {
  return `${startedAt}: ${machineText(machine, versions['node'])}, scale ${scale}, ${rounds} rounds`;
}
