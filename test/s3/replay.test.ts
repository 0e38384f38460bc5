/**
 * A history, replayed by processes into a bucket behind a bad network, while its server is paused, stopped and started again. A short one that is
 * made up; another one where PEAT_TEST_HISTORY names its file.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runPeat } from '../support/run-peat.ts';
import { badNetwork } from '../support/s3/bad-network.ts';
import { type BucketPlace, REAL_SERVER } from '../support/s3/buckets.ts';
import { serverCommand, startServer } from '../support/s3/real-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const COMMITS = 600;
const GIVEN = process.env['PEAT_TEST_HISTORY'];
const TIMEOUT_MS = GIVEN === undefined ? 300_000 : 3_600_000;

/** Commits that put and delete paths, and what is left at the end. */
function newHistory(): { readonly file: string; readonly entries: number } {
  const left = new Map<string, string>();
  const lines = Array.from({ length: COMMITS }, (_, n) => {
    const ops = Array.from({ length: 1 + (n % 7) }, (__, i) => {
      const path = `dir${(n + i) % 9}/file${(n * 7 + i * 3) % 101}`;
      if ((n * 5 + i) % 11 === 0) {
        left.delete(path);
        return ['del', path];
      }
      const oid = createHash('sha1').update(`${n} ${i}`).digest('hex');
      left.set(path, `${path} ${n + i} ${oid}\n`);
      return ['put', path, n + i, oid];
    });
    return JSON.stringify({ c: `commit-${n}`, t: n, w: n % 4, ops });
  });
  const text = [...left.keys()].sort().map((path) => left.get(path));
  const oracle = { entries: left.size, sha256: createHash('sha256').update(text.join('')).digest('hex') };
  const file = join(temporaryDirectory(), 'history.jsonl');
  writeFileSync(file, `${[...lines, JSON.stringify({ tree: oracle })].join('\n')}\n`);
  return { file, entries: left.size };
}

/** One that can go away without disturbing other tests. */
async function ownServer(directory: string): Promise<BucketPlace> {
  onTestFinished(async () => void (await serverCommand('down', directory)));
  const env = await startServer(directory);
  return { location: `s3://${env['PEAT_TEST_BUCKET']}/replay`, env };
}

/** Until the signal is aborted: pauses the server, and stops and starts it. */
async function disturb(directory: string, signal: AbortSignal): Promise<number> {
  let times = 0;
  for (; !signal.aborted; times++) {
    await delay(1_000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    const [away, back] = times % 2 === 0 ? (['pause', 'resume'] as const) : (['stop', 'start'] as const);
    await serverCommand(away, directory);
    await delay(1_000);
    await serverCommand(back, directory);
  }
  return times;
}

describe('a replay into a bucket', () => {
  it('matches its oracle, although the network is bad and the server goes away again and again', { timeout: TIMEOUT_MS }, async () => {
    const directory = REAL_SERVER?.env === undefined ? undefined : temporaryDirectory();
    const chances = {
      'lost-answer': 0.02,
      'cut-answer': 0.01,
      reset: 0.02,
      'late-execution': 0.01,
      'late-duplicate': 0.05,
      unavailable: 0.02,
      conflict: 0.01,
    };
    const place = directory === undefined ? undefined : ownServer(directory);
    const { location, env, proxy } = await badNetwork(chances, place);
    const { file, entries } = GIVEN === undefined ? newHistory() : { file: GIVEN, entries: undefined };
    const over = new AbortController();
    const disturbed = directory === undefined ? Promise.resolve(0) : disturb(directory, over.signal);
    const args = ['replay', file, '--store', location, '--writers', '4', '--gather-ms', '200', '--kill-compactor-every', '5000'];
    const { code, stdout, stderr } = await runPeat(args, { env });
    over.abort();
    const times = await disturbed;
    console.log(`${proxy.count} requests, faults: ${JSON.stringify(proxy.played)}; the server was away ${times} times`);
    expect(stdout.trimEnd().split('\n').pop(), stderr).toMatch(new RegExp(`^OK: ${entries ?? '\\d+'} entries match the oracle$`));
    expect(code).toBe(0);
    const verified = await runPeat(['verify', location], { env });
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('clean') });
  });
});
