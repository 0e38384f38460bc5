/** Eight processes write one namespace at once, half of them also one entry a process start, beside a compactor: nothing is lost, torn or doubled. */

import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Child } from '../support/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const PROCESSES = 8;
const ENTRIES = 12_500;
/** Writers that also start a process an entry, and how often each. */
const STARTERS = 4;
const STARTS = 52;

const WORKER = fileURLToPath(new URL('./many-writers.worker.mjs', import.meta.url));

async function run(options: Record<string, unknown>): Promise<Child> {
  const child = new Child(WORKER, options);
  expect(await child.exit, child.lines.at(-1) ?? '').toEqual({ code: 0, signal: null });
  return child;
}

/** One entry a process start: open, put, close. */
async function writeOneByOne(store: string, writer: number): Promise<void> {
  for (let n = 0; n < STARTS; n++) await run({ role: 'write', store, writer, from: n, to: n + 1 });
}

it(`${PROCESSES} processes append ${ENTRIES} entries each, ${STARTERS * STARTS} of them one a process start`, async () => {
  const store = temporaryDirectory();
  const compactor = new Child(WORKER, { role: 'compact', store });
  await Promise.all(
    Array.from({ length: PROCESSES }, async (_, writer) => {
      const from = writer < STARTERS ? STARTS : 0;
      await Promise.all([run({ role: 'write', store, writer, from, to: ENTRIES }), from > 0 ? writeOneByOne(store, writer) : undefined]);
    }),
  );
  compactor.kill('SIGTERM');
  expect(await compactor.exit).toEqual({ code: 0, signal: null });
  expect(compactor.lines.filter((line) => /"(failed|warning)"/.test(line))).toEqual([]);

  const read = (await run({ role: 'read', store })).json('summary');
  const expected = { writers: Array.from({ length: PROCESSES }, () => ENTRIES), wrong: [], entries: PROCESSES * ENTRIES };
  expect(read).toEqual(expected);
  // Compacted to the end, the tables alone hold the same, each entry once.
  expect((await run({ role: 'read', store, compact: true })).json('summary')).toEqual({ ...expected, stored: PROCESSES * ENTRIES });
});
