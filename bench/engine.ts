/**
 * Measures the engine's main operations against the raw limit of the same disk, in one run.
 *
 *   npm run bench [-- --entries N] [--seed N] [--json]
 *
 * Method: one process, a fresh directory under the system's temporary directory, values of about 420 bytes as msgpack, keys in random
 * order. Each figure is from one pass over the workload; latencies are of single awaited calls. The raw limit is what the
 * file system takes for the same bytes appended to one file with write + fdatasync, measured right before and after. The
 * checksum covers all entries as read back at the end.
 */
import { createHash } from 'node:crypto';
import { closeSync, type Dirent, fdatasyncSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from '../src/index.ts';
import { type Machine, machineOf, machineText } from './machine.ts';
import { randomFrom } from './random.ts';

const { values: options } = parseArgs({
  options: {
    entries: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const entries = Number(options.entries);
const seed = Number(options.seed);
if (!Number.isInteger(entries) || entries < 10) throw new RangeError(`--entries must be a whole number from 10, got ${options.entries}`);

const next = randomFrom(seed);
const keys = Array.from(
  { length: entries },
  (_, i) =>
    `model/${Math.floor(next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')}/${i}`,
);
const valueAt = (i: number): BenchValue => ({ id: i, name: `name-${i}`, status: 'ok', payload: 'x'.repeat(370), n: i * 3 });

const keyOf = (i: number): string => keys[i % entries] as string;

const directory = mkdtempSync(join(tmpdir(), 'peat-bench-'));
interface BenchValue {
  readonly id: number;
  readonly name: string;
  readonly status: string;
  readonly payload: string;
  readonly n: number;
}

interface Row {
  readonly name: string;
  readonly count: number;
  readonly perSecond: number;
  readonly p50us?: number;
  readonly p99us?: number;
  readonly maxUs?: number;
}

const rows: Row[] = [];

function quantiles(samplesUs: readonly number[]): Required<Pick<Row, 'p50us' | 'p99us' | 'maxUs'>> {
  const sorted = Float64Array.from(samplesUs).sort();
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
  return { p50us: at(0.5), p99us: at(0.99), maxUs: at(1) };
}

async function timeEach(name: string, count: number, run: (i: number) => unknown): Promise<void> {
  const samples: number[] = [];
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const t = performance.now();
    await run(i);
    samples.push((performance.now() - t) * 1000);
  }
  const seconds = (performance.now() - start) / 1000;
  rows.push({ name, count, perSecond: count / seconds, ...quantiles(samples) });
}

async function timeAll(name: string, count: number, run: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await run();
  rows.push({ name, count, perSecond: count / ((performance.now() - start) / 1000) });
}

const durable = Math.min(entries, 2000);
async function raw(name: string): Promise<void> {
  const fd = openSync(join(directory, name), 'wx');
  const bytes = Buffer.alloc(470, 1);
  await timeEach(`raw: write + fdatasync, ${name}`, durable, () => {
    writeSync(fd, bytes);
    fdatasyncSync(fd);
  });
  closeSync(fd);
}

const folder = (path: string): Dirent[] => readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const sizeOf = (path: string): number => folder(path).reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);

try {
  await raw('before');
  const sync = await open(join(directory, 'sync'), { autoCompact: false });
  const a = sync.namespace<BenchValue>('bench');
  await a.put('first', valueAt(0));
  await timeEach('durable put', durable, (i) => a.put(keyOf(i), valueAt(i)));
  await timeAll('durable put, 64 at a time', durable, async () => {
    for (let i = 0; i < durable; i += 64)
      await Promise.all(keys.slice(i, Math.min(i + 64, durable)).map((key, j) => a.put(key, valueAt(i + j))));
  });
  await sync.close();
  await raw('after');

  const store = await open(join(directory, 'os'), { durability: 'os', autoCompact: false });
  const items = store.namespace<BenchValue>('bench');
  await timeEach("put, durability 'os'", entries, (i) => items.put(keyOf(i), valueAt(i)));
  await timeEach('get from the tail', Math.min(entries, 5000), (i) => items.get(keyOf(i * 7919)));
  await timeAll('compaction', entries, async () => {
    await store.compact();
  });
  await timeEach('fresh get, cold cache', Math.min(entries, 5000), (i) => items.get(keyOf(i * 7919)));
  await timeEach('fresh get, warm cache', Math.min(entries, 5000), (i) => items.get(keyOf(i * 7919)));
  {
    const snapshot = await items.snapshot();
    await timeEach('snapshot get, warm cache', Math.min(entries, 5000), (i) => snapshot.get(keyOf(i * 7919)));
    snapshot.close();
  }
  const hash = createHash('sha256');
  let scanned = 0;
  await timeAll('scan with values', entries, async () => {
    for await (const { key, value } of items.scan()) {
      scanned++;
      hash.update(`${key} ${value.id}\n`);
    }
  });
  if (scanned !== entries) throw new Error(`${entries} entries were written, ${scanned} came back`);
  await store.close();

  const report: Report = {
    machine: machineOf(directory),
    versions: { node: process.version, v8: process.versions.v8 },
    workload: { entries, seed, sha256: hash.digest('hex') },
    bytes: {
      log: sizeOf(join(directory, 'os/ns/bench/log')),
      tables: sizeOf(join(directory, 'os/ns/bench/shard')),
      roots: sizeOf(join(directory, 'os/ns/bench/root')),
    },
    rows,
    ratios: ratios(),
  };
  console.log(options.json ? JSON.stringify(report) : text(report));
} finally {
  rmSync(directory, { recursive: true, force: true });
}

interface Report {
  readonly machine: Machine;
  readonly versions: { readonly node: string; readonly v8: string };
  readonly workload: { readonly entries: number; readonly seed: number; readonly sha256: string };
  readonly bytes: { readonly log: number; readonly tables: number; readonly roots: number };
  readonly rows: readonly Row[];
  readonly ratios: Readonly<Record<string, number>>;
}

function ratios(): Record<string, number> {
  const p50 = (name: string): number => rows.find((row) => row.name.startsWith(name))?.p50us ?? Number.NaN;
  const rawUs = (p50('raw: write + fdatasync, before') + p50('raw: write + fdatasync, after')) / 2;
  return {
    'durable put, median / raw median': p50('durable put') / rawUs,
    "put 'os', median / raw median": p50("put, durability 'os'") / rawUs,
  };
}

function text({ machine, workload, bytes, ratios: compared }: Report): string {
  const lines = [
    machineText(machine),
    `${workload.entries} entries, seed ${workload.seed}, sha256 of what was read back ${workload.sha256}`,
    `bytes: log ${bytes.log}, tables ${bytes.tables}, roots ${bytes.roots}`,
    '',
  ];
  for (const { name, count, perSecond, p50us, p99us = 0, maxUs = 0 } of rows) {
    const latency = p50us === undefined ? '' : `  p50 ${p50us.toFixed(1)} µs, p99 ${p99us.toFixed(1)} µs, max ${maxUs.toFixed(0)} µs`;
    lines.push(`${name.padEnd(38)} ${String(count).padStart(8)} ×  ${Math.round(perSecond).toLocaleString('en').padStart(10)}/s${latency}`);
  }
  lines.push('', ...Object.entries(compared).map(([name, ratio]) => `${name}: ${ratio.toFixed(2)}`));
  return lines.join('\n');
}
