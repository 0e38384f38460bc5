/** A report for reading: a table a case, the targets, and how it was measured. */
import type { CaseReport, FigureReport, PeerReport, Report, SuiteReport } from '../harness/report.ts';
import { ratioOf } from '../harness/statistics.ts';
import { machineText } from '../machine.ts';
import { checksumsOf, figureText, short, spreadText, targetBound, targetVerdict } from './text.ts';

export function reportMarkdown(report: Report): string {
  const { machine, versions, scale, rounds, seed, load, peers, suites, targets } = report;
  return [
    '# Benchmark',
    '',
    `${machineText(machine, versions['node'])}. Scale ${scale}, ${rounds} rounds (fewer where a trial takes long), seed ${seed}; ${report.startedAt}, ${Math.round(report.seconds)} s; load average before ${load.before.toFixed(1)}, after ${load.after.toFixed(1)}.`,
    `Versions: ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
    '',
    'Each trial has a fresh directory, and processes of its own. In each round all peers take turns. Figures are medians over the rounds (least–most). ' +
      '"Peat 2×" says that the figure of Peat is twice this one, as the median of the ratios round by round.',
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
  return ['', `## ${name}`, '', plain(about), ...cases.flatMap(caseMarkdown)];
}

/** A row a figure and a column a peer, since there may be many figures. */
function caseMarkdown({ name, results }: CaseReport): string[] {
  const able = results.filter(({ cannot }) => cannot === undefined);
  const figures = [...new Set(able.flatMap((result) => Object.keys(result.figures)))];
  const peat = able.find(({ peer }) => peer.startsWith('peat'));
  const rows = figures.map((figure) => [figure, ...able.map((result) => cell(result.figures[figure], ofOther(peat, result)?.[figure]))]);
  const remarks = results.flatMap(({ peer, cannot, failures }) => [
    ...(cannot === undefined ? [] : [`- ${peer} can't: ${plain(cannot)}.`]),
    ...failures.map((failure) => `- **${peer} failed**: ${plain(failure.split('\n')[0] ?? '')}`),
  ]);
  return [
    '',
    `### ${name}`,
    '',
    ...(able.length === 0 ? [] : table(['', ...able.map(({ peer }) => peer)], rows)),
    ...(remarks.length > 0 ? ['', ...remarks] : []),
    ...agreement(results),
  ];
}

function ofOther(peat: PeerReport | undefined, { peer }: PeerReport): PeerReport['figures'] | undefined {
  return peat?.peer === peer ? undefined : peat?.figures;
}

function cell(figure: FigureReport | undefined, ours: FigureReport | undefined): string {
  if (figure === undefined) return '';
  const ratio = ours === undefined ? Number.NaN : ratioOf(ours.rounds, figure.rounds).median;
  return `${figureText(figure)}${Number.isFinite(ratio) ? ` · Peat ${short(ratio)}×` : ''}`;
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
  const line = (cells: readonly string[]): string => `| ${cells.map((text) => plain(text).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)];
}

/** Text that might look like HTML. */
const plain = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
