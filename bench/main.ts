/**
 * Measures Peat against other stores, in the same run.
 *
 *   npm run bench -- [--suite NAME]… [--case TEXT] [--peers NAME,…] [--scale smoke|small|full] [--rounds N] [--seed N]
 *                    [--out DIR] [--dir DIR] [--json]
 *
 * `docs/benchmarks.md` says how it measures. Exit code 1 if a trial failed, or peers read back different things; a target
 * that is not met is no failure.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { environmentVersions } from './harness/environment.ts';
import { type BenchOptions, benchOptions } from './harness/options.ts';
import type { CaseReport, Report, SuiteReport } from './harness/report.ts';
import { runCase } from './harness/run-case.ts';
import { judge, type Target } from './harness/targets.ts';
import { machineOf } from './machine.ts';
import { orMisuse } from './misuse.ts';
import { peerNamed } from './peers/index.ts';
import type { PeerName } from './peers/peer.ts';
import { checksumsOf, reportText } from './report/text.ts';
import { writeReport } from './report/write-report.ts';
import { suiteNamed } from './suites/index.ts';

const options = orMisuse(() => benchOptions());
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));

mkdirSync(options.dir, { recursive: true });
const directory = mkdtempSync(join(options.dir, 'peat-bench-'));
try {
  const report = await bench(options);
  if (options.out !== undefined) await writeReport(report, options.out);
  console.log(options.json ? JSON.stringify(report) : reportText(report));
  process.exitCode = report.suites.some(({ cases }) => cases.some(isBad)) ? 1 : 0;
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  console.error('peat: interrupted; nothing is reported');
  process.exitCode = 130;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function bench({ suites: names, caseText, peers, scale, rounds, seed }: BenchOptions): Promise<Report> {
  const startedAt = new Date();
  const before = loadavg()[0] ?? Number.NaN;
  const suites: SuiteReport[] = [];
  const targets: Target[] = [];
  for (const name of names) {
    const suite = await suiteNamed(name);
    targets.push(...suite.targets);
    const cases: CaseReport[] = [];
    for (const one of suite.cases(scale)) {
      if (caseText !== undefined && !one.name.includes(caseText)) continue;
      const able = one.peers.filter((peer) => peers === undefined || peers.includes(peer));
      if (able.length === 0) continue;
      const progress = { onProgress: showProgress, signal: interrupted.signal };
      cases.push(await runCase(suite, { ...one, peers: able }, { rounds, seed, directory, timeoutMs: options.timeoutMs, ...progress }));
    }
    suites.push({ name, about: suite.about, cases });
  }
  showProgress('');
  return {
    format: 1,
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    scale,
    rounds,
    seed,
    machine: machineOf(directory),
    versions: environmentVersions(),
    load: { before, after: loadavg()[0] ?? Number.NaN },
    peers: await setups(suites),
    suites,
    targets: judge(targets, suites),
  };
}

async function setups(suites: readonly SuiteReport[]): Promise<Report['peers']> {
  const names = new Set<PeerName>(suites.flatMap(({ cases }) => cases.flatMap(({ results }) => results.map(({ peer }) => peer))));
  return Promise.all(
    [...names].map(async (name) => {
      const { title, setup } = await peerNamed(name);
      return { name, title, setup };
    }),
  );
}

function isBad({ results }: CaseReport): boolean {
  return checksumsOf(results).length > 1 || results.some(({ failures }) => failures.length > 0);
}

/** On a terminal one line that changes; elsewhere a line each. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
  else if (text !== '') process.stderr.write(`${text}\n`);
}
