/** What this share of the samples does not exceed; undefined without samples. */
export function quantile(samples: readonly number[], share: number): number | undefined {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
