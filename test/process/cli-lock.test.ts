/** `peat lock`, as processes: what it prints, what it changes, and how it ends. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { nodeSystem } from '../../src/base/system.ts';
import { type LockKind, lockPrefix } from '../../src/format/layout.ts';
import { open, type Store } from '../../src/index.ts';
import { LOCK_SITES } from '../../src/lock/lock-sites.ts';
import { nodeProcessFacts } from '../../src/lock/process-facts.ts';
import { type LockHandle, TicketLock } from '../../src/lock/ticket-lock.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { PEAT_MAIN, runPeat } from '../support/run-peat.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const WORKER = fileURLToPath(new URL('./cli-lock.worker.mjs', import.meta.url));
const LIBRARY = pathToFileURL(join(dirname(PEAT_MAIN), 'peatlog.js')).href;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** A process of its own; the test that is running ends it. */
function start(args: readonly string[], environment: Record<string, string> = {}): Running {
  const { PEAT_LOCK_TRACE: _trace, PEAT_LOCKS: _locks, ...clean } = process.env;
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...clean, ...environment } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exit = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = Promise.all([exit, text(child.stdout), text(child.stderr)]).then(([[code, signal], stdout, stderr]) => ({
    code,
    signal,
    stdout,
    stderr,
  }));
  return { child, ended };
}

function startPeat(args: readonly string[], environment?: Record<string, string>): Running {
  return start([PEAT_MAIN, ...args], environment);
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await isSo()); i++) {
    if (i > 2000) throw new Error(`it never came: ${what}`);
    await delay(10);
  }
}

/** A store with this process as one of its users. */
async function newStore(): Promise<{ location: string; store: Store }> {
  const location = join(temporaryDirectory(), 'store');
  const store = await open(location);
  onTestFinished(() => store.close());
  return { location, store };
}

/** A lock that the engine takes by itself. */
async function engineLock(location: string, kind: LockKind, name: string): Promise<LockHandle> {
  const medium = FileMedium.open(location);
  const lock = new TicketLock({ medium, system: nodeSystem, facts: nodeProcessFacts(), prefix: lockPrefix(kind, name), name });
  const site = kind === 'stripe' ? LOCK_SITES.stripeUpdate : LOCK_SITES.compactOnce;
  const handle = await lock.acquire({ site, leaseMs: 10_000, purpose: `a ${kind}` });
  onTestFinished(async () => {
    await handle.release();
    await medium.close();
  });
  return handle;
}

interface ListedTicket {
  readonly token: number;
  readonly pid: number;
  readonly mode: string;
  readonly purpose: string;
}

interface ListedLock {
  readonly kind: string;
  readonly name: string;
  readonly holders: ListedTicket[];
  readonly waiters: ListedTicket[];
}

async function list(location: string): Promise<ListedLock[]> {
  const { code, stdout, stderr } = await runPeat(['lock', 'list', location, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ListedLock);
}

async function waiters(store: Store, name: string): Promise<number> {
  const lock = (await store.listLocks()).find((one) => one.name === name);
  return (lock?.tickets.length ?? 0) - 1;
}

function lockFiles(location: string): string[] {
  const directory = join(location, 'lock');
  return existsSync(directory) ? (readdirSync(directory, { recursive: true }) as string[]).sort() : [];
}

describe('peat lock', () => {
  it.each([
    [['lock', 'steal'], '"steal"'],
    [['lock', 'list'], 'location'],
    [['lock', 'list', 'x', 'y'], '"y"'],
    [['lock', 'release', 'x'], 'name'],
    [['lock', 'release', 'x', 'y', '--kind', 'odd'], '"odd"'],
    [['lock', 'release', 'x', 'y', '--token', 'first'], '"first"'],
    [['lock', 'run', 'x', 'y'], 'command'],
    [['lock', 'run', 'x', '--', 'true'], 'name'],
    [['lock', 'run', 'x', 'y', 'z', '--', 'true'], '"z"'],
    [['lock', 'run', 'x', 'y', '--structural', '--', 'true'], '"y"'],
    [['lock', 'run', 'x', '--structural', '--shared', '--', 'true'], '--shared'],
    [['lock', 'run', 'x', 'y', '--wait', '60', '--', 'true'], '"60"'],
    [['lock', 'run', 'x', 'y', '--lease', 'long', '--', 'true'], '"long"'],
    [['lock', 'audit', 'x'], '"x"'],
    [['lock', 'audit', '--long-ms=-1'], '"-1"'],
  ])('%j exits with 2 and names what is wrong', async (args, message) => {
    const { code, stdout, stderr } = await runPeat(args, { cwd: temporaryDirectory() });
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});

describe('peat lock list', () => {
  it('says so where no lock is held, and writes nothing', async () => {
    const { location } = await newStore();
    expect(await runPeat(['lock', 'list', location])).toEqual({ code: 0, stdout: 'no lock is held\n', stderr: '' });
    expect(await runPeat(['lock', 'list', location, '--json'])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(lockFiles(location)).toEqual([]);
  });

  it('shows locks of every kind, their holders, and their waiters in order', async () => {
    const { location, store } = await newStore();
    const held = await store.lock('nightly', { purpose: 'the report' });
    const shared = [await store.lock('shared', { mode: 'shared' }), await store.lock('shared', { mode: 'shared' })];
    await engineLock(location, 'stripe', 'runs/17');
    await engineLock(location, 'compactor', 'runs');
    const pids: (number | undefined)[] = [];
    for (const [i, program] of ['first', 'second'].entries()) {
      pids.push(startPeat(['lock', 'run', location, 'nightly', '--', program]).child.pid);
      await until(`waiter ${i}`, async () => (await waiters(store, 'nightly')) === i + 1);
    }
    void store.exclusive({ purpose: 'a new layout' }).catch(() => undefined);
    await until('the structural waiter', async () => (await store.listLocks()).some(({ kind }) => kind === 'structural'));

    const locks = await list(location);
    expect(locks.map(({ kind, name }) => [kind, name]).sort()).toEqual([
      ['compactor', 'runs'],
      ['stripe', 'runs/17'],
      ['structural', 'store'],
      ['user', 'nightly'],
      ['user', 'shared'],
    ]);
    const find = (name: string): ListedLock | undefined => locks.find((lock) => lock.name === name);
    const own = { host: hostname(), pid: process.pid, state: 'alive' };
    expect(find('nightly')).toMatchObject({
      holders: [{ ...own, token: held.token, mode: 'exclusive', leaseMs: 15_000, purpose: 'the report' }],
      waiters: [
        { pid: pids[0], token: held.token + 1, purpose: 'peat lock run: first' },
        { pid: pids[1], token: held.token + 2, purpose: 'peat lock run: second' },
      ],
    });
    expect(find('shared')).toMatchObject({ holders: shared.map(({ token }) => ({ ...own, token, mode: 'shared' })), waiters: [] });
    expect(find('shared')?.holders[0]?.purpose).toMatch(/cli-lock\.test\.ts:\d+$/);
    expect(find('runs/17')).toMatchObject({ holders: [{ ...own, purpose: 'a stripe' }] });
    expect(find('runs')).toMatchObject({ holders: [{ ...own, purpose: 'a compactor' }] });
    expect(find('store')).toMatchObject({ holders: [{ ...own, purpose: 'a new layout' }] });

    const { stdout } = await runPeat(['lock', 'list', location]);
    const nightly = stdout.slice(stdout.indexOf('user nightly')).split('\n').slice(0, 4);
    expect(nightly[1]).toMatch(
      new RegExp(`^  holds  token ${held.token}, exclusive: pid ${process.pid} on ${hostname()}, alive, for .*: the report$`),
    );
    expect(nightly[2]).toMatch(new RegExp(`^  waits  token ${held.token + 1}, exclusive: pid ${pids[0]} on .*: peat lock run: first$`));
    expect(nightly[3]).toMatch(/^ {2}waits .*second$/);
  });

  it('shows a holder that was killed as dead', async () => {
    const { location } = await newStore();
    const worker = start([WORKER, JSON.stringify({ library: LIBRARY, store: location, role: 'hold' })]);
    await until('the holder', async () => (await list(location)).length > 0);
    worker.child.kill('SIGKILL');
    await worker.ended;
    expect(await list(location)).toMatchObject([{ name: 'held', holders: [{ pid: worker.child.pid, state: 'dead' }] }]);
  });
});

describe('peat lock release', () => {
  it('without a token changes nothing, and says who holds it and what to repeat', async () => {
    const { location, store } = await newStore();
    const held = await store.lock('nightly', { purpose: 'the report' });
    const before = lockFiles(location);
    const { code, stdout, stderr } = await runPeat(['lock', 'release', location, 'nightly']);
    expect(code).toBe(1);
    expect(stdout).toContain(`token ${held.token}, exclusive: pid ${process.pid} on ${hostname()}`);
    expect(stderr).toContain(`peat lock release --token ${held.token} ${location} nightly`);
    expect(lockFiles(location).filter((name) => !name.includes('.beat-'))).toEqual(before.filter((name) => !name.includes('.beat-')));
    expect(held.signal.aborted).toBe(false);
  });

  it('with its token ends exactly that ticket, and says whose it was and who is next', async () => {
    const { location, store } = await newStore();
    const held = await store.lock('nightly', { purpose: 'the report', leaseMs: 3000 });
    const next = startPeat(['lock', 'run', location, 'nightly', '--', process.execPath, '-e', '']);
    await until('the waiter', async () => (await waiters(store, 'nightly')) === 1);
    const { code, stdout, stderr } = await runPeat(['lock', 'release', location, 'nightly', '--token', String(held.token)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`ended ticket ${held.token} of user lock "nightly"`);
    expect(stdout).toContain(`was    token ${held.token}, exclusive: pid ${process.pid}`);
    expect(stdout).toContain(`holds  token ${held.token + 1}, exclusive: pid ${next.child.pid}`);
    expect(await next.ended).toMatchObject({ code: 0, signal: null });
    await until('the news', () => held.signal.aborted);
    expect(held.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
  });

  it('with a token that is not live fails and changes nothing', async () => {
    const { location, store } = await newStore();
    await (await store.lock('nightly')).release();
    const held = await store.lock('nightly');
    for (const token of [held.token - 1, held.token + 1]) {
      const { code, stdout, stderr } = await runPeat(['lock', 'release', location, 'nightly', '--token', String(token)]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(`no live ticket ${token}; nothing was changed`);
    }
    expect((await list(location))[0]?.holders).toMatchObject([{ token: held.token }]);
    expect(held.signal.aborted).toBe(false);
  });

  it('takes other kinds by --kind, and the structural lock without a name', async () => {
    const { location, store } = await newStore();
    const stripe = await engineLock(location, 'stripe', 'runs/17');
    const named = await store.lock('runs/17');
    expect(await runPeat(['lock', 'release', location, 'runs/17', '--kind', 'stripe', '--token', String(stripe.token)])).toMatchObject({
      code: 0,
    });
    expect((await list(location)).map(({ kind }) => kind)).toEqual(['user']);
    await named.release();

    const all = await store.exclusive();
    const shown = await runPeat(['lock', 'release', location, '--kind', 'structural', '--json']);
    expect(shown.code).toBe(1);
    expect(JSON.parse(shown.stdout)).toMatchObject({ kind: 'structural', broken: false, tickets: [{ token: all.token }] });
    const ended = await runPeat(['lock', 'release', location, '--kind', 'structural', '--token', String(all.token), '--json']);
    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({ broken: true, token: all.token, was: { pid: process.pid }, left: [] });
    expect(await list(location)).toEqual([]);
  });

  it('says that nobody holds a lock', async () => {
    const { location } = await newStore();
    expect(await runPeat(['lock', 'release', location, 'nightly'])).toMatchObject({
      code: 1,
      stderr: 'peat: nobody holds user lock "nightly"\n',
    });
  });
});

/** A program that is run under a lock. */
function script(code: string): string[] {
  return ['--', process.execPath, '-e', code];
}

describe('peat lock run', () => {
  it('hands standard streams through, and the exit code back', async () => {
    const { location } = await newStore();
    const code = `process.stdin.on('data', (data) => process.stdout.write('got ' + data)).on('end', () => { console.error('bad'); process.exit(7); })`;
    const ran = await runPeat(['lock', 'run', location, 'nightly', ...script(code)], { stdin: 'input' });
    expect(ran).toEqual({ code: 7, stdout: 'got input', stderr: 'bad\n' });
    expect(await list(location)).toEqual([]);
  });

  it('leaves options after "--" to the command', async () => {
    const { location } = await newStore();
    const ran = await runPeat([
      'lock',
      'run',
      location,
      'nightly',
      ...script('console.log(process.argv.slice(1).join())'),
      '--',
      '--json',
      '-h',
    ]);
    expect(ran).toEqual({ code: 0, stdout: '--json,-h\n', stderr: '' });
  });

  it('holds the locks while the command runs', async () => {
    const { location, store } = await newStore();
    const ran = startPeat(['lock', 'run', location, 'b', '--name', 'a', '--shared', ...script('setTimeout(() => {}, 3600000)')]);
    await until('both', async () => (await store.listLocks()).length === 2);
    const locks = await list(location);
    expect(locks.map(({ name, holders }) => [name, holders[0]?.pid, holders[0]?.mode])).toEqual([
      ['a', ran.child.pid, 'shared'],
      ['b', ran.child.pid, 'shared'],
    ]);
    await (await store.lock('a', { mode: 'shared', maxWaitMs: 5000 })).release();
    await expect(store.lock('b', { maxWaitMs: 50 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
  });

  it('keeps everyone out with --structural', async () => {
    const { location, store } = await newStore();
    const ready = join(temporaryDirectory(), 'ready');
    startPeat([
      'lock',
      'run',
      location,
      '--structural',
      ...script(`fs.writeFileSync(${JSON.stringify(ready)}, ''); setTimeout(() => {}, 3600000)`),
    ]);
    await until('the command', () => existsSync(ready));
    expect(await list(location)).toMatchObject([{ kind: 'structural', holders: [{ purpose: 'peat lock run: node' }] }]);
    await expect(store.lock('any', { maxWaitMs: 50 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
  });

  it('exits with 75 and names the holder where the lock is not free in time', async () => {
    const { location, store } = await newStore();
    await store.lock('nightly', { purpose: 'the report' });
    const ran = await runPeat(['lock', 'run', location, 'nightly', '--wait', '50ms', ...script('console.log(1)')]);
    expect(ran).toMatchObject({ code: 75, stdout: '' });
    expect(ran.stderr).toContain(`held by pid ${process.pid} on ${hostname()}`);
    expect(ran.stderr).toContain('the report');
    expect((await list(location))[0]?.waiters).toEqual([]);
  });

  it('exits with 127 and 126 where the command is not there or not executable, and releases', async () => {
    const { location } = await newStore();
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    expect(await runPeat(['lock', 'run', location, 'nightly', '--', 'no-such-program'])).toEqual({
      code: 127,
      stdout: '',
      stderr: 'peat: no-such-program: command not found\n',
    });
    // Not executable, a part of its path is no folder, a folder, no name at all.
    for (const command of [[file], [`${file}/below`], [dirname(file)], ['']]) {
      const { code, stdout, stderr } = await runPeat(['lock', 'run', location, 'nightly', '--', ...command]);
      expect({ code, stdout }).toEqual({ code: 126, stdout: '' });
      expect(stderr.startsWith(`peat: ${command[0] === '' ? '""' : command[0]}: `)).toBe(true);
    }
    expect(await list(location)).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL', 'SIGUSR2'] as const)('dies of %s as its command did, and releases', async (signal) => {
    const { location } = await newStore();
    const { ended } = startPeat(['lock', 'run', location, 'nightly', '--', 'sh', '-c', `kill -${signal.slice(3)} $$`]);
    expect(await ended).toEqual({ code: null, signal, stdout: '', stderr: '' });
    expect(await list(location)).toEqual([]);
  });

  it('exits as a shell would where it can not die of the signal', async () => {
    const { location } = await newStore();
    const { ended } = startPeat(['lock', 'run', location, 'nightly', '--', 'sh', '-c', 'kill -USR1 $$']);
    expect(await ended).toEqual({ code: 128 + constants.signals.SIGUSR1, signal: null, stdout: '', stderr: '' });
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('passes %s on, however often, and waits for the command', async (signal) => {
    const { location } = await newStore();
    const ready = join(temporaryDirectory(), 'ready');
    const code = `
      let count = 0;
      process.on('${signal}', () => { console.log('got it'); if (++count === 2) setTimeout(() => process.exit(3), 20); else fs.writeFileSync(ready, '1'); });
      const ready = ${JSON.stringify(ready)};
      fs.writeFileSync(ready, '0');
      setTimeout(() => {}, 3600000);`;
    const { child, ended } = startPeat(['lock', 'run', location, 'nightly', ...script(code)]);
    for (const count of ['0', '1']) {
      await until('the command', () => existsSync(ready) && readFileSync(ready, 'utf8') === count);
      child.kill(signal);
    }
    expect(await ended).toEqual({ code: 3, signal: null, stdout: 'got it\ngot it\n', stderr: '' });
    expect(await list(location)).toEqual([]);
  });

  it('gives up its place when a signal ends the wait', async () => {
    const { location, store } = await newStore();
    await store.lock('nightly');
    const { child, ended } = startPeat(['lock', 'run', location, 'nightly', ...script('')]);
    await until('the waiter', async () => (await waiters(store, 'nightly')) === 1);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 143, signal: null });
    expect(await waiters(store, 'nightly')).toBe(0);
  });

  it('tells the command to end when the lock is lost, and exits with 75', async () => {
    const { location, store } = await newStore();
    const code = `process.on('SIGTERM', () => { console.log('told'); process.exit(0); }); console.log('runs'); setTimeout(() => {}, 3600000)`;
    const { child, ended } = startPeat(['lock', 'run', location, 'nightly', '--lease', '1s', ...script(code)]);
    await once(child.stdout as NodeJS.ReadableStream, 'readable');
    const [lock] = await store.listLocks();
    await store.breakLock('nightly', { token: lock?.tickets[0]?.number as number });
    const { stderr, ...rest } = await ended;
    expect(rest).toEqual({ code: 75, signal: null, stdout: 'runs\ntold\n' });
    expect(stderr).toContain('lost');
  });

  it('kills a command that stays when the lock is lost', async () => {
    const { location, store } = await newStore();
    const code = `process.on('SIGTERM', () => console.log('told')); console.log('runs'); setTimeout(() => {}, 3600000)`;
    const { child, ended } = startPeat(['lock', 'run', location, 'nightly', '--lease', '1s', ...script(code)]);
    await once(child.stdout as NodeJS.ReadableStream, 'readable');
    const [lock] = await store.listLocks();
    await store.breakLock('nightly', { token: lock?.tickets[0]?.number as number });
    expect(await ended).toMatchObject({ code: 75, signal: null, stdout: 'runs\ntold\n' });
  });

  it('hands the lock to its command: a run of the same name inside goes on, with the same token', async () => {
    const { location, store } = await newStore();
    const inner = [PEAT_MAIN, 'lock', 'run', location, 'nightly', '--wait', '5s', ...script('console.log(process.env.PEAT_LOCKS)')];
    const ran = await runPeat(['lock', 'run', location, 'nightly', '--', process.execPath, ...inner]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(new RegExp(`^${store.file.storeId}:lock/user/nightly/:1:`));
    expect(await list(location)).toEqual([]);
  });

  it('hands on locks of another store: to a run inside a run inside a run', async () => {
    const [outer, inner] = [(await newStore()).location, (await newStore()).location];
    const runs = (location: string, name: string): string[] => [
      process.execPath,
      PEAT_MAIN,
      'lock',
      'run',
      location,
      name,
      '--wait',
      '0',
      '--',
    ];
    const { ended } = startPeat([...runs(outer, 'x').slice(2), ...runs(inner, 'y'), ...runs(outer, 'x'), 'echo', 'both']);
    expect(await ended).toEqual({ code: 0, signal: null, stdout: 'both\n', stderr: '' });
  });

  it.each([
    ['--wait', '1000h'],
    ['--lease', '600h'],
    ['--lease', 'forever'],
    ['--wait', `${'9'.repeat(400)}h`],
  ])('refuses %s %s', async (option, value) => {
    const { location } = await newStore();
    const { code, stderr } = await runPeat(['lock', 'run', location, 'nightly', option, value, '--', 'true']);
    expect([code, stderr.includes(value)]).toEqual([2, true]);
  });

  it('hands a lock to its command, and no other', async () => {
    const { location, store } = await newStore();
    await store.lock('other');
    const inner = [PEAT_MAIN, 'lock', 'run', location, 'other', '--wait', '50ms', ...script('')];
    expect(await runPeat(['lock', 'run', location, 'nightly', '--', process.execPath, ...inner])).toMatchObject({ code: 75 });
  });

  it('serves one after the other', async () => {
    const { location } = await newStore();
    const file = join(temporaryDirectory(), 'counter');
    writeFileSync(file, '0');
    const code = `const n = Number(fs.readFileSync(${JSON.stringify(file)}, 'utf8')); setTimeout(() => fs.writeFileSync(${JSON.stringify(file)}, String(n + 1)), 20)`;
    const all = Array.from(
      { length: 6 },
      () => startPeat(['lock', 'run', location, 'counter', '--wait', 'forever', ...script(code)]).ended,
    );
    for (const { code: exit, stderr } of await Promise.all(all)) expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(readFileSync(file, 'utf8')).toBe('6');
  });
});

interface Audited {
  readonly sites: {
    readonly site: { readonly id: string };
    readonly count: number;
    readonly outcomes: Record<string, number>;
    readonly smells: Record<string, number>;
    readonly callSites: { readonly callSite: string; readonly count: number; readonly smells: Record<string, number> }[];
  }[];
  readonly trace?: { readonly lines: number; readonly skipped: number; readonly notFiles: number };
}

async function auditJson(...args: string[]): Promise<Audited> {
  const { code, stdout, stderr } = await runPeat(['lock', 'audit', '--json', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Audited;
}

async function runWorker(facts: { store: string; role: string; rounds?: number }, trace: string): Promise<void> {
  const { ended } = start([WORKER, JSON.stringify({ library: LIBRARY, ...facts })], { PEAT_LOCK_TRACE: trace });
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
}

describe('peat lock audit', () => {
  it('prints the table without a trace, and how to make one', async () => {
    const { code, stdout, stderr } = await runPeat(['lock', 'audit']);
    expect(code).toBe(0);
    for (const { id, guards } of Object.values(LOCK_SITES)) expect(stdout).toContain(`${id}: guards ${guards}`);
    expect(stderr).toContain('PEAT_LOCK_TRACE');
    expect((await runPeat(['lock', 'audit', '--markdown'])).stdout).toMatch(/^\| Site \| Kind /);
    expect((await auditJson()).sites.map(({ site }) => site.id)).toEqual(Object.values(LOCK_SITES).map(({ id }) => id));
  });

  it('tells what several processes did, and finds no smell where there is none', async () => {
    const { location } = await newStore();
    const trace = join(temporaryDirectory(), 'trace');
    await Promise.all([1, 2, 3].map(() => runWorker({ store: location, role: 'clean', rounds: 5 }, trace)));
    expect(readdirSync(trace)).toHaveLength(3);
    const { sites, trace: read } = await auditJson('--trace', trace);
    expect(read).toEqual({ directory: trace, lines: 15, skipped: 0, notFiles: 0 });
    const named = sites.find(({ site }) => site.id === LOCK_SITES.namedLock.id);
    expect(named).toMatchObject({ count: 15, outcomes: { released: 15 }, smells: {} });
    expect(named?.callSites).toMatchObject([
      { callSite: expect.stringMatching(/cli-lock\.worker\.mjs:\d+$/) as string, count: 15, smells: {} },
    ]);
    expect(sites.filter(({ count }) => count > 0)).toHaveLength(1);
  });

  it('finds a hold across a process and a timer, and not the one beside it', async () => {
    const { location } = await newStore();
    const trace = join(temporaryDirectory(), 'trace');
    await runWorker({ store: location, role: 'smelly' }, trace);
    const { sites } = await auditJson('--trace', trace);
    const named = sites.find(({ site }) => site.id === LOCK_SITES.namedLock.id);
    expect(named).toMatchObject({ count: 2, smells: { subprocess: 1, timer: 1 } });
    expect(named?.callSites.map(({ smells }) => smells)).toHaveLength(2);
    expect(named?.callSites.map(({ smells }) => smells)).toContainEqual({});
    const { stdout, stderr } = await runPeat(['lock', 'audit', '--trace', trace]);
    expect(stdout).toMatch(/named-lock .* subprocess 1, timer 1/);
    expect(stderr).toContain('2 attempts');
  });

  it('knows waits that came to nothing, and commands run under a lock', async () => {
    const { location, store } = await newStore();
    const trace = join(temporaryDirectory(), 'trace');
    const traced = { PEAT_LOCK_TRACE: trace };
    await store.lock('busy');
    expect(await startPeat(['lock', 'run', location, 'busy', '--wait', '50ms', '--', 'true'], traced).ended).toMatchObject({ code: 75 });
    expect(await startPeat(['lock', 'run', location, 'free', '--', 'true'], traced).ended).toMatchObject({ code: 0 });
    const named = (await auditJson('--trace', trace)).sites.find(({ site }) => site.id === LOCK_SITES.namedLock.id);
    expect(named).toMatchObject({ count: 2, outcomes: { LOCK_TIMEOUT: 1, released: 1 }, smells: { subprocess: 1 } });
  });

  it('tells of holds that the end of the process ended', async () => {
    const { location } = await newStore();
    const trace = join(temporaryDirectory(), 'trace');
    await runWorker({ store: location, role: 'exit' }, trace);
    const named = (await auditJson('--trace', trace)).sites.find(({ site }) => site.id === LOCK_SITES.namedLock.id);
    expect(named).toMatchObject({ count: 1, outcomes: { exit: 1 } });
  });

  it('tells of holds that a signal ended', async () => {
    const { location } = await newStore();
    const trace = join(temporaryDirectory(), 'trace');
    const worker = start([WORKER, JSON.stringify({ library: LIBRARY, store: location, role: 'hold' })], { PEAT_LOCK_TRACE: trace });
    await once(worker.child.stdout as NodeJS.ReadableStream, 'readable');
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    const { sites, trace: read } = await auditJson('--trace', trace);
    expect(read).toMatchObject({ lines: 1, skipped: 0 });
    expect(sites.find(({ site }) => site.id === LOCK_SITES.namedLock.id)).toMatchObject({ count: 1, outcomes: { released: 1 } });
  });

  it('counts and skips what is damaged or foreign', async () => {
    const { location } = await newStore();
    const trace = join(temporaryDirectory(), 'trace');
    await runWorker({ store: location, role: 'clean', rounds: 2 }, trace);
    const [name] = readdirSync(trace);
    const lines = readFileSync(join(trace, name as string), 'utf8');
    writeFileSync(join(trace, 'torn.jsonl'), lines.slice(0, -20));
    writeFileSync(join(trace, 'foreign.jsonl'), '{"level":"info"}\nhello\n\n');
    writeFileSync(join(trace, 'notes.txt'), 'not read');
    mkdirSync(join(trace, 'folder'));
    expect((await auditJson('--trace', trace)).trace).toMatchObject({ lines: 3, skipped: 3 });
    expect((await runPeat(['lock', 'audit', '--trace', trace])).stderr).toContain('3 lines were damaged');
  });

  it('skips and counts what is no file, and lines without end', async () => {
    const { location } = await newStore();
    const trace = join(temporaryDirectory(), 'trace');
    await runWorker({ store: location, role: 'clean', rounds: 2 }, trace);
    execFileSync('sh', ['-c', 'mkfifo "$0"', join(trace, 'a-pipe.jsonl')]);
    symlinkSync(join(trace, 'nowhere'), join(trace, 'b-link.jsonl'));
    symlinkSync('c-circle.jsonl', join(trace, 'c-circle.jsonl'));
    mkdirSync(join(trace, 'd-folder.jsonl'));
    writeFileSync(join(trace, 'e-long.jsonl'), `${'x'.repeat(2 ** 20 + 1)}\n`);
    expect((await auditJson('--trace', trace)).trace).toMatchObject({ lines: 2, skipped: 1, notFiles: 4 });
    expect((await runPeat(['lock', 'audit', '--trace', trace])).stderr).toContain('4 names were no files');
  });

  it('fails where there is no trace', async () => {
    const none = join(temporaryDirectory(), 'none');
    expect(await runPeat(['lock', 'audit', '--trace', none])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `peat: there is no trace at ${none}\n`,
    });
  });

  it('does no harm to the work when the trace can not be written', async () => {
    const { location } = await newStore();
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    const { ended } = startPeat(['lock', 'run', location, 'free', ...script('console.log(1)')], { PEAT_LOCK_TRACE: file });
    expect(await ended).toMatchObject({ code: 0, stdout: '1\n', stderr: expect.stringContaining('locks are no longer traced') as string });
  });
});
