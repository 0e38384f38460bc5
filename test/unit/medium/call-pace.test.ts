/** Which calls block, on a clock that moves only with the calls. */
import { beforeEach, describe, expect, it } from 'vitest';
import { nodeSystem, type System } from '../../../src/base/system.ts';
import { CallPace } from '../../../src/medium/call-pace.ts';

let nowMs = 0;
const system: System = { ...nodeSystem, monotonicNowMs: () => nowMs };
let pace: CallPace;

beforeEach(() => {
  nowMs = 1000;
  pace = new CallPace(system);
});

function block(tookMs: number, operation = 'stat'): void {
  pace.block(operation, () => {
    nowMs += tookMs;
  });
}

/** How long blocking is not tried. */
function poolMs(operation = 'stat'): number {
  const fromMs = nowMs;
  while (!pace.mayBlock(operation)) nowMs++;
  return nowMs - fromMs;
}

describe('a kind of call', () => {
  it('blocks while it is quick', () => {
    for (let i = 0; i < 20; i++) {
      expect(pace.mayBlock('stat')).toBe(true);
      block(1);
    }
  });

  it('goes through the pool for ten times as long as a slow one took, and then blocks again', () => {
    block(30);
    expect(poolMs()).toBe(300);
    block(1);
    expect(pace.mayBlock('stat')).toBe(true);
    block(30);
    expect(poolMs()).toBe(300);
  });

  it('that is slow each time it is tried is tried more and more rarely, but at least once a minute', () => {
    const pauses = Array.from({ length: 12 }, () => {
      block(20);
      return poolMs();
    });
    expect(pauses.slice(0, 4)).toEqual([200, 400, 800, 1600]);
    expect(pauses.at(-1)).toBe(60_000);
  });

  it('does not hold back another kind', () => {
    block(30);
    expect(pace.mayBlock('stat')).toBe(false);
    expect(pace.mayBlock('open')).toBe(true);
  });

  it('counts as slow when it fails late', () => {
    const failing = (): void => {
      nowMs += 50;
      throw new Error('no');
    };
    expect(() => pace.block('open', failing)).toThrow('no');
    expect(poolMs('open')).toBe(500);
  });
});

describe('a sync', () => {
  async function pool(tookMs: number): Promise<void> {
    await pace.pool('fdatasync', async () => {
      nowMs += tookMs;
    });
  }

  it('shows in the pool first that the disk is quick', async () => {
    expect(pace.mayBlock('fdatasync')).toBe(false);
    await pool(1);
    expect(pace.mayBlock('fdatasync')).toBe(true);
  });

  it('stays there for a while if it was not', async () => {
    await pool(40);
    expect(poolMs('fdatasync')).toBe(400);
  });

  it('is not judged by how long later ones take in the pool', async () => {
    await pool(40);
    await pool(4000);
    expect(pace.mayBlock('fdatasync')).toBe(true);
  });
});
