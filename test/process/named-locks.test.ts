/** Named locks among real processes, on real files: order, deaths, signals, children. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nodeSystem, open, type Store } from '../../src/index.ts';
import { Child, type Exit, testSeed } from '../support/child.ts';
import { peat } from '../support/cli.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const WORKER = fileURLToPath(new URL('./named-locks.worker.mjs', import.meta.url));
const CLEAN: Exit = { code: 0, signal: null };

async function newStore(): Promise<{ path: string; store: Store }> {
  const path = temporaryDirectory();
  return { path, store: await open(path) };
}

/** Until the lock of this name has so many tickets that are not over. */
async function queued(store: Store, name: string, count: number): Promise<void> {
  for (;;) {
    const lock = (await store.listLocks()).find((one) => one.name === name);
    if ((lock?.tickets.length ?? 0) >= count) return;
    await nodeSystem.sleep(5);
  }
}

/** A process that has its lock. */
async function holder(options: Record<string, unknown>): Promise<Child> {
  const child = new Child(WORKER, { role: 'hold', ...options });
  expect(await child.line('token')).toBeDefined();
  return child;
}

describe('processes that wait for one named lock', () => {
  it('are served in the order of their tickets, 16 of them', async () => {
    const { path, store } = await newStore();
    const log = join(path, 'order');
    const first = await store.lock('busy');
    const options = { role: 'visit', store: path, name: 'busy', rounds: 5, holdMs: 20, log };
    const children = Array.from({ length: 16 }, () => new Child(WORKER, options));
    await queued(store, 'busy', 17);
    const begunAtMs = performance.now();
    await first.release();
    expect(await Promise.all(children.map(({ exit }) => exit))).toEqual(children.map(() => CLEAN));
    const perHoldMs = (performance.now() - begunAtMs) / 80;
    const tokens = readFileSync(log, 'utf8').trim().split('\n').map(Number);
    expect(tokens).toHaveLength(80);
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    // The first round waited for this test, too.
    const waits = children.flatMap((child) => child.numbers('waited').slice(1));
    const longestMs = Math.max(...waits);
    console.log(`longest wait ${longestMs} ms; fair share 16 holds of ${perHoldMs.toFixed(1)} ms = ${Math.round(16 * perHoldMs)} ms`);
    await store.close();
  });

  it('go on, in order, when the holder and two of them are killed', async () => {
    const { path, store } = await newStore();
    const log = join(path, 'order');
    const dying = await holder({ store: path, names: ['busy'] });
    const waiting: Child[] = [];
    for (let i = 0; i < 6; i++) {
      waiting.push(new Child(WORKER, { role: 'visit', store: path, name: 'busy', rounds: 1, holdMs: 10, log }));
      await queued(store, 'busy', i + 2);
    }
    const victims = [waiting[0], waiting[3]] as Child[];
    for (const child of [dying, ...victims]) child.kill('SIGKILL');
    const killedAtMs = performance.now();
    for (const child of waiting) expect(await child.exit).toEqual(victims.includes(child) ? { code: null, signal: 'SIGKILL' } : CLEAN);
    console.log(`four visits ended ${Math.round(performance.now() - killedAtMs)} ms after the kills`);
    expect(readFileSync(log, 'utf8').trim().split('\n')).toEqual(['3', '4', '6', '7']);
    expect(await store.listLocks()).toEqual([]);
    await store.close();
  });

  it('overlap in shared mode, and not in exclusive mode', async () => {
    const { path, store } = await newStore();
    const readers = [
      await holder({ store: path, names: ['index'], mode: 'shared' }),
      await holder({ store: path, names: ['index'], mode: 'shared' }),
    ];
    await expect(store.lock('index', { maxWaitMs: 100 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    for (const reader of readers) reader.kill('SIGTERM');
    await Promise.all(readers.map(({ exit }) => exit));
    const writer = await holder({ store: path, names: ['index'] });
    await expect(store.lock('index', { mode: 'shared', maxWaitMs: 100 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    writer.kill();
    await (await store.lock('index', { mode: 'shared' })).release();
    await store.close();
  });
});

describe('named and structural locks', () => {
  it('never overlap and never deadlock: 6 processes, 1,020 acquisitions, of single names, several, and the structural one, in both modes', async () => {
    const { path, store } = await newStore();
    const witness = join(path, 'witness');
    mkdirSync(witness);
    const seed = testSeed();
    const children = Array.from(
      { length: 6 },
      (_, i) => new Child(WORKER, { role: 'random', store: path, witness, rounds: 170, seed: seed + i, names: ['a', 'b', 'c', 'd'] }),
    );
    const exits = await Promise.all(children.map(({ exit }) => exit));
    expect(children.flatMap(({ lines }) => lines.filter((line) => line.startsWith('overlap')))).toEqual([]);
    expect(exits).toEqual(children.map(() => CLEAN));
    expect(children.flatMap((child) => child.numbers('done'))).toEqual(children.map(() => 170));
    for (const name of ['a', 'b', 'c', 'd', 'structural']) {
      const counted = children.flatMap(({ lines }) => lines.filter((line) => line === `counted ${name}`)).length;
      expect(counted).toBeGreaterThan(20);
      expect([name, Number(readFileSync(join(witness, `${name}.count`), 'utf8'))]).toEqual([name, counted]);
    }
    expect(readdirSync(witness).filter((name) => !name.endsWith('.count'))).toEqual([]);
    expect(await store.listLocks()).toEqual([]);
    await store.close();
  });

  it('go on when the holder of the structural lock is killed', async () => {
    const { path, store } = await newStore();
    const structural = await holder({ store: path, names: [] });
    const waiting = [store.lock('a'), store.locks(['b', 'c'], { mode: 'shared' })];
    await expect(store.lock('d', { maxWaitMs: 100 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', lock: 'structural' });
    structural.kill();
    for (const lock of await Promise.all(waiting)) await lock.release();
    await store.close();
  });
});

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('a process that holds locks and gets %s', (signal) => {
  it('gives them back, and ends as that signal ends a process', async () => {
    const { path, store } = await newStore();
    const child = await holder({ store: path, names: ['a', 'b'] });
    child.kill(signal);
    expect(await child.exit).toEqual({ code: null, signal });
    for (const name of ['a', 'b']) {
      const folder = join(path, 'lock', 'user', name);
      const marker = readdirSync(folder).find((file) => file.endsWith('.done')) as string;
      expect(readFileSync(join(folder, marker), 'utf8')).toContain('"reason":"released"');
    }
    expect(await store.listLocks()).toEqual([]);
    await store.close();
  });

  it('and listens for it itself is in charge', async () => {
    const { path, store } = await newStore();
    const child = await holder({ store: path, names: ['a'], listen: signal });
    child.kill(signal);
    expect(await child.exit).toEqual({ code: 3, signal: null });
    expect(child.lines).toContain(`own ${signal} false`);
    expect(await store.listLocks()).toEqual([]);
    await store.close();
  });
});

describe('a process that heeds the loss of its lock, and gets a signal', () => {
  it.each(['throws', 'catches', 'ends', 'waits'])('ends as that signal ends a process, even if it %s', async (how) => {
    const { path, store } = await newStore();
    const busy = await store.lock('busy');
    const child = new Child(WORKER, { role: 'heed', store: path, names: [how === 'waits' ? 'busy' : 'free'], how });
    await child.line('works');
    if (how === 'waits') await queued(store, 'busy', 2);
    child.kill('SIGTERM');
    expect(await child.exit).toEqual({ code: null, signal: 'SIGTERM' });
    await busy.release();
    expect(await store.listLocks()).toEqual([]);
    await store.close();
  });
});

describe('a process that waits for a lock and is ended by a signal', () => {
  it('leaves no place in the queue behind', async () => {
    const { path, store } = await newStore();
    const lock = await store.lock('a');
    const child = new Child(WORKER, { role: 'hold', store: path, names: ['a'] });
    await queued(store, 'a', 2);
    child.kill('SIGTERM');
    expect(await child.exit).toEqual({ code: null, signal: 'SIGTERM' });
    expect((await store.listLocks())[0]?.tickets).toMatchObject([{ number: lock.token }]);
    await lock.release();
    await store.close();
  });
});

describe('a process that holds a lock', () => {
  it('is not kept alive by it', async () => {
    const { path, store } = await newStore();
    const child = new Child(WORKER, { role: 'forget', store: path, names: ['a'] });
    expect(await child.exit).toEqual(CLEAN);
    expect(child.lines).toEqual(['end']);
    await (await store.lock('a')).release();
    await store.close();
  });

  it('is found by the line of its program, in the built package, too', async () => {
    const { path, store } = await newStore();
    const child = await holder({ store: path, names: ['a'] });
    const lines = readFileSync(WORKER, 'utf8').split('\n');
    const line = 1 + lines.findIndex((text) => text.includes('await store.locks(names, { mode, leaseMs, maxWaitMs })'));
    await expect(store.lock('a', { maxWaitMs: 0 })).rejects.toThrow(`(${WORKER}:${line})`);
    child.kill();
    await store.close();
  });

  it('hands it to a child, which goes on with it, and learns when it is lost', async () => {
    const { path, store } = await newStore();
    const parent = new Child(WORKER, { role: 'parent', store: path, names: ['a', 'b'] });
    expect(await parent.line('token')).toBe('token 1 1');
    expect((await store.listLocks()).map(({ tickets }) => tickets.length)).toEqual([1, 1]);
    await store.breakLock('b', { token: 1 });
    expect(await parent.line('lost')).toBe('lost LOCK_LOST');
    process.kill(parent.numbers('child')[0] as number, 'SIGTERM');
    expect(await parent.exit).toEqual(CLEAN);
    expect(await store.listLocks()).toEqual([]);
    await store.close();
  });

  it('hands it to a child, which learns that its parent was killed', async () => {
    const { path, store } = await newStore();
    const parent = new Child(WORKER, { role: 'parent', store: path, names: ['a'] });
    expect(await parent.line('token')).toBe('token 1');
    parent.kill();
    // The child has the same output.
    expect(await parent.line('lost')).toBe('lost LOCK_LOST');
    process.kill(parent.numbers('child')[0] as number, 'SIGKILL');
    await parent.exit;
    await (await store.lock('a')).release();
    await store.close();
  });
});

describe('a directory for locks', () => {
  it('is where all processes lock that open the store', async () => {
    const path = temporaryDirectory();
    const lockDir = temporaryDirectory();
    const store = await open(path, { singleHost: true, lockDir });
    writeFileSync(join(lockDir, 'something else'), '');
    const child = await holder({ store: path, names: ['a'] });
    await expect(store.lock('a', { maxWaitMs: 50 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    expect(readdirSync(path)).not.toContain('lock');
    child.kill();
    await (await store.lock('a')).release();
    await store.close();
  });

  it('is chosen by peat init', async () => {
    const [path, lockDir] = [join(temporaryDirectory(), 'store'), temporaryDirectory()];
    expect(await peat('init', path, '--lock-dir', lockDir)).toMatchObject({ code: 2, stderr: expect.stringContaining('--single-host') });
    expect(await peat('init', path, '--single-host', '--lock-dir', join(lockDir, 'no'))).toMatchObject({ code: 1 });
    const made = await peat('init', path, '--single-host', '--lock-dir', lockDir, '--json');
    expect(made.code).toBe(0);
    expect(JSON.parse(made.stdout)).toMatchObject({ singleHost: true, lockDir });
  });
});
