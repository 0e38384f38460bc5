/**
 * A process of `histories.test.ts`. Its argument is JSON: `store`, and what it does as `role`. What it does to the store it notes
 * (`test/support/recorder.mjs`). PEAT_DIST names the build; default: the project's.
 *
 * | role | what it does |
 * |---|---|
 * | `mix` | a little of everything, at random and some at a time, until TERM: writes, batches, reads, snapshots, updates, locks; with `watch` it also watches |
 * | `look` | reads everything: as it is, and compacted |
 * | `mark` | puts the key `mark`, which ends the watches of others |
 * | `compact` | a compactor, until TERM |
 *
 * Keys that begin with `d` are put and deleted, those with `m` put and updated, those with `c` only updated. No two values are the same:
 * `<n>:<client>/<operation>`, with dots behind it, so that tables have more than one block. `plant` names a fault to be
 * played, which the checks must find (`planted.mjs`).
 */
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { pad, unpad } from '../support/padded.mjs';
import { plant } from '../support/planted.mjs';
import { randomFrom } from '../support/random.mjs';
import { Recorder } from '../support/recorder.mjs';

/**
 * @typedef {import('../../src/index.ts').Namespace<string>} Namespace
 * @typedef {import('../../src/index.ts').Operation<string>} Write
 * @typedef {import('../support/history.ts').Details} Details
 * @typedef {Record<string, string | null>} Values
 */
const dist = resolve(process.env['PEAT_DIST'] ?? new URL('../../dist', import.meta.url).pathname);
/** @type {typeof import('../../src/index.ts')} */
const { open } = await import(pathToFileURL(`${dist}/src/index.js`).href);

/** @type {{ store: string, role: string, client: string, histories?: string, seed: number, keys?: string[], names?: string[], watch?: boolean, plant?: string }} */
const options = JSON.parse(process.argv[2] ?? '{}');
const { role, client, keys = [], names = [] } = options;
const random = randomFrom(options.seed ?? 1);
const recorder = new Recorder(options);
const operation = recorder.operation.bind(recorder);
const store = plant.inStore(await open(options.store, { autoCompact: false, segmentBytesMax: 64 * 1024 }), options.plant, random);
/** @type {Namespace[]} */
const handles = [0, 1].map(() => plant.inNamespace(store.namespace('mixed'), options.plant, random));

// ---- values

/** @param {number} n */
const below = (n) => Math.floor(random() * n);
/** @template T @param {readonly T[]} some @returns {T} */
const oneOf = (some) => /** @type {T} */ (some[below(some.length)]);
/** @param {string} prefix */
const keysOf = (prefix) => keys.filter((key) => key.startsWith(prefix));
/** @template T @param {readonly T[]} some @param {number} count */
const someOf = (some, count) => [...new Set(Array.from({ length: count }, () => oneOf(some)))];

/** @param {string} id @param {number} [n] */
const newValue = (id, n = 0) => `${n}:${client}/${id}`;
/** @param {string | null} value */
const numberOf = (value) => Number(value?.split(':')[0] ?? 0);
/** @param {readonly string[]} asked @param {readonly (string | undefined)[]} values @returns {Values} */
const byKey = (asked, values) => Object.fromEntries(asked.map((key, i) => [key, values[i] === undefined ? null : unpad(values[i])]));

// ---- writes

/** @param {Values} writes @returns {Write[]} */
const toWrites = (writes) =>
  Object.entries(writes).map(([key, value]) => (value === null ? { type: 'delete', key } : { type: 'put', key, value: pad(value) }));

/** @param {string} what @param {(id: string) => Values} choose @param {(entries: Namespace, writes: Values) => Promise<string>} run */
async function write(what, choose, run) {
  const handle = below(handles.length);
  /** @type {Values} */
  let writes = {};
  const effect = (/** @type {string} */ id) => {
    writes = choose(id);
    return { writes, details: { handle } };
  };
  await operation(what, async () => ({ details: { token: await run(/** @type {Namespace} */ (handles[handle]), writes) } }), effect);
}

const putKeys = () => [...keysOf('d'), ...keysOf('m')];

const put = () => {
  const key = oneOf(putKeys());
  const isBlocking = random() < 0.1;
  return write(
    'put',
    (id) => ({ [key]: newValue(id) }),
    async (entries, writes) => {
      const value = pad(/** @type {string} */ (writes[key]));
      return isBlocking ? entries.putSync(key, value) : await entries.put(key, value);
    },
  );
};

const remove = () => {
  const key = oneOf(keysOf('d'));
  return write(
    'delete',
    () => ({ [key]: null }),
    (entries) => entries.delete(key),
  );
};

const batch = () => {
  const chosen = someOf(putKeys(), 2 + below(4));
  const values = (/** @type {string} */ id) => chosen.map((key) => [key, key.startsWith('d') && random() < 0.3 ? null : newValue(id)]);
  return write(
    'batch',
    (id) => Object.fromEntries(values(id)),
    (entries, writes) => entries.batch(toWrites(writes)),
  );
};

/** @param {string} what @param {string[]} chosen */
const updateOf = (what, chosen) => {
  const entries = oneOf(handles);
  return operation(what, async (id, attempt) => {
    /** @param {readonly (string | undefined)[]} values */
    const change = (values) => {
      const reads = byKey(chosen, values);
      const written = chosen.map((key) => newValue(id, numberOf(reads[key] ?? null) + 1));
      attempt({ reads, writes: byKey(chosen, written.map(pad)) });
      return written.map(pad);
    };
    const [key = ''] = chosen;
    if (what === 'updateMany') {
      await entries.updateMany(chosen, change);
      return {};
    }
    const { stamp } = await entries.update(key, (value) => /** @type {string} */ (change([value])[0]));
    return { stamp };
  });
};
const update = () => updateOf('update', [oneOf([...keysOf('c'), ...keysOf('m')])]);
const updateMany = () => updateOf('updateMany', someOf([...keysOf('c'), ...keysOf('m')], 2));

// ---- reads

const get = () => {
  const key = oneOf(keys);
  return operation('get', async () => ({ reads: byKey([key], [await oneOf(handles).get(key)]) }));
};

const getEntry = () => {
  const key = oneOf(keys);
  return operation('getEntry', async () => {
    const entry = await oneOf(handles).getEntry(key);
    return { reads: byKey([key], [entry?.value]), stamp: entry?.stamp };
  });
};

const getMany = () => {
  const chosen = random() < 0.3 ? keys : someOf(keys, 4);
  return operation('getMany', async () => ({ reads: byKey(chosen, await oneOf(handles).getMany(chosen)) }));
};

/**
 * What a scan shows: all keys of its range count as read, and those that nobody writes, too.
 * @param {Pick<Namespace, 'scan'>} from @param {string} [prefix]
 */
async function scanned(from, prefix = '') {
  const reverse = random() < 0.5;
  const reads = byKey(keysOf(prefix), []);
  let last = reverse ? '\u{10ffff}' : '';
  for await (const { key, value } of from.scan({ prefix, reverse })) {
    if (reverse ? key >= last : key <= last) throw new Error(`a scan showed ${key} after ${last}`);
    if (key !== 'mark') reads[key] = unpad(value);
    last = key;
  }
  return reads;
}

const scan = () => {
  const prefix = oneOf(['', 'd', 'm']);
  return operation('scan', async () => ({ reads: await scanned(oneOf(handles), prefix) }));
};

/** Takes a snapshot and reads it several times, while others write, delete and compact. */
async function snapshot() {
  /** @type {import('../../src/index.ts').Snapshot<string> | undefined} */
  let taken;
  const { id } = await operation('snapshot', async () => {
    taken = await oneOf(handles).snapshot();
    return {};
  });
  if (taken === undefined) return;
  const held = taken;
  const view = `${client}/${id}`;
  const effect = () => ({ details: { view } });
  const times = 2 + below(3);
  for (let n = 0; n < times && !ending.aborted; n++) {
    await operation('snapshot scan', async () => ({ reads: await scanned(held) }), effect);
    await pause(50 * 8 ** random());
    const some = someOf(keys, 3);
    await operation('snapshot getMany', async () => ({ reads: byKey(some, await held.getMany(some)) }), effect);
  }
  held.close();
}

// ---- locks

async function lock() {
  const kind = random();
  const wanted = kind < 0.1 ? [] : someOf(names, kind < 0.6 ? 1 : 2);
  const mode = wanted.length > 0 && random() < 0.4 ? 'shared' : 'exclusive';
  /** @type {import('../../src/index.ts').NamedLock | undefined} */
  let got;
  const asked = await operation(
    'lock',
    async () => {
      const limits = { maxWaitMs: 20_000, leaseMs: 2000, signal: ending };
      try {
        got = wanted.length === 0 ? await store.exclusive(limits) : await store.locks(wanted, { ...limits, mode });
      } catch (error) {
        throw ending.aborted ? Object.assign(new Error('given up'), { code: 'LOCK_TIMEOUT' }) : error;
      }
      return { details: { names: got.names, tokens: got.tokens } };
    },
    () => ({ details: { names: wanted, mode } }),
  );
  if (got === undefined) return;
  const held = got;
  const effect = () => ({ details: { hold: `${client}/${asked.id}` } });
  const onLoss = () => recorder.moment('lost', effect());
  held.signal.addEventListener('abort', onLoss);
  if (held.signal.aborted) onLoss();
  await pause(3 * 10 ** random());
  await operation(
    'release',
    async () => {
      held.signal.removeEventListener('abort', onLoss);
      await held.release();
      return {};
    },
    effect,
  );
}

const listLocks = () =>
  operation('listLocks', async () => {
    const own = (await store.listLocks()).filter(({ kind, name }) => kind === 'user' && names.includes(name));
    return { details: { tickets: Object.fromEntries(own.map(({ name, tickets }) => [name, tickets.map(({ number }) => number)])) } };
  });

// ---- watches

/** Notes each change, until it is told of the second mark. That it has begun is sure with its first event. */
async function watch() {
  let events = 0;
  for await (const event of store.namespace('mixed').watch({ pollMs: 20 })) {
    if (events++ === 0) recorder.moment('watching', {});
    if (event.type === 'resync') {
      recorder.moment('resync', {});
      continue;
    }
    const value = event.type === 'put' ? unpad(/** @type {string} */ (event.value)) : null;
    recorder.moment('event', { reads: { [event.key]: value } });
    if (event.key !== 'mark') continue;
    say('marked');
    if (value?.startsWith('0:mark2/')) break;
  }
  recorder.moment('watched', {});
}

// ---- the roles

const ended = new AbortController();
const ending = ended.signal;

/** @param {string} line */
function say(line) {
  writeSync(1, `${line}\n`);
}

/** @param {number} ms */
async function pause(ms) {
  await delay(ms, undefined, { signal: ending }).catch(() => {});
}

/** @typedef {[weight: number, run: () => Promise<unknown>][]} Choice */

/** What is done at a time, each with how often. @type {Choice[]} */
const ROWS = [
  [
    [20, put],
    [8, remove],
    [16, batch],
  ],
  [
    [14, get],
    [6, getEntry],
    [14, getMany],
    [6, scan],
  ],
  [
    [14, update],
    [5, updateMany],
  ],
  [
    [10, lock],
    [3, listLocks],
  ],
  [[1, snapshot]],
];

/** @param {Choice} what */
async function row(what) {
  const total = what.reduce((sum, [weight]) => sum + weight, 0);
  while (!ending.aborted) {
    let at = random() * total;
    const chosen = what.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    await chosen?.[1]();
    await pause(8 * random());
  }
}

async function mix() {
  untilTerm();
  const watching = options.watch ? watch() : undefined;
  await Promise.all(ROWS.map(row));
  say('idle');
  await watching;
}

async function look() {
  const entries = /** @type {Namespace} */ (handles[0]);
  const all = async () => ({ reads: await scanned(entries) });
  await operation('final', all);
  await operation('final', async () => ({ reads: byKey(keys, await entries.getMany(keys)) }));
  await store.compact();
  await operation('final', all);
  await operation('final', async () => ({ reads: byKey(keys, await Promise.all(keys.map((key) => entries.get(key)))) }));
  const { tail } = await entries.stats();
  say(`tail ${tail.frames + tail.records}`);
}

async function mark() {
  await write(
    'put',
    (id) => ({ mark: newValue(id) }),
    (entries, writes) => entries.batch(toWrites(writes)),
  );
}

async function compact() {
  untilTerm();
  const onEvent = (/** @type {unknown} */ event) => say(`event ${JSON.stringify(event)}`);
  await store.runCompactor({ signal: ending, gatherMs: 80, pollMs: 100, onEvent });
}

function untilTerm() {
  const alive = setInterval(() => {}, 60_000);
  void once(process, 'SIGTERM').then(() => {
    clearInterval(alive);
    ended.abort();
  });
  say('ready');
}

await { mix, look, mark, compact }[/** @type {'mix' | 'look' | 'mark' | 'compact'} */ (role)]();
await store.close();
say('closed');
