/**
 * A process of `many-writers.test.ts`. Its argument is JSON: `role` is `write` (entries `from` up to `to` of `writer`), `compact`
 * (until TERM), or `read` (everything, with `compact` first). PEAT_DIST names the build; default: the project's.
 */
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const dist = resolve(process.env['PEAT_DIST'] ?? new URL('../../dist', import.meta.url).pathname);
const { open } = await import(pathToFileURL(`${dist}/src/index.js`).href);
const options = JSON.parse(process.argv[2] ?? '{}');
const store = await open(options.store, { autoCompact: options.role === 'write' });
const entries = store.namespace('many');

/** @param {number} writer @param {number} n */
const keyOf = (writer, n) => `${writer}/${String(n).padStart(5, '0')}`;
/** @param {number} writer @param {number} n */
const entryOf = (writer, n) => ({ writer, n, body: `${writer}.${n}.`.repeat(1 + ((n * 7 + writer) % 40)) });

async function write() {
  const { writer, from, to } = options;
  let next = from;
  const row = async () => {
    while (next < to) {
      const n = next++;
      await entries.put(keyOf(writer, n), entryOf(writer, n));
    }
  };
  await Promise.all(Array.from({ length: 64 }, row));
}

async function compact() {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const onEvent = (/** @type {unknown} */ event) => writeSync(1, `event ${JSON.stringify(event)}\n`);
  await store.runCompactor({ signal: stop.signal, gatherMs: 50, pollMs: 200, onEvent });
}

async function read() {
  if (options.compact) await store.compact();
  /** @type {number[]} */
  const writers = [];
  /** @type {string[]} */
  const wrong = [];
  const seen = new Set();
  for await (const { key, value } of entries.scan()) {
    const { writer, n } = value;
    if (seen.has(key) || key !== keyOf(writer, n) || JSON.stringify(value) !== JSON.stringify(entryOf(writer, n))) wrong.push(key);
    seen.add(key);
    writers[writer] = (writers[writer] ?? 0) + 1;
  }
  const stored = options.compact ? (await entries.stats()).tableEntries : undefined;
  writeSync(1, `summary ${JSON.stringify({ writers, wrong, entries: seen.size, stored })}\n`);
}

await { write, compact, read }[/** @type {'write' | 'compact' | 'read'} */ (options.role)]();
await store.close();
