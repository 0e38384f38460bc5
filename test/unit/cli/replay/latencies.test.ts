import { describe, expect, it } from 'vitest';
import { Latencies } from '../../../../src/cli/replay/latencies.ts';

describe('Latencies', () => {
  it('tells quantiles to one percent, and the maximum exactly', () => {
    const latencies = new Latencies();
    for (let us = 1; us <= 10_000; us++) latencies.add(us);
    expect(latencies.maxMs).toBe(10);
    for (const share of [0.01, 0.5, 0.99, 1]) expect(Math.abs(latencies.quantileMs(share) / (share * 10) - 1)).toBeLessThan(0.01);
  });

  it('is 0 without samples', () => {
    expect(new Latencies().quantileMs(0.5)).toBe(0);
  });
});
