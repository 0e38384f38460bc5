/** What was measured at each moment of a soak, and its charts. */
import { quantile } from '../quantile.ts';

const BARS = '▁▂▃▄▅▆▇█';
const COLUMNS = 60;

export interface Series {
  readonly name: string;
  /** One a sample; undefined where there was nothing to measure. */
  readonly values: readonly (number | undefined)[];
}

/** Samples of several kinds, one row a moment. */
export class SeriesTable {
  readonly #columns = new Map<string, (number | undefined)[]>();
  #samples = 0;

  add(figures: Readonly<Record<string, number | undefined>>): void {
    for (const [name, value] of Object.entries(figures)) {
      const column = this.#columns.get(name) ?? new Array<undefined>(this.#samples).fill(undefined);
      column.push(value);
      this.#columns.set(name, column);
    }
    this.#samples++;
    for (const column of this.#columns.values()) if (column.length < this.#samples) column.push(undefined);
  }

  all(): Series[] {
    return [...this.#columns].map(([name, values]) => ({ name, values }));
  }
}

/** One line a series: its median in the first and the last quarter, its maximum, and its course; each bar is the highest of its span. */
export function chart(series: readonly Series[]): string[] {
  const width = Math.max(...series.map(({ name }) => name.length));
  const head = `${''.padEnd(width)}  ${'first'.padStart(9)}  ${'last'.padStart(9)}  ${'highest'.padStart(9)}`;
  return [head, ...series.map((one) => row(one, width))];
}

function row({ name, values }: Series, width: number): string {
  const quarter = Math.max(1, Math.floor(values.length / 4));
  const highest = Math.max(...known(values));
  const numbers = [median(values.slice(0, quarter)), median(values.slice(-quarter)), highest];
  return `${name.padEnd(width)}  ${numbers.map((n) => short(n).padStart(9)).join('  ')}  ${course(values, highest)}`;
}

const known = (values: Series['values']): number[] => values.filter((value) => value !== undefined);

function median(values: Series['values']): number | undefined {
  return quantile(known(values), 0.5);
}

function short(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return '–';
  return n >= 100 || Number.isInteger(n) ? Math.round(n).toLocaleString('en') : n.toPrecision(3);
}

function course(values: Series['values'], highest: number): string {
  const columns = Math.min(COLUMNS, values.length);
  const bars = Array.from({ length: columns }, (_, i) => {
    const span = known(values.slice(Math.floor((i * values.length) / columns), Math.floor(((i + 1) * values.length) / columns)));
    if (span.length === 0) return ' ';
    const share = highest > 0 ? Math.max(...span) / highest : 0;
    return BARS[Math.min(BARS.length - 1, Math.floor(share * BARS.length))];
  });
  return bars.join('');
}
