/**
 * The real program under the real kernel: each call that makes something durable, visible or gone fails once, takes its time, or is the last
 * that the process makes. What it acknowledged is there; what it said had failed is not; the store is whole, and the next command goes on
 * as if nothing had been, with nobody's help.
 *
 * That bytes are lost which were never synced can't be seen so, since the kernel lives on: `power-cut.test.ts` and the simulation play
 * that. `PEAT_CRASH_FULL=1` tries more errors at each call.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { nodeSystem } from '../../src/base/system.ts';
import { open } from '../../src/index.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { claimOf, expectPut, RaisedCounter } from '../support/command-claims.ts';
import { PEAT_MAIN, runPeat } from '../support/run-peat.ts';
import { callsIn, HAS_STRACE, runTraced, type Traced } from '../support/strace.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const CALLS = ['link', 'fdatasync', 'fsync', 'unlink', 'pwrite64', 'write', 'openat'] as const;
const IS_FULL = process.env['PEAT_CRASH_FULL'] === '1';
const ERRORS = IS_FULL ? ['EIO', 'ENOSPC', 'EDQUOT', 'EACCES', 'ESTALE', 'EINTR', 'EMFILE'] : ['EIO'];

/** A kill at the opening of a file, which changes nothing or makes a temporary one, is as one between the calls that do. */
function effectsAt(call: string): string[] {
  const errors = ERRORS.map((error) => `error=${error}`);
  return call === 'openat' && !IS_FULL ? errors : ['signal=KILL', ...errors];
}

interface Case {
  readonly name: string;
  /** The command for the n-th run. */
  readonly args: (directory: string, n: number) => string[];
  /** What each run has to leave behind, besides a whole store. */
  readonly judge: (directory: string, told: { n: number; ran: Traced; inject: string }) => Promise<void>;
}

async function valueAt(directory: string, key: string): Promise<unknown> {
  await using store = await open(directory, { readOnly: true });
  return await store.namespace('runs').get(key);
}

async function newStore(): Promise<string> {
  const directory = `${temporaryDirectory()}/store`;
  expect(await runPeat(['init', directory])).toMatchObject({ code: 0 });
  expect(await runPeat(['put', directory, 'first', '1'])).toMatchObject({ code: 0 });
  return directory;
}

let counter = new RaisedCounter();

async function judgeCompaction(directory: string, { n, inject }: { n: number; inject: string }): Promise<void> {
  // Something for the next one to take in.
  await using store = await open(directory, { autoCompact: false });
  const runs = store.namespace('runs');
  expect(await runs.get('fixed'), inject).toBe('stays');
  expect(await runs.get('rewritten'), inject).toBe(n === 0 ? 'first' : n - 1);
  await runs.batch([
    { type: 'put', key: 'rewritten', value: n },
    { type: 'delete', key: `k${n}` },
  ]);
}

const CASES: readonly Case[] = [
  {
    name: 'put',
    args: (directory, n) => ['put', directory, '-n', 'runs', `k${n}`, String(n)],
    judge: async (directory, { n, ran, inject }) => {
      expectPut(await valueAt(directory, `k${n}`), { ran, put: n, where: inject });
    },
  },
  {
    name: 'update',
    args: (directory) => ['update', directory, '-n', 'runs', 'counter', '--add', '1'],
    judge: async (directory, { ran, inject }) => {
      counter.raise(claimOf(ran));
      counter.expect(Number((await valueAt(directory, 'counter')) ?? 0), `${inject}: ${ran.stderr}`);
    },
  },
  { name: 'compact', args: (directory) => ['compact', directory], judge: judgeCompaction },
  { name: 'compactor', args: (directory) => ['compactor', directory, '--once'], judge: judgeCompaction },
];

describe.skipIf(!HAS_STRACE)(`the program under strace${HAS_STRACE ? '' : ' (skipped: strace is missing here, or may not trace)'}`, () => {
  it.each(CASES)('$name ends well, or fails and says so, at every call that fails or is its last', async ({ args, judge }) => {
    const directory = `${temporaryDirectory()}/store`;
    {
      await using store = await open(directory);
      await store.namespace('runs').batch([
        { type: 'put', key: 'fixed', value: 'stays' },
        { type: 'put', key: 'rewritten', value: 'first' },
      ]);
    }
    counter = new RaisedCounter();
    const { ran, numbers } = await callsIn(directory, { args: args(directory, 0), calls: CALLS });
    expect(ran.code, ran.stderr).toBe(0);
    await judge(directory, { n: 0, ran, inject: 'nothing' });
    let n = 1;
    let hits = 0;
    for (const call of CALLS) {
      for (const when of numbers.get(call) ?? []) {
        for (const effect of effectsAt(call)) {
          const inject = `${call}:${effect}:when=${when}`;
          const traced = await runTraced(args(directory, n), inject);
          if (effect === 'signal=KILL' ? traced.signal === 'SIGKILL' : traced.code !== 0) hits++;
          expect([0, 1, 75, null], `${inject}: ${traced.stderr}`).toContain(traced.code);
          const told = `${traced.stderr}${traced.stdout}`;
          // The call that failed may be the one that was to say so.
          const isMute = call === 'write' && told === '';
          if (traced.code !== 0 && traced.signal === null && !isMute) expect(told, inject).toMatch(/^peat: .+| failed .+: .+/m);
          expect(traced.stderr, inject).not.toMatch(/\n\s+at /);
          await judge(directory, { n, ran: traced, inject });
          const report = await verifyStore({
            medium: FileMedium.open(directory, { system: nodeSystem, readOnly: true }),
            system: nodeSystem,
          });
          expect(report.clean, inject).toBe(true);
          n++;
        }
      }
    }
    console.log(
      `${n - 1} runs, ${hits} of them killed or failed: ${[...numbers].map(([call, { length }]) => `${call} ${length}`).join(', ')}`,
    );
    expect(hits).toBeGreaterThan(4);
    // Nobody's help is needed, and no dead process's lock is in the way.
    for (const last of CASES) expect(await runPeat(last.args(directory, n))).toMatchObject({ code: 0 });
  });

  it('updates that are slow at each of their steps lose nothing to others that are not', async () => {
    const directory = await newStore();
    const add = ['update', directory, 'counter', '--add', '1'];
    expect(await runPeat(add)).toMatchObject({ code: 0 });
    let done = 1;
    for (const call of ['link', 'fsync', 'unlink']) {
      const slow = runTraced(add, `${call}:delay_enter=200000:delay_exit=200000`);
      for (let i = 0; i < 3; i++) {
        expect(await runPeat(add)).toMatchObject({ code: 0 });
        done++;
      }
      expect(await slow).toMatchObject({ code: 0 });
      done++;
    }
    expect(JSON.parse((await runPeat(['get', directory, 'counter'])).stdout)).toBe(done);
    expect(await runPeat(['compact', directory])).toMatchObject({ code: 0 });
  });

  it('a put that is slow at its steps, while others write and compact, comes to a good end', async () => {
    const directory = await newStore();
    const slow = runTraced(['put', directory, 'slow', '2'], 'fsync:delay_enter=400000');
    for (let i = 0; i < 3; i++) {
      expect(await runPeat(['put', directory, `other${i}`, '3'])).toMatchObject({ code: 0 });
      expect(await runPeat(['compact', directory])).toMatchObject({ code: 0 });
    }
    expect(await slow).toMatchObject({ code: 0 });
    expect(JSON.parse((await runPeat(['get', directory, 'slow'])).stdout)).toBe(2);
    expect(await runPeat(['verify', directory])).toMatchObject({ code: 0 });
  });
});

describe('the program with too few descriptors', () => {
  it('writes, or says that it could not, and leaves no lock behind', async () => {
    const directory = await newStore();
    let failed = 0;
    let least = 0;
    let most = 0;
    for (let limit = 18; limit < 30; limit++) {
      const command = `ulimit -n ${limit}; exec "$0" "$1" update "$2" counter --add 1`;
      const ran = spawnSync('sh', ['-c', command, process.execPath, PEAT_MAIN, directory], { encoding: 'utf8' });
      most++;
      if (ran.status === 0) least++;
      else failed++;
    }
    expect(failed).toBeGreaterThan(0);
    expect(least).toBeGreaterThan(0);
    const { stdout, code } = await runPeat(['update', directory, 'counter', '--add', '1']);
    expect(code).toBe(0);
    expect(Number(stdout)).toBeGreaterThan(least);
    expect(Number(stdout)).toBeLessThanOrEqual(most + 1);
    expect(await runPeat(['verify', directory])).toMatchObject({ code: 0 });
  });
});

const MOUNT_TRIED = temporaryMount();
MOUNT_TRIED?.end();

/** A file system of a few MiB in memory; undefined where this user may not mount. */
function temporaryMount(): { readonly directory: string; end(): void } | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'peat-test-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]).status === 0;
  const end = (): void => {
    spawnSync('umount', [directory]);
    rmSync(directory, { recursive: true, force: true });
  };
  if (isMounted) return { directory, end };
  rmSync(directory, { recursive: true, force: true });
  return undefined;
}

const isMountable = MOUNT_TRIED !== undefined;

describe.skipIf(!isMountable)(`a small file system${isMountable ? '' : ' (skipped: this user may not mount one)'}`, () => {
  it('that fills up makes writes fail with a clear word, and loses nothing; with room again all goes on', async () => {
    const mount = temporaryMount();
    if (mount === undefined) expect.unreachable('it could be mounted before');
    onTestFinished(() => mount?.end());
    const directory = join(mount.directory, 'store');
    expect(await runPeat(['init', directory])).toMatchObject({ code: 0 });
    const filler = join(mount.directory, 'filler');
    writeFileSync(filler, Buffer.alloc(2_600_000));
    const acknowledged: string[] = [];
    let failed = 0;
    for (let i = 0; i < 30 && failed < 3; i++) {
      const { code, stderr } = await runPeat(['put', directory, `k${i}`, '-'], { stdin: JSON.stringify('x'.repeat(100_000)) });
      if (code === 0) acknowledged.push(`k${i}`);
      else {
        failed++;
        expect(stderr).toMatch(/ENOSPC/);
      }
    }
    expect(failed).toBe(3);
    expect(acknowledged.length).toBeGreaterThan(2);
    expect((await runPeat(['update', directory, 'counter', '--add', '1'])).code).toBe(1);
    expect((await runPeat(['compact', directory])).code).toBe(1);
    rmSync(filler);
    expect(await runPeat(['compact', directory])).toMatchObject({ code: 0 });
    expect(await runPeat(['update', directory, 'counter', '--add', '1'])).toMatchObject({ code: 0 });
    expect(await runPeat(['verify', directory])).toMatchObject({ code: 0 });
    const { stdout } = await runPeat(['list', directory, '--json']);
    for (const key of acknowledged) expect(stdout).toContain(`"${key}"`);
  });
});
