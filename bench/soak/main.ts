/**
 * Runs a soak and draws its course.
 *
 *   npm run soak -- --minutes N [--seed N] [--out FILE] [--dir DIRECTORY] [--json]
 *
 * Exit code 0 only if nothing was wrong: no operation failed, nothing acknowledged is missing, and the store verifies. Who takes part is in
 * `plan.ts`. The machine's other load is part of every latency.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Machine, machineOf, machineText } from '../machine.ts';
import { chart } from './series.ts';
import { type SoakResult, soak } from './soak.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    out: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const minutes = Number(options.minutes);
const seed = Number(options.seed ?? Math.floor(Math.random() * 2 ** 31));
if (!(minutes > 0)) throw new RangeError(`--minutes must be above 0, got ${options.minutes}`);
if (!Number.isInteger(seed)) throw new RangeError(`--seed must be a whole number, got ${options.seed}`);

const say = (text: string): boolean => process.stderr.write(text);

/** On a terminal one line that changes; elsewhere nothing. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) say(`\r\u001b[2K${text}`);
}

function reportText(report: Report): string {
  const { machine, load, seed: used, seconds, operations, kills, counted, series, problems } = report;
  const killed = Object.entries(kills).map(([kind, count]) => `${kind} ${count}`);
  const columns = ['count', 'p50 ms', 'p99 ms', 'max ms'].map((name) => name.padStart(10)).join('');
  return [
    machineText(machine),
    `${Math.round(seconds)} s, seed ${used}; killed: ${killed.join(', ') || 'none'}; load average at the end ${load?.toFixed(1)}`,
    `counters ${counted.counters}, holds of the long lock ${counted.holds}`,
    '',
    `${''.padEnd(24)}${columns}`,
    ...operations.map(
      ({ kind, count, p50Ms, p99Ms, maxMs }) =>
        `${kind.padEnd(24)}${String(count).padStart(10)}${[p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1).padStart(10)).join('')}`,
    ),
    '',
    ...chart(series),
    '',
    ...problems.slice(0, 50),
    problems.length === 0 ? 'PASS: nothing was wrong' : `FAIL: ${problems.length} problems`,
  ].join('\n');
}

interface Report extends SoakResult {
  readonly machine: Machine;
  /** Of the machine, at the end. */
  readonly load: number | undefined;
  readonly seed: number;
}

mkdirSync(options.dir, { recursive: true });
const directory = mkdtempSync(join(options.dir, 'peat-soak-'));
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
let isKept = false;
try {
  say(`soak of ${minutes} min, seed ${seed}\n`);
  const result = await soak({ directory, minutes, seed, onProgress: showProgress, signal: interrupted.signal });
  showProgress('');
  const report: Report = { machine: machineOf(directory), load: loadavg()[0], seed, ...result };
  if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(report, undefined, 1)}\n`);
  console.log(options.json ? JSON.stringify(report) : reportText(report));
  isKept = result.problems.length > 0;
  process.exitCode = isKept ? 1 : 0;
} finally {
  if (isKept) say(`what is left is in ${directory}\n`);
  else rmSync(directory, { recursive: true, force: true });
}
