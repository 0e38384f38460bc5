import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Report } from '../../bench/harness/report.ts';
import { SUITES } from '../../bench/suites/index.ts';

async function smoke(suite: string, ...more: readonly string[]): Promise<Report> {
  const args = ['dist/bench/main.js', '--suite', suite, '--scale', 'smoke', '--json', ...more];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as Report;
}

describe('the calls of an operation, as the benchmark counts them,', () => {
  it('are one write and one sync for an append, and none of them has to do with a lock, nor of a read', async () => {
    const { suites, targets } = await smoke('metadata', '--peers', 'peat,peat-os');
    expect(targets.length).toBeGreaterThan(0);
    const counted = (operation: string, figure: string): number | undefined => {
      const one = suites[0]?.cases.find(({ name }) => name === operation);
      return one?.results[0]?.figures[figure]?.median;
    };
    const lockFree = ['append, sync', 'append, os', 'get', 'get of news', 'scan'];
    for (const operation of lockFree) expect(counted(operation, 'medium locks'), operation).toBe(0);
    // Where strace may not trace, the calls at the medium have to do.
    if (counted('get', 'all') === undefined) return;
    for (const operation of lockFree) expect(counted(operation, 'locks'), operation).toBe(0);
    expect(['writes', 'syncs', 'all'].map((figure) => counted('append, sync', figure))).toEqual([1, 1, 2]);
    // Nothing new: a look at two directories, and at eight bytes of each of two live segments at most; seldom a listing, while the last change is young.
    expect(counted('get', 'all')).toBeLessThan(8);
    expect(counted('get', 'reads')).toBeLessThan(3);
    for (const figure of ['listings', 'opens']) expect(counted('get', figure), figure).toBeLessThan(1);
  });
});

describe('the benchmark', () => {
  it.each(SUITES)('runs its suite %s tiny: nothing fails, and all peers read back the same', async (name) => {
    const { suites } = await smoke(name);
    const results = suites.flatMap(({ cases }) => cases.flatMap((one) => one.results));
    expect(results.length).toBeGreaterThan(0);
    for (const { peer, cannot, failures, figures } of results) {
      expect(failures, peer).toEqual([]);
      if (cannot === undefined) expect(Object.keys(figures).length, peer).toBeGreaterThan(0);
    }
    for (const { name: one, results: those } of suites.flatMap(({ cases }) => cases)) {
      expect(new Set(those.flatMap(({ checksum }) => checksum ?? [])).size, one).toBeLessThanOrEqual(1);
    }
  });

  it('says what it does not know, and names what there is', async () => {
    const failed = promisify(execFile)(process.execPath, ['dist/bench/main.js', '--suite', 'nothing']);
    await expect(failed).rejects.toMatchObject({ stderr: expect.stringContaining('--suite must be one of append,') as unknown });
  });

  it('of locks runs tiny, and has a figure for each of its questions', async () => {
    const args = ['dist/bench/locks.js', '--seconds', '0.2', '--waiters', '2', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { figures } = JSON.parse(stdout) as { figures: Record<string, number> };
    for (const name of [
      'appends, ratio',
      'append p99, ratio',
      '4 namespaces, at once / in turn',
      '4 processes in one namespace, at once / in turn',
      'lag p99, waiting for a lock, ms',
      '2 in the queue: turns/s',
      'updates/s, 1 processes, one hot key',
    ]) {
      expect(figures[name], name).toBeGreaterThan(0);
    }
  });
});
