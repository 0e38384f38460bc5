import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../../../src/cli/lock/duration.ts';

describe('a duration', () => {
  it.each([
    ['0', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['forever', Number.POSITIVE_INFINITY],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '60', '-1s', '1 s', '1d', 's', '1s2m', 'Infinity', '1e3ms', '0x1s'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
