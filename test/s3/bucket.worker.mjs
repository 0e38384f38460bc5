/**
 * A process of the tests in a bucket. Its argument is JSON with `role` and `location`; how the bucket is reached stands in the environment.
 *
 * | role | what it does |
 * |---|---|
 * | `race` | for each `go <round>` of its parent, `racers` puts of one name at once; says which of them won, and what failed |
 * | `count` | `operations` updates of the key `counter`, each adding 1; says how many were acknowledged, and what failed |
 */
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const dist = resolve(process.env['PEAT_DIST'] ?? new URL('../../dist', import.meta.url).pathname);
/** @param {string} path @returns {Promise<any>} */
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { role, location, name, racers, operations } = JSON.parse(process.argv[2] ?? '{}');

/** @param {string} word @param {unknown} value */
const say = (word, value) => writeSync(1, `${word} ${JSON.stringify(value)}\n`);
/** @param {unknown} error */
const textOf = (error) => String(/** @type {{ code?: string }} */ (error).code ?? error);

async function race() {
  const { S3Medium } = await load('src/medium/s3/s3-medium.js');
  const medium = await S3Medium.open(location);
  process.on('message', async (/** @type {number} */ round) => {
    if (round < 0) {
      await medium.close();
      process.disconnect();
      return;
    }
    const puts = Array.from({ length: racers }, (_, racer) => {
      const bytes = `${name}-${racer} in ${round}`;
      return medium.putIfAbsent(`race/${round}`, Buffer.from(bytes)).then((/** @type {boolean} */ won) => (won ? bytes : undefined));
    });
    const settled = await Promise.allSettled(puts);
    process.send?.({
      won: settled.flatMap((one) => (one.status === 'fulfilled' && one.value !== undefined ? [one.value] : [])),
      failed: settled.flatMap((one) => (one.status === 'rejected' ? [textOf(one.reason)] : [])),
    });
  });
  process.send?.('ready');
}

async function count() {
  const { open } = await load('src/index.js');
  const store = await open(location, { autoCompact: false });
  const items = store.namespace('items');
  let acknowledged = 0;
  /** @type {string[]} */
  const failed = [];
  for (let i = 0; i < operations; i++) {
    try {
      await items.update('counter', (/** @type {number | undefined} */ n) => (n ?? 0) + 1);
      acknowledged++;
    } catch (error) {
      failed.push(textOf(error));
    }
  }
  await store.close();
  say('counted', { acknowledged, failed });
}

await { race, count }[/** @type {'race' | 'count'} */ (role)]();
