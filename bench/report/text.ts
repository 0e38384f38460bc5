/** A report for a terminal. */
import type { CaseReport, FigureReport, PeerReport, Report, TargetReport } from '../harness/report.ts';
import type { Spread } from '../harness/statistics.ts';
import { machineText } from '../machine.ts';

export function reportText(report: Report): string {
  const { suites, targets, machine, versions, seed, scale, rounds, load } = report;
  return [
    machineText(machine),
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `scale ${scale}, ${rounds} rounds, seed ${seed}; load average before ${load.before.toFixed(1)}, after ${load.after.toFixed(1)}`,
    ...suites.flatMap(({ name, about, cases }) => ['', `== ${name}`, about, ...cases.flatMap(caseText)]),
    '',
    '== targets',
    ...targets.map(targetText),
  ].join('\n');
}

function caseText({ name, results }: CaseReport): string[] {
  return ['', `-- ${name}`, ...results.flatMap(peerText), ...checksumText(results)];
}

function checksumText(results: readonly PeerReport[]): string[] {
  const checksums = new Set(results.map(({ checksum }) => checksum).filter((checksum) => checksum !== undefined));
  if (checksums.size === 0) return [];
  return [
    checksums.size === 1
      ? `   all read back ${[...checksums][0]?.slice(0, 16)}…`
      : `   NOT THE SAME was read back: ${[...checksums].join(', ')}`,
  ];
}

function peerText({ peer, cannot, figures, failures }: PeerReport): string[] {
  if (cannot !== undefined) return [`   ${peer.padEnd(16)} can't: ${cannot}`];
  const told = Object.entries(figures).map(([name, figure]) => `${name} ${figureText(figure)}`);
  return [`   ${peer.padEnd(16)} ${told.join('; ')}`, ...failures.map((failure) => `   ${peer.padEnd(16)} FAILED: ${failure}`)];
}

export function figureText({ unit, ...spread }: FigureReport): string {
  const { median, min, max } = spread;
  return spread.rounds.length === 1 ? `${short(median)} ${unit}` : `${short(median)} ${unit} (${short(min)}–${short(max)})`;
}

export function targetText({ name, measured, bound, isMet }: TargetReport): string {
  const limit = 'atLeast' in bound ? `at least ${bound.atLeast}` : `at most ${bound.atMost}`;
  const verdict = isMet === undefined ? 'NOT MEASURED' : isMet ? 'met' : 'NOT MET';
  return `${verdict.padEnd(12)} ${name}: ${measured === undefined ? '–' : spreadText(measured)} (${limit})`;
}

export function spreadText({ median, min, max }: Spread): string {
  return `${short(median)} (${short(min)}–${short(max)})`;
}

/** Three digits that count. */
export function short(n: number): string {
  if (!Number.isFinite(n)) return '–';
  return Math.abs(n) >= 100 ? Math.round(n).toLocaleString('en') : String(Number(n.toPrecision(3)));
}
