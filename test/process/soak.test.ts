import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

interface SoakReport {
  readonly operations: readonly { readonly kind: string; readonly count: number }[];
  readonly kills: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
}

it('a short soak finds nothing wrong, with every kind of operation and a kill in it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['dist/bench/soak/main.js', '--minutes', '0.4', '--json'], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const { operations, kills, problems } = JSON.parse(stdout) as SoakReport;
  expect(problems).toEqual([]);
  const kinds = operations.filter(({ count }) => count > 0).map(({ kind }) => kind);
  for (const kind of [
    'append',
    'get',
    'scan',
    'update',
    'snapshot',
    'compaction pass',
    'peat put',
    'peat update',
    'lock, held for seconds',
  ]) {
    expect(kinds).toContain(kind);
  }
  expect(Object.values(kills).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
});
