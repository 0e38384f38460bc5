/** `peat replay`: small histories through real processes. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { PEAT_MAIN, runPeat } from '../support/run-peat.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

function git(directory: string, ...args: string[]): string {
  const settings = [
    '-c',
    'user.name=Test',
    '-c',
    'user.email=test@example.org',
    '-c',
    'init.defaultBranch=main',
    '-c',
    'commit.gpgsign=false',
  ];
  return execFileSync('git', ['-C', directory, ...settings, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function commit(directory: string, message: string): void {
  git(directory, 'add', '--all');
  git(directory, 'commit', '--quiet', '--message', message);
}

/** A history with a rename, a delete, a merge, a type change, a submodule, and names that git quotes. */
function newRepository(): string {
  const directory = temporaryDirectory();
  git(directory, 'init', '--quiet');
  mkdirSync(join(directory, 'dir'));
  writeFileSync(join(directory, 'a.txt'), 'a');
  writeFileSync(join(directory, 'dir', 'naïve "name"\t😀'), 'b');
  writeFileSync(join(directory, 'gone.txt'), 'gone');
  commit(directory, 'first');
  git(directory, 'checkout', '--quiet', '-b', 'side');
  writeFileSync(join(directory, 'side.txt'), 'side');
  commit(directory, 'side');
  git(directory, 'checkout', '--quiet', 'main');
  renameSync(join(directory, 'a.txt'), join(directory, 'dir', 'renamed.txt'));
  rmSync(join(directory, 'gone.txt'));
  commit(directory, 'rename and delete');
  git(directory, 'merge', '--quiet', '--no-edit', 'side');
  git(directory, 'commit', '--quiet', '--allow-empty', '--message', 'empty');
  mkdirSync(join(directory, 'gone.txt'));
  writeFileSync(join(directory, 'gone.txt', 'now a directory'), 'c');
  git(directory, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},module`);
  mkdirSync(join(directory, 'module'));
  commit(directory, 'last');
  return directory;
}

function lastLine(text: string): string | undefined {
  return text.trimEnd().split('\n').pop();
}

const SHORT = ['--writers', '3', '--gather-ms', '10'];

describe('peat replay of a git checkout', () => {
  it('ends with what git says is in HEAD', async () => {
    const repository = newRepository();
    const { code, stdout, stderr } = await runPeat(['replay', ...SHORT], { cwd: join(repository, 'dir') });
    expect(stderr).toContain('replaying');
    expect(lastLine(stdout)).toBe('OK: 5 entries match the oracle');
    expect(code).toBe(0);
    for (const word of ['deltas/s', 'commits/s', 'p50', 'p99', 'max', 'roots', 'restarts']) expect(stdout).toContain(word);
  });

  it('keeps the store that it was given, and refuses to mix into it', async () => {
    const repository = newRepository();
    const store = join(temporaryDirectory(), 'store');
    const first = await runPeat(['replay', repository, '--store', store, '--json', '--compactors', '0', ...SHORT]);
    expect(JSON.parse(first.stdout)).toMatchObject({
      ok: true,
      verdict: 'OK: 5 entries match the oracle',
      commits: 4,
      roots: { isComplete: true },
    });
    const { stdout } = await runPeat(['list', store, '-n', 'replay', '--json']);
    const sizes = Object.fromEntries(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { key: string; value: { size: unknown } })
        .map(({ key, value }) => [key, value.size]),
    );
    expect(sizes).toEqual({ 'dir/naïve "name"\t😀': 1, 'dir/renamed.txt': 1, 'gone.txt/now a directory': 1, module: '-', 'side.txt': 4 });
    expect(await runPeat(['replay', repository, '--store', store])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not empty') as string,
    });
  });

  it('replays a shallow clone, and says that it is one', async () => {
    const repository = newRepository();
    const clone = join(temporaryDirectory(), 'clone');
    git(repository, 'clone', '--quiet', '--depth', '1', `file://${repository}`, clone);
    const { stdout, stderr } = await runPeat(['replay', clone, ...SHORT]);
    expect(stderr).toContain('(a shallow clone)');
    expect(lastLine(stdout)).toBe('OK: 5 entries match the oracle');
  });

  it('leaves out paths that can not be keys, on both sides', async () => {
    const repository = newRepository();
    const long = ['x'.repeat(250), 'x'.repeat(250), 'x'.repeat(250), 'x'.repeat(250), 'x'.repeat(250)].join('/');
    const blob = git(repository, 'rev-parse', 'HEAD:side.txt').trim();
    execFileSync('git', ['-C', repository, 'update-index', '-z', '--index-info'], {
      input: Buffer.concat([Buffer.from(`100644 ${blob}\tnot utf-8 `), Buffer.from([0xff, 0]), Buffer.from(`100644 ${blob}\t${long}\0`)]),
    });
    git(repository, 'commit', '--quiet', '--message', 'odd names');
    const { stdout } = await runPeat(['replay', repository, ...SHORT]);
    expect(lastLine(stdout)).toBe("OK: 5 entries match the oracle (2 paths that can't be keys left out)");
  });

  it('says what is wrong with a directory without a history', async () => {
    const empty = temporaryDirectory();
    git(empty, 'init', '--quiet');
    expect(await runPeat(['replay', empty])).toMatchObject({ code: 1, stderr: expect.stringContaining('has no commits') as string });
    expect(await runPeat(['replay', temporaryDirectory()])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no git checkout') as string,
    });
    expect((await runPeat(['replay', join(empty, 'none')])).code).toBe(1);
  });
});

describe('peat replay of a file', () => {
  const COMMITS = 400;

  /** Paths are written and deleted over and over; what is left is known. */
  function history(): { lines: string[]; oracle: { entries: number; sha256: string } } {
    const left = new Map<string, string>();
    const lines = Array.from({ length: COMMITS }, (_, n) => {
      const paths = [`p/${n % 37}`, `q/${(n * 7) % 53}`, `r/${n}`];
      const ops = paths.map((path, i) => {
        if ((n + i) % 5 === 0) {
          left.delete(path);
          return ['del', path];
        }
        left.set(path, `${path} ${n} blob-${n}\n`);
        return ['put', path, n, `blob-${n}`];
      });
      return JSON.stringify({ c: `commit-${n}`, t: n, w: 0, ops });
    });
    const text = [...left.keys()]
      .sort()
      .map((path) => left.get(path))
      .join('');
    return { lines, oracle: { entries: left.size, sha256: createHash('sha256').update(text).digest('hex') } };
  }

  function historyFile(lines: readonly string[], oracle: unknown): string {
    const file = join(temporaryDirectory(), 'history.jsonl.gz');
    writeFileSync(file, gzipSync(`${[...lines, JSON.stringify({ tree: oracle })].join('\n')}\n`));
    return file;
  }

  it('matches the oracle while compactors and writers are killed', async () => {
    const { lines, oracle } = history();
    const kills = ['--compactors', '2', '--kill-compactor-every', '300', '--kill-writer-every', '900', '--pipeline', '4'];
    const { code, stdout, stderr } = await runPeat(['replay', historyFile(lines, oracle), '--gather-ms', '10', ...kills]);
    expect(lastLine(stdout), stderr).toBe(`OK: ${oracle.entries} entries match the oracle`);
    expect(code).toBe(0);
  });

  it('ends its processes and removes its store when it is interrupted, as a terminal does it', async () => {
    const { lines, oracle } = history();
    const TMPDIR = temporaryDirectory();
    const child = spawn(process.execPath, [PEAT_MAIN, 'replay', historyFile(lines, oracle), '--pipeline', '1'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR },
      detached: true,
    });
    await once(child.stderr, 'data');
    // The whole group gets it; the pipes close when the last process has gone.
    process.kill(-(child.pid as number), 'SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(readdirSync(TMPDIR)).toEqual([]);
  });

  it('fails on an oracle that says otherwise', async () => {
    const { lines, oracle } = history();
    const { code, stdout } = await runPeat(['replay', historyFile(lines, { ...oracle, sha256: '0'.repeat(64) }), ...SHORT]);
    expect(lastLine(stdout)).toContain('FAILED: ');
    expect(code).toBe(1);
  });

  it('names the line that is wrong, and ends what it started', async () => {
    const { lines, oracle } = history();
    const broken = [...lines.slice(0, 3), '{"c":"x","t":1,"ops":[["move","a"]]}', ...lines.slice(3)];
    const { code, stderr } = await runPeat(['replay', historyFile(broken, oracle), ...SHORT]);
    expect(stderr).toContain(':4: expected ["put",path,size,blob] or ["del",path], got ["move","a"]');
    expect(code).toBe(1);
    const without = join(temporaryDirectory(), 'history.jsonl');
    writeFileSync(without, `${lines.join('\n')}\n`);
    expect(await runPeat(['replay', without, ...SHORT])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has no oracle') as string,
    });
  });
});
