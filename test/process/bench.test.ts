import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

describe('the benchmark', () => {
  it('runs tiny, reads back what it wrote, and gives the same checksum for the same seed', async () => {
    const run = async (): Promise<{ workload: { sha256: string }; rows: unknown[] }> => {
      const { stdout } = await promisify(execFile)(process.execPath, ['dist/bench/engine.js', '--entries', '200', '--json']);
      return JSON.parse(stdout) as { workload: { sha256: string }; rows: unknown[] };
    };
    const [first, second] = [await run(), await run()];
    expect(first.rows.length).toBeGreaterThan(8);
    expect(first.workload.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(second.workload.sha256).toBe(first.workload.sha256);
  });

  it('of locks runs tiny, and has a figure for each of its questions', async () => {
    const args = ['dist/bench/locks.js', '--seconds', '0.2', '--waiters', '2', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { figures } = JSON.parse(stdout) as { figures: Record<string, number> };
    for (const name of [
      'appends, ratio',
      'lag p99, waiting for a lock, ms',
      '2 in the queue: turns/s',
      'updates/s, 1 processes, one hot key',
    ]) {
      expect(figures[name], name).toBeGreaterThan(0);
    }
  });
});
