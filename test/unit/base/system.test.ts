/** The machine's clocks and timers. */
import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';

describe('a sleep', () => {
  it.each([2 ** 31, 1e12, Number.POSITIVE_INFINITY])('of %d ms, more than timers count, does not end at once', async (ms) => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const long = nodeSystem.sleep(ms, { signal: stop.signal });
    const first = await Promise.race([long.then(() => 'long'), nodeSystem.sleep(50).then(() => 'short')]);
    stop.abort(reason);
    expect(first).toBe('short');
    await expect(long).rejects.toBe(reason);
  });
});
