/** The command line, values that JSON has no form for, and readers that go away. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { open } from '../../src/index.ts';
import { peat } from '../support/cli.ts';
import { PEAT_MAIN, runPeat } from '../support/run-peat.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const LOOKALIKE = { type: 'Buffer', data: [104, 105] };

async function makeStore(): Promise<string> {
  const directory = temporaryDirectory();
  await using store = await open(directory, { autoCompact: false });
  const values = store.namespace('default');
  await values.put('bytes', Buffer.from('hi'));
  await values.put('lookalike', LOOKALIKE);
  await values.put('big', 2n ** 62n);
  return directory;
}

it('export tells bytes from an object that looks like them, and import brings that back', async () => {
  const directory = await makeStore();
  expect((await peat('get', directory, 'bytes')).stdout).toBe('"aGk="\n');
  expect(JSON.parse((await peat('get', directory, 'lookalike')).stdout)).toEqual(LOOKALIKE);
  const { stdout } = await peat('export', directory);
  const copy = temporaryDirectory();
  expect(await peat('init', copy)).toMatchObject({ code: 0 });
  expect(await runPeat(['import', copy], { stdin: stdout })).toMatchObject({ code: 0 });
  expect(JSON.parse((await peat('get', copy, 'lookalike')).stdout)).toEqual(LOOKALIKE);
});

it('watch and conditional puts show big integers as text', async () => {
  const directory = await makeStore();
  const watch = spawn(process.execPath, [PEAT_MAIN, 'watch', directory, '--limit', '1'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await using store = await open(directory, { autoCompact: false });
  const values = store.namespace('default');
  let isOver = false;
  const exit = once(watch, 'exit').then(([code]) => {
    isOver = true;
    return code as number | null;
  });
  const printed: Buffer[] = [];
  watch.stdout.on('data', (chunk: Buffer) => printed.push(chunk));
  // It sees what is written once it has begun to look.
  for (let n = 1n; !isOver; n++) {
    await values.put('big', 2n ** 62n + n);
    await delay(50);
  }
  expect(await exit).toBe(0);
  expect(Buffer.concat(printed).toString()).toMatch(/^put big "4611686018427\d+"\n$/);
  const refused = await peat('put', directory, 'big', '1', '--if-absent');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/there is "4611686018427\d+"/) as unknown });
});

it('a compactor whose log nobody reads any more ends as by a signal, and leaves no ticket behind', async () => {
  const directory = await makeStore();
  const compactor = spawn(process.execPath, [PEAT_MAIN, 'compactor', directory], { stdio: ['ignore', 'pipe', 'pipe'] });
  const errors: Buffer[] = [];
  compactor.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const exit = once(compactor, 'exit');
  await once(compactor.stdout, 'data');
  compactor.stdout.destroy();
  // Something to tell, again and again, until it has noticed.
  await using store = await open(directory, { autoCompact: false });
  for (let n = 0; compactor.exitCode === null && compactor.signalCode === null; n++) {
    await store.namespace('default').put('n', n);
    await delay(100);
  }
  expect((await exit)[0]).toBe(0);
  expect(Buffer.concat(errors).toString()).toBe('');
  expect((await store.listLocks()).flatMap(({ tickets }) => tickets)).toEqual([]);
});
