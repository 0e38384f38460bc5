import { describe, expect, test } from 'vitest';
import { ageOf, type DatedRoot, newestAged, rootAges } from '../../../src/manifest/root-ages.ts';

function dated(...times: readonly (number | undefined)[]): DatedRoot[] {
  return times.flatMap((modifiedMs, number) => (modifiedMs === undefined ? [] : [{ number, modifiedMs }]));
}

const agesOf = (...times: readonly (number | undefined)[]): number[] => rootAges(dated(...times)).map(({ ageMs }) => ageMs);

describe('the age of a root', () => {
  test('is the sum of the gaps since', () => {
    expect(agesOf(0, 10_000, 15_000, 40_000)).toEqual([40_000, 30_000, 25_000, 0]);
  });

  test('counts a gap as a minute at most, so that a clock that jumps ahead ages nothing much', () => {
    expect(agesOf(0, 1000, 365 * 86_400_000, 365 * 86_400_000 + 1000)).toEqual([62_000, 61_000, 1000, 0]);
  });

  test('counts a gap of a clock that jumps back as nothing', () => {
    expect(agesOf(1_000_000, 2000, 5000)).toEqual([3000, 3000, 0]);
  });

  test('counts a gap over missing numbers once', () => {
    expect(agesOf(0, undefined, undefined, 500_000, 510_000)).toEqual([70_000, 10_000, 0]);
  });

  test('counts nothing where the medium told no time', () => {
    expect(agesOf(0, Number.NaN, 500_000, 510_000)).toEqual([10_000, 10_000, 10_000, 0]);
  });

  test('never falls when a newer root comes, whatever its time', () => {
    let times = [0];
    let before = agesOf(...times);
    for (let i = 1; i < 200; i++) {
      times = [...times, (i * 7_919_000) % 1_000_003];
      const after = agesOf(...times);
      expect(before.filter((age, number) => (after[number] ?? 0) < age)).toEqual([]);
      before = after;
    }
  });

  test('of one that is gone is that of the next one that is there', () => {
    const ages = rootAges(dated(undefined, undefined, 0, 10_000, undefined, 30_000));
    expect(ageOf(ages, 0)).toBe(30_000);
    expect(ageOf(ages, 2)).toBe(30_000);
    expect(ageOf(ages, 4)).toBe(0);
    expect(ageOf(ages, 99)).toBe(0);
    expect(ageOf([], 0)).toBe(0);
  });
});

test('the newest root of an age is found', () => {
  const ages = rootAges(dated(0, 10_000, 15_000, 40_000));
  expect(newestAged(ages, 25_000)).toBe(2);
  expect(newestAged(ages, 25_001)).toBe(1);
  expect(newestAged(ages, 0)).toBe(3);
  expect(newestAged(ages, 40_001)).toBeUndefined();
});
