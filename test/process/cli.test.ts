/** The everyday commands, as processes: what they print where, and their exit codes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { open } from '../../src/index.ts';
import { PEAT_MAIN, type Ran, runPeat } from '../support/run-peat.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

function ok(stdout: string): Ran {
  return { code: 0, stdout, stderr: '' };
}

async function newStore(): Promise<string> {
  const location = join(temporaryDirectory(), 'store');
  expect((await runPeat(['init', location])).code).toBe(0);
  return location;
}

function filesOf(location: string): string[] {
  return (readdirSync(location, { recursive: true }) as string[]).sort();
}

describe('peat help', () => {
  it('lists the commands, and not the hidden ones', async () => {
    const { code, stdout } = await runPeat([]);
    expect(code).toBe(0);
    for (const name of ['init', 'put', 'replay', 'compactor', 'repair']) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(stdout).not.toContain('replay-writer');
  });

  it('shows usage, options, examples and exit codes of a command, both ways', async () => {
    const long = await runPeat(['help', 'put']);
    for (const part of ['Usage: peat put', '--ttl-ms MS', 'Examples:', 'Exit codes:']) expect(long.stdout).toContain(part);
    expect(await runPeat(['put', '--help'])).toEqual(long);
  });

  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(await runPeat(['--version'])).toEqual(ok(`${version}\n`));
  });
});

describe('wrong arguments', () => {
  it.each([
    [['nonsense'], 'there is no command "nonsense"'],
    [['help', 'nonsense'], 'there is no command "nonsense"'],
    [['get'], 'takes 2 arguments, got 0'],
    [['get', 'x', 'y', '--nonsense'], '--nonsense'],
    [['list', 'x', '--limit', 'many'], '--limit must be a whole number'],
    [['put', 'x', 'k', '1', '--ttl-ms', '-1'], '--ttl-ms'],
    [['put', 'x', 'k', '1', '--expires-at', 'soon'], '"soon"'],
    [['put', 'x', 'k', '1', '--durability', 'none'], '"none"'],
    [['namespace', 'rename', 'x'], '"rename"'],
    [['import', 'x', '--format', 'csv'], '"csv"'],
    [['init', 'gs://bucket'], 'gs://'],
  ])('%j exits with 2 and names the value', async (args, message) => {
    const { code, stdout, stderr } = await runPeat(args, { cwd: temporaryDirectory() });
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('refuses a bad key and a bad namespace with 2', async () => {
    const store = await newStore();
    expect(await runPeat(['put', store, '', '1'])).toMatchObject({ code: 2, stderr: expect.stringContaining('""') as string });
    expect(await runPeat(['put', store, 'k', '1', '-n', 'No Name'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"No Name"') as string,
    });
  });

  it('tells errors as JSON with --json', async () => {
    const { code, stderr } = await runPeat(['get', join(temporaryDirectory(), 'none'), 'k', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'STORE_NOT_FOUND' } });
  });
});

describe('put, get, delete', () => {
  it('keeps JSON as JSON and everything else as text', async () => {
    const store = await newStore();
    const values: [given: string[], printed: string][] = [
      [['{"a":[1,null]}'], '{"a":[1,null]}'],
      [['42'], '42'],
      [['hello world'], 'hello world'],
      [['--string', '42'], '42'],
      [['--', '-5'], '-5'],
    ];
    for (const [given, printed] of values) {
      expect(await runPeat(['put', store, 'key', ...given])).toEqual(ok(''));
      expect(await runPeat(['get', store, 'key'])).toEqual(ok(`${printed}\n`));
    }
    expect(await runPeat(['put', store, 'key', '--string', '42'])).toEqual(ok(''));
    expect(await runPeat(['get', store, 'key', '--json'])).toEqual(ok('"42"\n'));
  });

  it('reads the value from stdin', async () => {
    const store = await newStore();
    expect(await runPeat(['put', store, 'key'], { stdin: '{"from":"stdin"}\n' })).toEqual(ok(''));
    expect(await runPeat(['get', store, 'key'])).toEqual(ok('{"from":"stdin"}\n'));
    expect((await runPeat(['put', store, 'key', '-'], { stdin: Buffer.from([0xff]) })).code).toBe(2);
  });

  it('says with 1 that a key, a namespace or a store is not there, and writes nothing', async () => {
    const store = await newStore();
    await runPeat(['put', store, 'there', '1']);
    const before = filesOf(store);
    expect(await runPeat(['get', store, 'gone'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'peat: there is no key "gone" in namespace default\n',
    });
    expect(await runPeat(['get', store, 'there', '-n', 'none'])).toMatchObject({ code: 1, stdout: '' });
    for (const command of ['list', 'stats', 'export']) expect((await runPeat([command, store])).code).toBe(0);
    expect(filesOf(store)).toEqual(before);
    const none = join(temporaryDirectory(), 'none');
    for (const command of [
      ['get', none, 'k'],
      ['put', none, 'k', '1'],
      ['delete', none, 'k'],
      ['compact', none],
    ]) {
      expect(await runPeat(command)).toMatchObject({ code: 1, stderr: expect.stringContaining('peat init') as string });
    }
    expect(existsSync(none)).toBe(false);
  });

  it('deletes several keys, and lets a put expire', async () => {
    const store = await newStore();
    for (const key of ['a', 'b', 'c']) await runPeat(['put', store, key, '1']);
    await runPeat(['put', store, 'd', '1', '--expires-at', '2001-01-01T00:00:00Z']);
    expect(await runPeat(['delete', store, 'a', 'c', 'never-there'])).toEqual(ok(''));
    expect(await runPeat(['list', store])).toEqual(ok('b\n'));
  });
});

describe('list', () => {
  it('takes prefix, bounds, limit and order, by bytes', async () => {
    const store = await newStore();
    const handle = await open(store);
    const namespace = handle.namespace('default');
    await namespace.batch(['a/1', 'a/2', 'b/1', 'ü', '😀', '￿'].map((key, value) => ({ type: 'put', key, value })));
    await handle.close();
    const list = async (...args: string[]): Promise<string[]> => (await runPeat(['list', store, ...args])).stdout.split('\n').slice(0, -1);
    expect(await list()).toEqual(['a/1', 'a/2', 'b/1', 'ü', '￿', '😀']);
    expect(await list('--prefix', 'a/')).toEqual(['a/1', 'a/2']);
    expect(await list('--gt', 'a/1', '--lte', 'b/1')).toEqual(['a/2', 'b/1']);
    expect(await list('--gte', 'a/2', '--lt', 'b/1')).toEqual(['a/2']);
    expect(await list('--reverse', '--limit', '2')).toEqual(['😀', '￿']);
    expect(await list('--prefix', 'a/', '--json')).toEqual(['{"key":"a/1","value":0}', '{"key":"a/2","value":1}']);
    expect(await list('--prefix', 'b', '--json', '--keys')).toEqual(['{"key":"b/1"}']);
    expect(await list('--prefix', 'b', '--values')).toEqual(['{"key":"b/1","value":2}']);
  });

  it('ends quietly when its reader goes away', async () => {
    const store = await newStore();
    const handle = await open(store);
    const operations = Array.from({ length: 20_000 }, (_, i) => ({ type: 'put', key: `key-${i}-${'x'.repeat(50)}`, value: i }) as const);
    await handle.namespace('default').batch(operations);
    await handle.close();
    const child = spawn(process.execPath, [PEAT_MAIN, 'list', store], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('namespace, stats, compact', () => {
  it('creates, lists, drops, and creates again', async () => {
    const store = await newStore();
    const json = async (...args: string[]): Promise<unknown[]> =>
      (await runPeat(['namespace', ...args, '--json'])).stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as unknown);
    expect(await json('create', store, 'runs')).toEqual([{ namespace: 'runs', created: true }]);
    expect(await json('create', store, 'runs')).toEqual([{ namespace: 'runs', created: false }]);
    expect(await runPeat(['namespace', 'list', store])).toEqual(ok('runs\n'));
    await runPeat(['put', store, '-n', 'runs', 'k', '1']);
    expect(await json('drop', store, 'runs')).toEqual([{ namespace: 'runs', dropped: true }]);
    expect((await runPeat(['namespace', 'drop', store, 'runs'])).code).toBe(1);
    expect(await runPeat(['namespace', 'list', store])).toEqual(ok(''));
    await json('create', store, 'runs');
    expect(await runPeat(['list', store, '-n', 'runs'])).toEqual(ok(''));
  });

  it('shows how compaction empties the tail', async () => {
    const store = await newStore();
    for (const key of ['a', 'b']) await runPeat(['put', store, key, '1']);
    const stats = async (): Promise<unknown> => JSON.parse((await runPeat(['stats', store, '--json'])).stdout) as unknown;
    expect(await stats()).toMatchObject({ namespace: 'default', tableEntries: 0, tail: { frames: 2 } });
    expect((await runPeat(['compact', store])).stdout).toContain('default: 1 passes, 2 frames, 2 entries');
    expect(await stats()).toMatchObject({ tableEntries: 2, tail: { frames: 0 } });
    expect((await runPeat(['stats', store])).stdout).toMatch(/^default +1 +1 +1 +1 +2 /m);
    expect(await runPeat(['list', store])).toEqual(ok('a\nb\n'));
  });

  it('has nothing to sync in a directory, and says so', async () => {
    const store = await newStore();
    expect(await runPeat(['sync', store])).toEqual(ok('nothing to do: the store is not in a bucket, so it has no cache\n'));
    expect(JSON.parse((await runPeat(['sync', store, '--json'])).stdout)).toMatchObject({ nothingToDo: 'no-bucket', tables: 0 });
    expect(await runPeat(['sync', store, '--all'])).toMatchObject({ code: 2 });
  });
});

describe('watch', () => {
  it('prints changes until it is interrupted, and goes on from a token', async () => {
    const store = await newStore();
    await runPeat(['put', store, 'k', '0']);
    const watching = (...args: string[]) => {
      const child = spawn(process.execPath, [PEAT_MAIN, 'watch', store, '--poll-ms', '20', ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
    };
    const { child, lines } = watching('--json');
    const first = lines.next();
    let seen = false;
    void first.then(() => {
      seen = true;
    });
    // Its beginning can't be observed from outside, so it is given changes until it has seen one.
    for (let n = 1; !seen; n++) await runPeat(['put', store, 'k', String(n)]);
    const event = JSON.parse((await first).value as string) as { token: string };
    expect(event).toMatchObject({ type: 'put', key: 'k' });
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([0, null]);
    await runPeat(['delete', store, 'k']);
    const again = watching('--from', event.token);
    let line: string | undefined;
    do line = (await again.lines.next()).value as string | undefined;
    while (line !== undefined && line !== 'delete k');
    expect(line).toBe('delete k');
    again.child.kill('SIGTERM');
    expect(await once(again.child, 'close')).toEqual([0, null]);
  });
});

describe('import and export', () => {
  const entries = Array.from({ length: 1200 }, (_, i) => ({ key: `k/${String(i).padStart(5, '0')}`, value: { i, text: 'é"\\' } }));
  const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

  it('brings JSON lines in and out again unchanged, from a file, gzip and stdin', async () => {
    const store = await newStore();
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'plain'), lines);
    writeFileSync(join(directory, 'packed'), gzipSync(lines));
    for (const [namespace, file] of [
      ['plain', 'plain'],
      ['packed', 'packed'],
      ['piped', '-'],
    ] as const) {
      const ran = await runPeat(['import', store, '-n', namespace, file === '-' ? file : join(directory, file)], { stdin: lines });
      expect(ran).toEqual({ code: 0, stdout: '', stderr: 'imported 1200 entries of 1200 read\n' });
      expect(await runPeat(['export', store, '-n', namespace])).toEqual({ code: 0, stdout: lines, stderr: 'exported 1200 entries\n' });
    }
  });

  it('keeps expiry times', async () => {
    const store = await newStore();
    const line = '{"key":"k","value":1,"expiresAt":4102444800000}\n';
    expect((await runPeat(['import', store], { stdin: line })).code).toBe(0);
    expect((await runPeat(['export', store])).stdout).toBe(line);
    expect((await runPeat(['export', store, '--format', 'json-index'])).code).toBe(1);
  });

  it('brings a JSON index in and out again', async () => {
    const store = await newStore();
    const index = { version: 1, entries: Object.fromEntries(entries.map(({ key, value }) => [key, value])) };
    const ran = await runPeat(['import', store, '--json'], { stdin: JSON.stringify(index, undefined, 2) });
    expect(ran).toEqual(ok('{"read":1200,"written":1200}\n'));
    const { stdout } = await runPeat(['export', store, '--format', 'json-index']);
    expect(JSON.parse(stdout)).toEqual(index);
    const empty = await runPeat(['export', store, '--format', 'json-index', '--prefix', 'none']);
    expect(JSON.parse(empty.stdout)).toEqual({ version: 1, entries: {} });
  });

  it('brings a git history in', async () => {
    const store = await newStore();
    const history =
      '{"c":"c1","t":1,"w":0,"ops":[["put","a",1,"b1"],["put","b",2,"b2"]]}\n{"c":"c2","t":2,"w":0,"ops":[["del","a"]]}\n{"tree":{"entries":1,"sha256":"x"}}\n';
    expect((await runPeat(['import', store], { stdin: history })).stderr).toBe('imported 3 entries of 3 read\n');
    expect((await runPeat(['list', store, '--json'])).stdout).toBe('{"key":"b","value":{"size":2,"blob":"b2","commit":"c1","time":1}}\n');
  });

  it.each([
    ['a line that is no JSON', '{"key":', '3: '],
    ['a line without a value', '{"key":"k"}', '3: expected {"key":...,"value":...}'],
    ['a key that is too long', `{"key":"${'x'.repeat(1025)}","value":1}`, '3: a key may have 1024 bytes'],
    ['a value that can not be stored', '{"key":"k","value":{"__proto__":1}}', '3: a value'],
    ['an unknown property', '{"key":"k","value":1,"ttl":1}', '3: unknown property "ttl"'],
  ])('stops at %s, names it, and has imported what stands before', async (_what, bad, message) => {
    const store = await newStore();
    const ran = await runPeat(['import', store], { stdin: `{"key":"a","value":1}\n\n${bad}\n{"key":"z","value":1}\n` });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`stdin:${message}`);
    expect(ran.stderr).toContain('; 1 entries were imported before');
    expect((await runPeat(['list', store])).stdout).toBe('a\n');
  });

  it.each([
    ['a document cut short', '{"version":1,"entries":{"a":1,"b":{', 'ends in the middle'],
    ['another version', '{"version":2,"entries":{"a":1}}', '"version" must be 1, got 2'],
    ['no version', '{"entries":{"a":1}}', 'no "version"'],
    ['an array', '{"version":1,"entries":[1]}', 'must be an object'],
    ['two documents', '{"version":1,"entries":{}} {}', 'Unexpected'],
  ])('refuses an index with %s', async (_what, stdin, message) => {
    const store = await newStore();
    expect(await runPeat(['import', store], { stdin })).toMatchObject({ code: 1, stderr: expect.stringContaining(message) as string });
  });

  it('keeps what was acknowledged when it is interrupted while it waits for more', async () => {
    const store = await newStore();
    const child = spawn(process.execPath, [PEAT_MAIN, 'import', store], { stdio: ['pipe', 'inherit', 'pipe'] });
    child.stdin.on('error', () => undefined);
    child.stdin.write(lines);
    // Two batches of 500 are on their way; the rest waits for more.
    while ((await runPeat(['list', store])).stdout.split('\n').length <= 1000);
    child.kill('SIGINT');
    const [[code], stderr] = await Promise.all([once(child, 'close') as Promise<[number]>, text(child.stderr)]);
    expect({ code, stderr }).toEqual({ code: 130, stderr: 'interrupted; 1200 entries were imported\n' });
    expect((await runPeat(['export', store])).stdout).toBe(lines);
  });

  it('refuses what it does not recognise, and a gzip that ends early', async () => {
    const store = await newStore();
    expect(await runPeat(['import', store], { stdin: 'a,b,c\n' })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--format') as string,
    });
    const torn = gzipSync(lines).subarray(0, -20);
    expect((await runPeat(['import', store], { stdin: torn })).code).toBe(1);
    expect((await runPeat(['import', store, join(temporaryDirectory(), 'none')])).code).toBe(1);
  });
});
