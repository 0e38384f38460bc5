/** Updates and conditional puts of the command line, as processes. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { open } from '../../src/index.ts';
import { runPeat } from '../support/run-peat.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

async function newStore(): Promise<string> {
  const location = join(temporaryDirectory(), 'store');
  expect((await runPeat(['init', location])).code).toBe(0);
  return location;
}

/** A program that makes JSON of JSON. */
function program(body: string): string[] {
  return [process.execPath, '-e', `const v = require('fs').readFileSync(0, 'utf8'); ${body}`];
}

describe('peat update', () => {
  it('adds, and loses no step of processes that run at once', async () => {
    const location = await newStore();
    expect(await runPeat(['update', location, 'hits', '--add', '2'])).toEqual({ code: 0, stdout: '2\n', stderr: '' });
    const runs = await Promise.all(Array.from({ length: 8 }, () => runPeat(['update', location, 'hits', '--add', '1'])));
    expect(runs.map(({ code }) => code)).toEqual(Array(8).fill(0));
    expect((await runPeat(['get', location, 'hits'])).stdout).toBe('10\n');
  });

  it('writes what a program makes of the value, leaves it when that prints nothing, and writes nothing when it fails', async () => {
    const location = await newStore();
    const first = program(`console.log(JSON.stringify({ was: v }))`);
    expect((await runPeat(['update', location, 'run', '--', ...first])).stdout).toBe('{"was":""}\n');
    const second = program(`console.log(JSON.stringify({ was: JSON.parse(v).was + 'x' }))`);
    expect((await runPeat(['update', location, 'run', '--', ...second])).stdout).toBe('{"was":"x"}\n');
    expect((await runPeat(['update', location, 'run', '--json', '--', ...program('')])).stdout).toMatch(/"changed":false/);
    const failed = await runPeat(['update', location, 'run', '--', ...program(`console.log('{}'); process.exit(3)`)]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('exit code 3');
    expect((await runPeat(['get', location, 'run'])).stdout).toBe('{"was":"x"}\n');
  });

  it('ends with 75 when the program takes longer than it may', async () => {
    const location = await newStore();
    const { code, stderr } = await runPeat([
      'update',
      location,
      'a',
      '--deadline-ms',
      '100',
      '--',
      ...program('setInterval(() => {}, 1000)'),
    ]);
    expect(code).toBe(75);
    expect(stderr).toContain('100 ms');
    // What it has begun by itself, and what ignores the request to end, does not keep the command.
    const stubborn = await runPeat([
      'update',
      location,
      'a',
      '--deadline-ms',
      '100',
      '--',
      'sh',
      '-c',
      'trap "" TERM; sleep 5 & sleep 5; echo 1',
    ]);
    expect(stubborn.code).toBe(75);
  });

  it('refuses a value that JSON has no form for, and output without end', async () => {
    const location = await newStore();
    const store = await open(location);
    const things = store.namespace('default');
    await things.put('big', 2n ** 60n);
    await things.put('bytes', Buffer.from([1]));
    await store.close();
    for (const key of ['big', 'bytes']) {
      const { code, stderr } = await runPeat(['update', location, key, '--', 'cat']);
      expect([code, stderr.includes('JSON')]).toEqual([2, true]);
    }
    const endless = await runPeat(['update', location, 'a', '--deadline-ms', '60000', '--', 'yes']);
    expect([endless.code, endless.stderr.includes('printed more')]).toEqual([2, true]);
    const missing = await runPeat(['update', location, 'a', '--', './no-such-program']);
    expect([missing.code, missing.stderr.includes('no-such-program')]).toEqual([1, true]);
  });

  it('refuses text that is none', async () => {
    const location = await newStore();
    const { code, stderr } = await runPeat(['update', location, 'a', '--', 'printf', '\\377']);
    expect([code, stderr.includes('UTF-8')]).toEqual([1, true]);
    expect((await runPeat(['get', location, 'a'])).code).toBe(1);
  });

  it('refuses what it can not do, and shows it', async () => {
    const location = await newStore();
    await runPeat(['put', location, 'text', 'abc']);
    expect((await runPeat(['update', location, 'text'])).code).toBe(2);
    expect((await runPeat(['update', location, 'text', '--add', 'x'])).stderr).toContain('"x"');
    expect((await runPeat(['update', location, 'text', '--add', '1'])).stderr).toContain('"abc"');
    expect((await runPeat(['get', location, 'text'])).stdout).toBe('abc\n');
  });
});

describe('peat put with a condition', () => {
  it('puts where it holds, and else says what is there', async () => {
    const location = await newStore();
    expect((await runPeat(['put', location, 'leader', 'me', '--if-absent'])).code).toBe(0);
    const second = await runPeat(['put', location, 'leader', 'you', '--if-absent']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('"me"');
    const stamp = (await runPeat(['get', location, 'leader', '--stamp'])).stdout.trim();
    expect((await runPeat(['put', location, 'leader', 'you', '--if-stamp', stamp])).code).toBe(0);
    expect((await runPeat(['put', location, 'leader', 'she', '--if-stamp', stamp])).code).toBe(1);
    expect((await runPeat(['put', location, 'leader', 'she', '--if-value', 'you'])).code).toBe(0);
    expect((await runPeat(['get', location, 'leader'])).stdout).toBe('she\n');
    expect((await runPeat(['put', location, 'leader', 'x', '--if-absent', '--if-value', 'y'])).code).toBe(2);
  });
});
