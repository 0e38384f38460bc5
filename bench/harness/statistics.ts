/** Medians with their spread, and ratios round by round. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: medianOf(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Of an even number of values the middle of the two in the middle, so that two rounds don't count as the worse of them. */
function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Of what was measured in the same rounds: the machine's ups and downs are in both. */
export function ratioOf(values: readonly number[], others: readonly number[]): Spread {
  const rounds = Math.min(values.length, others.length);
  return spreadOf(Array.from({ length: rounds }, (_, i) => (values[i] as number) / (others[i] as number)));
}
