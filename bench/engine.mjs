#!/usr/bin/env node
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
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from '../dist/src/index.js';
import { fileSystemKind } from '../dist/src/medium/file-system-kind.js';

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

/** mulberry32: the same workload for the same seed. */
function random(state) {
  let s = state >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), s | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const next = random(seed);
const keys = Array.from(
  { length: entries },
  (_, i) =>
    `model/${Math.floor(next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')}/${i}`,
);
const valueOf = (i) => ({ id: i, name: `name-${i}`, status: 'ok', payload: 'x'.repeat(370), n: i * 3 });

const directory = mkdtempSync(join(tmpdir(), 'peat-bench-'));
const rows = [];

function quantiles(samplesUs) {
  const sorted = Float64Array.from(samplesUs).sort();
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  return { p50us: at(0.5), p99us: at(0.99), maxUs: sorted.at(-1) };
}

async function timeEach(name, count, run) {
  const samples = [];
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const t = performance.now();
    await run(i);
    samples.push((performance.now() - t) * 1000);
  }
  const seconds = (performance.now() - start) / 1000;
  rows.push({ name, count, perSecond: count / seconds, ...quantiles(samples) });
}

async function timeAll(name, count, run) {
  const start = performance.now();
  const facts = await run();
  rows.push({ name, count, perSecond: count / ((performance.now() - start) / 1000), ...facts });
}

const durable = Math.min(entries, 2000);
async function raw(name) {
  const fd = openSync(join(directory, name), 'wx');
  const bytes = Buffer.alloc(470, 1);
  await timeEach(`raw: write + fdatasync, ${name}`, durable, () => {
    writeSync(fd, bytes);
    fdatasyncSync(fd);
  });
  closeSync(fd);
}

const folder = (path) => readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const sizeOf = (path) => folder(path).reduce((sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);

try {
  await raw('before');
  const sync = await open(join(directory, 'sync'), { autoCompact: false });
  const a = sync.namespace('bench');
  await a.put('first', 0);
  await timeEach('durable put', durable, (i) => a.put(keys[i], valueOf(i)));
  await timeAll('durable put, 64 at a time', durable, async () => {
    for (let i = 0; i < durable; i += 64)
      await Promise.all(keys.slice(i, Math.min(i + 64, durable)).map((key, j) => a.put(key, valueOf(i + j))));
  });
  await sync.close();
  await raw('after');

  const store = await open(join(directory, 'os'), { durability: 'os', autoCompact: false });
  const items = store.namespace('bench');
  await timeEach("put, durability 'os'", entries, (i) => items.put(keys[i], valueOf(i)));
  await timeEach('get from the tail', Math.min(entries, 5000), (i) => items.get(keys[(i * 7919) % entries]));
  await timeAll('compaction', entries, async () => {
    const [{ passes, logBytesIn, tableBytesOut }] = await store.compact();
    return { passes, logBytesIn, tableBytesOut };
  });
  await timeEach('fresh get, cold cache', Math.min(entries, 5000), (i) => items.get(keys[(i * 7919) % entries]));
  await timeEach('fresh get, warm cache', Math.min(entries, 5000), (i) => items.get(keys[(i * 7919) % entries]));
  {
    const snapshot = await items.snapshot();
    await timeEach('snapshot get, warm cache', Math.min(entries, 5000), (i) => snapshot.get(keys[(i * 7919) % entries]));
    snapshot.close();
  }
  const hash = createHash('sha256');
  let scanned = 0;
  await timeAll('scan with values', entries, async () => {
    for await (const { key, value } of items.scan()) {
      scanned++;
      hash.update(`${key} ${value.id}\n`);
    }
    return {};
  });
  if (scanned !== entries) throw new Error(`${entries} entries were written, ${scanned} came back`);
  await store.close();

  const report = {
    machine: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      fileSystem: fileSystemKind(directory).name,
    },
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

function ratios() {
  const p50 = (name) => rows.find((row) => row.name.startsWith(name))?.p50us;
  const rawUs = (p50('raw: write + fdatasync, before') + p50('raw: write + fdatasync, after')) / 2;
  return {
    'durable put, median / raw median': p50('durable put') / rawUs,
    "put 'os', median / raw median": p50("put, durability 'os'") / rawUs,
  };
}

function text({ machine, versions, workload, bytes, ratios: compared }) {
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.fileSystem}; Node ${versions.node}`,
    `${workload.entries} entries, seed ${workload.seed}, sha256 of what was read back ${workload.sha256}`,
    `bytes: log ${bytes.log}, tables ${bytes.tables}, roots ${bytes.roots}`,
    '',
  ];
  for (const { name, count, perSecond, p50us, p99us, maxUs } of rows) {
    const latency = p50us === undefined ? '' : `  p50 ${p50us.toFixed(1)} µs, p99 ${p99us.toFixed(1)} µs, max ${maxUs.toFixed(0)} µs`;
    lines.push(`${name.padEnd(38)} ${String(count).padStart(8)} ×  ${Math.round(perSecond).toLocaleString('en').padStart(10)}/s${latency}`);
  }
  lines.push('', ...Object.entries(compared).map(([name, ratio]) => `${name}: ${ratio.toFixed(2)}`));
  return lines.join('\n');
}
