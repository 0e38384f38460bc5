import { describe, expect, it } from 'vitest';
import { MediumTime } from '../../../src/medium/medium-time.ts';

describe('the time of a medium', () => {
  it('is not known before the first answer', () => {
    expect(new MediumTime().lastAnsweredAtMs()).toBeUndefined();
  });

  it('is the date of the latest answer', () => {
    const time = new MediumTime();
    expect(time.note(5000)).toBe(5000);
    expect(time.note(7000)).toBe(7000);
    expect(time.lastAnsweredAtMs()).toBe(7000);
  });

  it('goes on by as much where a clock is set back', () => {
    const time = new MediumTime();
    const before = time.note(100_000) as number;
    expect((time.note(40_000) as number) - before).toBe(60_000);
    expect((time.note(41_000) as number) - before).toBe(61_000);
  });

  it('does not hide what has passed behind an old answer that comes late', () => {
    const time = new MediumTime();
    const listed = time.note(1000) as number;
    time.note(600_000);
    time.note(2000);
    expect((time.lastAnsweredAtMs() as number) - listed).toBeGreaterThanOrEqual(599_000);
  });

  it('is not known after an answer without a date, and then counts what passed meanwhile', () => {
    const time = new MediumTime();
    time.note(1000);
    for (const none of [undefined, Number.NaN]) {
      expect(time.note(none)).toBeUndefined();
      expect(time.lastAnsweredAtMs()).toBeUndefined();
    }
    expect(time.note(9000)).toBe(9000);
  });
});
