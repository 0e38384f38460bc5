/** Medians with their spread, and ratios round by round. */
import { quantile } from '../quantile.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5) ?? Number.NaN, min: Math.min(...values), max: Math.max(...values) };
}

/** Of what was measured in the same rounds: the machine's ups and downs are in both. */
export function ratioOf(values: readonly number[], others: readonly number[]): Spread {
  const rounds = Math.min(values.length, others.length);
  return spreadOf(Array.from({ length: rounds }, (_, i) => (values[i] as number) / (others[i] as number)));
}
