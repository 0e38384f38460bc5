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

/** What was read back, without doubles: at most one if all peers agree. */
export function checksumsOf(results: readonly PeerReport[]): string[] {
  return [...new Set(results.map(({ checksum }) => checksum).filter((checksum) => checksum !== undefined))];
}

function checksumText(results: readonly PeerReport[]): string[] {
  const checksums = checksumsOf(results);
  if (checksums.length === 0) return [];
  return [
    checksums.length === 1 ? `   all read back ${checksums[0]?.slice(0, 16)}…` : `   NOT THE SAME was read back: ${checksums.join(', ')}`,
  ];
}

function peerText({ peer, cannot, figures, failures }: PeerReport): string[] {
  if (cannot !== undefined) return [`   ${peer.padEnd(16)} can't: ${cannot}`];
  const told = Object.entries(figures).map(([name, figure]) => `${name} ${figureText(figure)}`);
  return [`   ${peer.padEnd(16)} ${told.join('; ')}`, ...failures.map((failure) => `   ${peer.padEnd(16)} FAILED: ${failure}`)];
}

export function figureText(figure: FigureReport): string {
  const [factor, unit] = readableUnit(figure);
  const { median, min, max } = figure;
  const text = `${short(median * factor)} ${unit}`.trimEnd();
  return figure.rounds.length === 1 ? text : `${text} (${short(min * factor)}–${short(max * factor)})`;
}

/** Microseconds are told as longer units where there are many, bytes as well. */
function readableUnit({ unit, median }: FigureReport): [factor: number, unit: string] {
  if (unit === 'µs' && median >= 10e6) return [1e-6, 's'];
  if (unit === 'µs' && median >= 10e3) return [1e-3, 'ms'];
  if (unit === 'bytes' && median >= 10e6) return [1e-6, 'MB'];
  if (unit === 'bytes' && median >= 10e3) return [1e-3, 'kB'];
  return [1, unit];
}

function targetText(target: TargetReport): string {
  const { name, measured } = target;
  return `${targetVerdict(target).padEnd(12)} ${name}: ${measured === undefined ? '–' : spreadText(measured)} (${targetBound(target)})`;
}

export function targetVerdict({ isMet }: TargetReport): string {
  return isMet === undefined ? 'not measured' : isMet ? 'met' : 'NOT MET';
}

export function targetBound({ bound }: TargetReport): string {
  return 'atLeast' in bound ? `at least ${short(bound.atLeast)}` : `at most ${short(bound.atMost)}`;
}

export function spreadText({ median, min, max }: Spread): string {
  return `${short(median)} (${short(min)}–${short(max)})`;
}

/** Three digits that count. */
export function short(n: number): string {
  if (!Number.isFinite(n)) return '–';
  return Math.abs(n) >= 100 ? Math.round(n).toLocaleString('en') : String(Number(n.toPrecision(3)));
}
