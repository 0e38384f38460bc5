/**
 * What the crash tests write, and how what is left of it is judged. Plain JavaScript, since the processes that are killed use it,
 * too.
 *
 * Batch n of a writer puts `size` keys of its own, `last/<writer>` = n, `lane/<lane>` = (writer, n), and
 * `tmp/<writer>/<n>`; it deletes the `tmp` keys of the batches shortly before it. So from what can be read one can tell
 * whether a batch is there as a whole, whether the order of the calls was kept, and whether something deleted came back. A lane is a
 * row of writers of which one lives at a time. Values tell themselves whether they are whole.
 */

/** How many `tmp` keys a batch deletes. */
const DELETED_BEFORE = 4;

/** @param {string} key @param {number} bytes */
function bodyOf(key, bytes) {
  return key.repeat(Math.ceil(bytes / key.length)).slice(0, bytes);
}

/**
 * @typedef {{ writer: string, lane: string, n: number, size: number, bytes: number }} BatchFacts
 * @typedef {{ type: 'put', key: string, value: unknown } | { type: 'delete', key: string }} Operation
 */

/** @param {BatchFacts} facts @returns {Operation[]} */
export function batchOf({ writer, lane, n, size, bytes }) {
  /** @type {Operation[]} */
  const operations = [];
  for (let i = 0; i < size; i++) {
    const key = `b/${writer}/${n}/${i}`;
    operations.push({ type: 'put', key, value: { of: size, bytes, body: bodyOf(key, bytes) } });
  }
  operations.push({ type: 'put', key: `last/${writer}`, value: n });
  operations.push({ type: 'put', key: `lane/${lane}`, value: { writer, n } });
  operations.push({ type: 'put', key: `tmp/${writer}/${n}`, value: n });
  for (let m = Math.max(0, n - DELETED_BEFORE); m < n; m++) operations.push({ type: 'delete', key: `tmp/${writer}/${m}` });
  return operations;
}

/**
 * @typedef {{ count: number, of: number }} SeenBatch
 * @typedef {object} WriterSummary
 * @property {Record<string, SeenBatch>} batches
 * @property {number} [last]
 * @property {number[]} temporary
 * @typedef {object} Summary
 * @property {Record<string, WriterSummary>} writers
 * @property {Record<string, { writer: string, n: number }>} lanes
 * @property {string[]} damaged keys whose values are not what their writer put
 * @property {number} entries
 */

/**
 * Condenses a scan of everything; survives JSON.
 *
 * @param {AsyncIterable<{ key: string, value: unknown }>} entries
 * @returns {Promise<Summary>}
 */
export async function summarize(entries) {
  /** @type {Summary} */
  const summary = { writers: {}, lanes: {}, damaged: [], entries: 0 };
  /** @type {string | undefined} */
  let before;
  for await (const { key, value } of entries) {
    summary.entries++;
    if (before !== undefined && before >= key) summary.damaged.push(`${key} follows ${before}`);
    before = key;
    const [kind, name = '', n = '', i] = key.split('/');
    if (kind === 'lane') {
      summary.lanes[name] = /** @type {{ writer: string, n: number }} */ (value);
      continue;
    }
    const writer = summary.writers[name] ?? { batches: {}, temporary: [] };
    summary.writers[name] = writer;
    if (kind === 'last') writer.last = /** @type {number} */ (value);
    else if (kind === 'tmp') writer.temporary.push(Number(n));
    else {
      const { of, bytes, body } = /** @type {{ of: number, bytes: number, body: string }} */ (value);
      if (kind !== 'b' || i === undefined || body !== bodyOf(key, bytes)) summary.damaged.push(key);
      const batch = writer.batches[n] ?? { count: 0, of };
      writer.batches[n] = batch;
      batch.count++;
      if (batch.of !== of) summary.damaged.push(key);
    }
  }
  return summary;
}

/**
 * What a writer was told. `called` is the highest batch that it began; undefined if nobody knows.
 *
 * @typedef {{ writer: string, lane: string, acked: readonly number[], called?: number }} Told
 */

/**
 * What is wrong with what is left; an empty list if nothing is.
 *
 * @param {Summary} summary
 * @param {readonly Told[]} told in the order in which the writers of a lane lived
 * @returns {string[]}
 */
export function judge(summary, told) {
  const problems = summary.damaged.map((key) => `the value of ${key} is not what was put`);
  for (const { writer, acked, called } of told) {
    const seen = summary.writers[writer] ?? { batches: {}, temporary: [] };
    for (const n of acked) if (seen.batches[n] === undefined) problems.push(`${writer}: acknowledged batch ${n} is lost`);
    for (const [n, { count, of }] of Object.entries(seen.batches)) {
      if (count !== of) problems.push(`${writer}: batch ${n} has ${count} of ${of} puts`);
      if (called !== undefined && Number(n) > called) problems.push(`${writer}: batch ${n} was never written`);
    }
    const present = Object.keys(seen.batches).map(Number);
    const last = present.length === 0 ? undefined : Math.max(...present);
    if (seen.last !== last) problems.push(`${writer}: the last batch is ${last}, but its counter says ${seen.last}`);
    for (const n of seen.temporary) {
      if (seen.batches[n] === undefined) problems.push(`${writer}: of batch ${n} only its temporary key is there`);
      const deleter = present.find((m) => m > n && m - n <= DELETED_BEFORE);
      if (deleter !== undefined) problems.push(`${writer}: what batch ${deleter} deleted of batch ${n} came back`);
    }
    if (last !== undefined && !seen.temporary.includes(last)) problems.push(`${writer}: the temporary key of batch ${last} is lost`);
  }
  const known = new Set(told.map(({ writer }) => writer));
  for (const writer of Object.keys(summary.writers)) if (!known.has(writer)) problems.push(`nobody knows the writer ${writer}`);
  return [...problems, ...judgeLanes(summary, told)];
}

/** @param {Summary} summary @param {readonly Told[]} told @returns {string[]} */
function judgeLanes(summary, told) {
  /** @type {string[]} */
  const problems = [];
  for (const lane of new Set(told.map((one) => one.lane))) {
    const alive = told.filter((one) => one.lane === lane && Object.keys(summary.writers[one.writer]?.batches ?? {}).length > 0);
    const last = alive.at(-1)?.writer;
    const expected = last === undefined ? undefined : { writer: last, n: summary.writers[last]?.last };
    const seen = summary.lanes[lane];
    if (seen?.writer !== expected?.writer || seen?.n !== expected?.n) {
      problems.push(`lane ${lane} ends with ${JSON.stringify(expected)}, but reads as ${JSON.stringify(seen)}`);
    }
  }
  return problems;
}
