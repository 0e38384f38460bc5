/** The lock table of the product as Markdown, and as text for terminals. */
import type { AuditFigures, AuditRow, Quantiles } from '../../lock/lock-audit.ts';

const STATIC_HEAD = ['Site', 'Kind', 'Mode', 'Guards', 'Why'];
const TRACED_HEAD = ['Count', 'Wait p50 / p99 / max, ms', 'Hold p50 / p99 / max, ms', 'Smells'];

export interface AuditTextOptions {
  /** Whether there was a trace to read. */
  readonly isTraced: boolean;
}

export function auditMarkdown(rows: readonly AuditRow[], { isTraced }: AuditTextOptions): string[] {
  const head = isTraced ? [...STATIC_HEAD, ...TRACED_HEAD] : STATIC_HEAD;
  const lines = [head, head.map(() => '---')];
  for (const row of rows) {
    const { id, kind, mode, guards, why } = row.site;
    lines.push([`\`${id}\``, kind, mode, guards, why, ...(isTraced ? tracedCells(row) : [])]);
  }
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
}

function tracedCells(figures: AuditFigures): string[] {
  const three = (quantiles: Quantiles | undefined): string => quantileCells(quantiles).join(' / ');
  return [String(figures.count), three(figures.waitMs), three(figures.holdMs), smellText(figures)];
}

/** What fits a line is a table; what the locks are for stands below it. */
export function auditText(rows: readonly AuditRow[], { isTraced }: AuditTextOptions): string[] {
  const head = ['site', 'kind', 'mode'];
  if (isTraced) head.push('count', 'wait p50', 'p99', 'max ms', 'hold p50', 'p99', 'max ms', 'outcomes', 'smells');
  const table = [head];
  for (const row of rows) {
    table.push([row.site.id, row.site.kind, row.site.mode, ...(isTraced ? wideCells(row) : [])]);
    for (const own of row.callSites) table.push([`  at ${own.callSite}`, '', '', ...wideCells(own)]);
  }
  const about = rows.flatMap(({ site }) => [`${site.id}: guards ${site.guards}`, ...(site.why === '' ? [] : [`    ${site.why}`])]);
  return [...toTable(table, { numbersFrom: 3, numbersTo: 10 }), '', ...about];
}

function wideCells(figures: AuditFigures): string[] {
  const outcomes = Object.entries(figures.outcomes).map(([outcome, count]) => `${outcome} ${count}`);
  return [
    String(figures.count),
    ...quantileCells(figures.waitMs),
    ...quantileCells(figures.holdMs),
    outcomes.length === 0 ? '-' : outcomes.join(', '),
    smellText(figures),
  ];
}

function quantileCells(quantiles: Quantiles | undefined): string[] {
  if (quantiles === undefined) return ['-', '-', '-'];
  return [quantiles.p50, quantiles.p99, quantiles.max].map((ms) => (ms < 10 ? ms.toFixed(2) : ms.toFixed(0)));
}

function smellText({ smells }: AuditFigures): string {
  const texts = Object.entries(smells).map(([smell, count]) => `${smell} ${count}`);
  return texts.length === 0 ? '-' : texts.join(', ');
}

/** Columns from `numbersFrom` up to, and without, `numbersTo` go to the right. */
function toTable(rows: readonly (readonly string[])[], columns: { numbersFrom: number; numbersTo: number }): string[] {
  const { numbersFrom, numbersTo } = columns;
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] as number;
        return column >= numbersFrom && column < numbersTo ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
