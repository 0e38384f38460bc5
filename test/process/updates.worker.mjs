/**
 * A process of `updates*.test.ts`. Its argument is JSON: `store`, and what it does as `role`. What clients do they note in
 * `<histories>/<client>.history`, each step before the next one (`test/support/history.ts`). PEAT_DIST names the build; default: the project's.
 *
 * | role | what it does |
 * |---|---|
 * | `count` | `operations` increments of `keys`, the first one being hot, with reads among them |
 * | `tally` | `operations` increments of `keys[0]`, each counted beside it under `name`: a successor goes on where a killed process was |
 * | `claim` | takes `keys` by `putIf` where they are free, and lets go of them again; with `once` each key in turn, for good |
 * | `transfer` | moves amounts between accounts by `updateMany`, among single updates, and looks at all of them |
 * | `mixed` | writes blindly, updates and reads |
 * | `fund` | puts `value` under all keys |
 * | `compact` | a compactor, until TERM |
 * | `read` | says what the keys hold, with `compact` after a compaction |
 * | `hold` | holds all locks of stripes, and locks of `names`, until TERM |
 *
 * Values are texts `<n>:<who wrote it>`, so that no two are the same.
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { randomFrom } from '../support/random.mjs';
import { NO_EFFECT, Recorder } from '../support/recorder.mjs';

const dist = resolve(process.env['PEAT_DIST'] ?? new URL('../../dist', import.meta.url).pathname);
/** @param {string} path @returns {Promise<any>} */
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);

const options = JSON.parse(process.argv[2] ?? '{}');
const { role, client, keys = [], operations = 0, inFlight = 1, pauseMs = 0 } = options;
const random = randomFrom(options.seed ?? 1);
const { open, DELETE } = await load('src/index.js');
const store = await open(options.store, { autoCompact: false });
const entries = store.namespace('updates');

/** @param {string} line */
function say(line) {
  writeSync(1, `${line}\n`);
}

// ---- what is noted

const recorder = new Recorder({ histories: options.histories, client });
/** @type {(...args: Parameters<Recorder['operation']>) => Promise<void>} */
const operation = async (...args) => {
  await recorder.operation(...args);
};
/** @typedef {Record<string, string | null>} Values */

/** @param {string | undefined} value */
const numberOf = (value) => Number(value?.split(':')[0] ?? 0);
/** @param {string} id @param {number} n */
const newValue = (id, n) => `${n}:${client}/${id}`;
/** @param {readonly (string | undefined)[]} values @param {readonly string[]} names @returns {Values} */
const byKey = (names, values) => Object.fromEntries(names.map((name, i) => [name, values[i] ?? null]));

/** @param {string} key */
const get = (key) =>
  operation('get', async () => {
    const entry = await entries.getEntry(key);
    return { reads: { [key]: entry?.value ?? null }, stamp: entry?.stamp };
  });

/** @param {string} key */
const increment = (key) =>
  operation('update', async (id, attempt) => {
    let written = '';
    const { value, stamp } = await entries.update(
      key,
      (/** @type {string | undefined} */ current) => {
        written = newValue(id, numberOf(current) + 1);
        attempt({ reads: { [key]: current ?? null }, writes: { [key]: written } });
        return written;
      },
      options.update,
    );
    if (value !== written) throw new Error(`${key}: wrote ${written}, was told ${value}`);
    return { stamp };
  });

/** @param {string} key */
const put = (key) =>
  operation(
    'put',
    async (id) => {
      await entries.put(key, newValue(id, 0));
      return {};
    },
    (id) => ({ writes: { [key]: newValue(id, 0) } }),
  );

// ---- the roles

/** Runs operations, some at a time. @param {(n: number) => Promise<void>} run */
async function repeat(run) {
  let next = 0;
  const row = async () => {
    while (next < operations) {
      await run(next++);
      if (pauseMs > 0) await delay(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, row));
}

/** @returns {string} */
const anyKey = () => keys[Math.floor(random() * keys.length)];

async function count() {
  const { readsPerMille = 0, hotPerMille = 1000 } = options;
  await repeat(async () => {
    const key = random() * 1000 < hotPerMille ? keys[0] : anyKey();
    if (random() * 1000 < readsPerMille) await get(key);
    await increment(key);
  });
}

/** A value tells how many steps each name has made, so that none is made twice, and none left out, whoever is killed. */
async function tally() {
  const { name } = options;
  /** @param {{ total: number, steps: Record<string, number> }} [value] */
  const step = (value = { total: 0, steps: {} }) => {
    const { [name]: steps = 0 } = value.steps;
    return steps >= operations ? undefined : { total: value.total + 1, steps: { ...value.steps, [name]: steps + 1 } };
  };
  const row = async () => {
    for (;;) {
      try {
        if (!(await entries.update(keys[0], step)).changed) return;
      } catch (error) {
        const code = /** @type {{ code?: string }} */ (error).code ?? '';
        if (code !== 'OUTCOME_UNKNOWN' && !NO_EFFECT.includes(code)) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, row));
}

async function claim() {
  await repeat(async (n) => {
    const key = options.once ? keys[n] : anyKey();
    let mine = '';
    /** @type {string | undefined} */
    let version;
    await operation('claim', async (id, attempt) => {
      const wanted = newValue(id, 0);
      // If it takes effect, then because nobody had it.
      attempt({ reads: { [key]: null }, writes: { [key]: wanted } });
      const { ok, value, stamp } = await entries.putIf(key, wanted, { ifAbsent: true });
      if (ok !== (value === wanted)) throw new Error(`claimed ${key}: ${ok}, but it is ${value}`);
      if (!ok) return { reads: { [key]: value ?? null }, stamp };
      mine = wanted;
      version = stamp;
      return { stamp };
    });
    if (mine === '' || options.once) return;
    const held = await entries.get(key);
    if (held !== mine) throw new Error(`${key} is ${held} while ${mine} holds it`);
    await operation('unclaim', async (_, attempt) => {
      attempt({ reads: { [key]: mine }, writes: { [key]: null } });
      const { ok, value } = await entries.putIf(key, DELETE, { ifStamp: version });
      if (!ok) throw new Error(`${mine} held ${key}, which is ${value}`);
      return {};
    });
  });
}

async function fund() {
  await entries.batch(keys.map((/** @type {string} */ key) => ({ type: 'put', key, value: options.value })));
}

async function transfer() {
  await repeat(async () => {
    const kind = random();
    if (kind < 0.2) return await look();
    const from = anyKey();
    const to = anyKey();
    if (kind < 0.5 || from === to) return await touch(from);
    await operation('transfer', async (id, attempt) => {
      const both = [from, to];
      const amount = 1 + Math.floor(random() * 10);
      await entries.updateMany(both, (/** @type {(string | undefined)[]} */ values) => {
        const written = [newValue(id, numberOf(values[0]) - amount), newValue(id, numberOf(values[1]) + amount)];
        attempt({ reads: byKey(both, values), writes: byKey(both, written) });
        return written;
      });
      return {};
    });
  });
}

/** All accounts at one moment. */
const look = () =>
  operation('look', async () => {
    return { reads: byKey(keys, await entries.getMany(keys)) };
  });

/** An update that leaves the amount as it is. @param {string} key */
const touch = (key) =>
  operation('touch', async (id, attempt) => {
    const { stamp } = await entries.update(key, (/** @type {string} */ current) => {
      const written = newValue(id, numberOf(current));
      attempt({ reads: { [key]: current ?? null }, writes: { [key]: written } });
      return written;
    });
    return { stamp };
  });

async function mixed() {
  const { putsPerMille } = options;
  await repeat(async () => {
    const key = anyKey();
    if (random() * 1000 < putsPerMille) await put(key);
    else if (random() < 0.3) await get(key);
    else await increment(key);
  });
}

/** Keeps the process alive until then, which a listener does not. */
async function untilTerm() {
  const alive = setInterval(() => {}, 60_000);
  await once(process, 'SIGTERM');
  clearInterval(alive);
}

async function compact() {
  const stop = new AbortController();
  void untilTerm().then(() => stop.abort());
  const onEvent = (/** @type {unknown} */ event) => say(`event ${JSON.stringify(event)}`);
  await store.runCompactor({ signal: stop.signal, gatherMs: 100, pollMs: 200, onEvent });
}

async function read() {
  if (options.compact) await store.compact();
  const values = byKey(keys, await entries.getMany(keys));
  const { tableEntries, tail } = await entries.stats();
  say(`read ${JSON.stringify({ values, tableEntries, records: tail.records })}`);
}

async function hold() {
  const [{ nodeSystem }, { lockPrefix }, { LOCK_SITES }, { nodeProcessFacts }, { TicketLock }, { FileMedium }] = await Promise.all(
    ['base/system', 'format/layout', 'lock/lock-sites', 'lock/process-facts', 'lock/ticket-lock', 'medium/file-medium'].map((module) =>
      load(`src/${module}.js`),
    ),
  );
  const medium = FileMedium.open(options.store);
  const held = [];
  for (let stripe = 0; stripe < store.file.constants.stripes; stripe++) {
    const prefix = lockPrefix('stripe', `updates/${stripe}`);
    const lock = new TicketLock({ medium, system: nodeSystem, facts: nodeProcessFacts(), prefix });
    held.push(await lock.acquire({ site: LOCK_SITES.stripeUpdate, leaseMs: 2_000, maxWaitMs: 10_000, purpose: 'holds everything' }));
  }
  const term = untilTerm();
  held.push(await store.locks(options.names));
  say(`holds ${held.length}`);
  await term;
  say(`lost ${held.filter(({ signal }) => signal.aborted).length}`);
  await Promise.all(held.map((lock) => lock.release()));
  await medium.close();
}

say(`pid ${process.pid}`);
await { count, tally, claim, transfer, fund, mixed, compact, read, hold }[
  /** @type {'count' | 'tally' | 'claim' | 'transfer' | 'fund' | 'mixed' | 'compact' | 'read' | 'hold'} */ (role)
]();
await store.close();
say('closed');
