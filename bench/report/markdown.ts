/** A report for reading: a table a case, the targets, and how it was measured. */
import type { CaseReport, PeerReport, Report, SuiteReport } from '../harness/report.ts';
import { ratioOf } from '../harness/statistics.ts';
import { machineText } from '../machine.ts';
import { checksumsOf, figureText, short, spreadText, targetBound, targetVerdict } from './text.ts';

export function reportMarkdown(report: Report): string {
  const { machine, versions, scale, rounds, seed, load, peers, suites, targets } = report;
  return [
    '# Benchmark',
    '',
    `${machineText(machine)}. Scale ${scale}, ${rounds} rounds, seed ${seed}; ${report.startedAt}, ${Math.round(report.seconds)} s; load average before ${load.before.toFixed(1)}, after ${load.after.toFixed(1)}.`,
    `Versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
    '',
    'Figures are medians over the rounds (least–most). In each round all peers take turns; a ratio is the median of the ratios round by round.',
    '',
    ...table(
      ['Peer', 'Library', 'Setup'],
      peers.map(({ name, title, setup }) => [name, title, setup]),
    ),
    '',
    '## Targets',
    '',
    ...table(
      ['', 'Target', 'Measured', 'Bound'],
      targets.map((target) => [
        targetVerdict(target),
        target.name,
        target.measured === undefined ? '–' : spreadText(target.measured),
        targetBound(target),
      ]),
    ),
    ...suites.flatMap(suiteMarkdown),
    '',
  ].join('\n');
}

function suiteMarkdown({ name, about, cases }: SuiteReport): string[] {
  return ['', `## ${name}`, '', about, ...cases.flatMap(caseMarkdown)];
}

function caseMarkdown({ name, results }: CaseReport): string[] {
  const figures = [...new Set(results.flatMap((result) => Object.keys(result.figures)))];
  const peat = results.find(({ peer }) => peer.startsWith('peat'));
  const rows = results.map((result) => {
    if (result.cannot !== undefined) return [result.peer, `can't: ${result.cannot}`, ...figures.slice(1).map(() => '')];
    return [result.peer, ...figures.map((figure) => cell(result, figure, peat))];
  });
  const failures = results.flatMap(({ peer, failures: those }) =>
    those.map((failure) => `- **${peer} failed**: ${failure.split('\n')[0]}`),
  );
  return [
    '',
    `### ${name}`,
    '',
    ...table(['', ...figures], rows),
    ...(failures.length > 0 ? ['', ...failures] : []),
    ...agreement(results),
  ];
}

function cell({ peer, figures }: PeerReport, name: string, peat: PeerReport | undefined): string {
  const figure = figures[name];
  if (figure === undefined) return '';
  const ours = peat?.peer === peer ? undefined : peat?.figures[name];
  const ratio = ours === undefined ? '' : ` · Peat ${short(ratioOf(ours.rounds, figure.rounds).median)}×`;
  return `${figureText(figure)}${ratio}`;
}

function agreement(results: readonly PeerReport[]): string[] {
  const checksums = checksumsOf(results);
  if (checksums.length === 0) return [];
  return [
    '',
    checksums.length === 1
      ? `All read back the same: \`${checksums[0]?.slice(0, 16)}\`.`
      : `**Not the same was read back**: ${checksums.join(', ')}`,
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)];
}
