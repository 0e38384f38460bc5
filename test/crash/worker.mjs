/**
 * A process that the crash tests start and kill. Its argument is JSON; `role` says what it does, `store` where. What it did it says
 * on standard output, a line at a time and unbuffered, so that what was said before a kill is known:
 *
 * | line | meaning |
 * |---|---|
 * | `open` | the store is open |
 * | `ack <n>` | batch n of a writer was acknowledged |
 * | `event <json>` | of a compactor |
 * | `pass <n>` | root n was committed |
 * | `summary <json>` | what a reader found |
 * | `closed` | everything was closed cleanly |
 * | `error <message>` | it gave up, exit code 3 |
 *
 * PEAT_DIST names the build to test; default: the project's.
 */
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { randomFrom } from '../support/random.mjs';
import { batchOf, summarize } from './history.mjs';

const dist = resolve(process.env['PEAT_DIST'] ?? new URL('../../dist', import.meta.url).pathname);
/** @param {string} path @returns {Promise<any>} */
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);

/** @param {string} line */
function say(line) {
  writeSync(1, `${line}\n`);
}

/** @param {any} options */
async function openStore({ store, open = {} }) {
  const { open: openAt } = await load('src/index.js');
  const opened = await openAt(store, { autoCompact: false, ...open });
  say('open');
  return opened;
}

/** Batches from `start` up to `end`, some at a time, until it is killed or told to end. @param {any} options */
async function write(options) {
  const {
    writer,
    lane,
    seed = 1,
    inFlight = 1,
    sizeMax = 1,
    bytesMax = 100,
    start = 0,
    end = Number.POSITIVE_INFINITY,
    pauseMs = 0,
  } = options;
  const store = await openStore(options);
  const entries = store.namespace('crash');
  // A blocking write does not create the namespace.
  if (options.blocking) await store.createNamespace('crash');
  let isStopped = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      isStopped = true;
    });
  }
  const random = randomFrom(seed);
  let next = start;
  const row = async () => {
    while (!isStopped && next < end) {
      const n = next++;
      // Small ones mostly: the large ones would be all that there is time for.
      const bytes = 10 + Math.floor(bytesMax * random() ** 6);
      const size = 1 + Math.floor(Math.min(sizeMax, 300_000 / bytes) * random());
      const operations = batchOf({ writer, lane, n, size, bytes });
      if (options.blocking) entries.batchSync(operations);
      else await entries.batch(operations);
      say(`ack ${n}`);
      if (pauseMs > 0) await delay(pauseMs);
      else if (options.blocking) await turn();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, row));
  await store.close();
}

/** A compactor as programs run it. @param {any} options */
async function compactor(options) {
  const store = await openStore(options);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop.abort());
  await store.runCompactor({
    signal: stop.signal,
    gatherMs: options.gatherMs ?? 20,
    pollMs: options.pollMs ?? 100,
    onEvent: (/** @type {unknown} */ event) => say(`event ${JSON.stringify(event)}`),
  });
  await store.close();
}

/** Pass after pass without an election, until TERM. @param {any} options */
async function passes({ store }) {
  const [{ compactOnce }, { FileMedium }, { nodeSystem }, { namespaceLayout }, { DEFAULT_CONSTANTS }] = await Promise.all(
    ['compactor/index.js', 'src/medium/file-medium.js', 'src/base/system.js', 'src/format/layout.js', 'src/format/store-file.js'].map(load),
  );
  let isStopped = false;
  process.on('SIGTERM', () => {
    isStopped = true;
  });
  const medium = FileMedium.open(store);
  const log = () => {};
  const context = { medium, system: nodeSystem, layout: namespaceLayout('crash'), constants: DEFAULT_CONSTANTS, log };
  say('open');
  while (!isStopped) {
    const { outcome, root, warnings } = await compactOnce(context, { bytesMax: 256 * 1024 });
    if (warnings.length > 0) throw new Error(warnings.join('; '));
    if (outcome === 'committed') say(`pass ${root.number}`);
    if (outcome === 'nothing') await delay(2);
  }
  await medium.close();
}

/** Reads everything; with `append`, first shows that the store takes a batch and compacts. @param {any} options */
async function check(options) {
  const store = await openStore(options);
  const entries = store.namespace('crash');
  if (options.append !== undefined) await entries.batch(batchOf({ ...options.append, n: 0, size: 2, bytes: 20 }));
  if (options.compact) await store.compact({ namespace: 'crash' });
  say(`summary ${JSON.stringify(await summarize(entries.scan()))}`);
  await store.close();
}

const roles = { write, compactor, passes, check };
const options = JSON.parse(process.argv[2] ?? '{}');
try {
  await roles[/** @type {keyof typeof roles} */ (options.role)](options);
  say('closed');
} catch (error) {
  say(`error ${JSON.stringify(error instanceof Error ? (error.stack ?? error.message) : String(error))} ${JSON.stringify(error)}`);
  process.exitCode = 3;
}
