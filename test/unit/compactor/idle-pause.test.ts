import { expect, it } from 'vitest';
import { IdlePause } from '../../../compactor/idle-pause.ts';

const pauses = (pause: IdlePause, finds: readonly boolean[]): number[] => finds.map((hasFound) => pause.after({ hasFound }));

it('doubles up to 15 s across a network while nothing is found, and is short again after that', () => {
  const pause = new IdlePause({ firstMs: 2000, isRemote: true });
  expect(pauses(pause, [true, false, false, false, false, false])).toEqual([2000, 4000, 8000, 15_000, 15_000, 15_000]);
  expect(pauses(pause, [true, true, false])).toEqual([2000, 2000, 4000]);
});

it('stays the same on this machine', () => {
  const pause = new IdlePause({ firstMs: 2000, isRemote: false });
  expect(pauses(pause, [false, false, false, true])).toEqual([2000, 2000, 2000, 2000]);
});

it('is never shorter than was asked for', () => {
  const pause = new IdlePause({ firstMs: 60_000, isRemote: true });
  expect(pauses(pause, [false, false])).toEqual([60_000, 60_000]);
});
