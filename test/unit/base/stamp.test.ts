import { describe, expect, it } from 'vitest';
import { clockOffsetMs, compareStamps, maxStamp, StampClock, TICKS_PER_MS } from '../../../src/base/stamp.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

describe('stamps', () => {
  it('are ordered by time, then writer, then sub-counter', () => {
    const sorted = [
      { time: 1, writer: 'b', sub: 0 },
      { time: 2, writer: 'a', sub: 0 },
      { time: 2, writer: 'a', sub: 1 },
      { time: 2, writer: 'b', sub: 0 },
    ];
    for (let i = 1; i < sorted.length; i++) {
      expect(compareStamps(sorted[i - 1] as never, sorted[i] as never)).toBeLessThan(0);
      expect(compareStamps(sorted[i] as never, sorted[i - 1] as never)).toBeGreaterThan(0);
      expect(maxStamp(sorted[i - 1], sorted[i])).toBe(sorted[i]);
    }
    expect(maxStamp(undefined, sorted[0])).toBe(sorted[0]);
    expect(maxStamp(undefined, undefined)).toBeUndefined();
  });

  it('never repeat and never go back, whatever the wall clock does', async () => {
    const system = new VirtualSystem();
    const clock = new StampClock(system);
    let last = 0;
    for (let i = 0; i < 1000; i++) {
      if (i % 10 === 0) system.wallOffsetMs -= 60_000;
      if (i % 7 === 0) await system.advance(3);
      const next = clock.next();
      expect(next).toBeGreaterThan(last);
      last = next;
    }
  });

  it('follow the wall clock, and what was seen of others', () => {
    const system = new VirtualSystem();
    const clock = new StampClock(system);
    expect(clock.next()).toBe(system.wallNowMs() * TICKS_PER_MS);
    const seen = (system.wallNowMs() + 1000) * TICKS_PER_MS;
    clock.observe(seen);
    expect(clock.next()).toBe(seen + 1);
  });

  it('are corrected to the clock of the medium, and refused where that is too far away', () => {
    const system = new VirtualSystem();
    expect(new StampClock(system, 5000).next()).toBe((system.wallNowMs() + 5000) * TICKS_PER_MS);
    expect(() => new StampClock(system, 301_000)).toThrow(expect.objectContaining({ code: 'CLOCK_SKEW' }));
  });

  it('are corrected by no more than is sure: a slow answer sets no clock', () => {
    expect(clockOffsetMs(50_000, { beforeMs: 20_000, afterMs: 80_000 })).toBe(0);
    expect(clockOffsetMs(50_000, { beforeMs: 50_999, afterMs: 51_010 })).toBe(0);
    expect(clockOffsetMs(100_000, { beforeMs: 20_000, afterMs: 80_000 })).toBe(20_000);
    expect(clockOffsetMs(10_000, { beforeMs: 20_000, afterMs: 80_000 })).toBe(-9000);
  });
});
