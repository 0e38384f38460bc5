import { spawn } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { toKey } from '../../../src/base/key.ts';
import { nodeSystem } from '../../../src/base/system.ts';
import { open as openLocation } from '../../../src/datastore/open.ts';
import type { Store } from '../../../src/datastore/store.ts';
import { lockPrefix } from '../../../src/format/layout.ts';
import { stripeOf } from '../../../src/format/record.ts';
import type { LockSite } from '../../../src/lock/lock-sites.ts';
import { type OpenLockTrace, openLockTracer } from '../../../src/lock/lock-trace.ts';
import type { TracedHold } from '../../../src/lock/lock-tracer.ts';
import { nodeProcessFacts } from '../../../src/lock/process-facts.ts';
import { liveTickets } from '../../../src/lock/queue-state.ts';
import { TicketLock } from '../../../src/lock/ticket-lock.ts';
import { parseTraceLine, type TraceRecord } from '../../../src/lock/trace-record.ts';
import { FileMedium } from '../../../src/medium/file-medium.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

const SITE: LockSite = { id: 'test-site', kind: 'user', mode: 'either', guards: 'a test', why: 'it is tested' };

let directory: string;
let system: VirtualSystem;
let trace: OpenLockTrace;
let warnings: string[];

beforeEach(() => {
  directory = join(temporaryDirectory(), 'trace');
  system = new VirtualSystem();
  warnings = [];
  trace = open();
});

function open(): OpenLockTrace {
  return openLockTracer({ directory, system, onWarning: (message) => warnings.push(message) });
}

function hold(name = 'a'): TracedHold {
  return trace.tracer.wait({ site: SITE, name, mode: 'exclusive', callSite: undefined }).acquired(1);
}

async function records(): Promise<TraceRecord[]> {
  await trace.tracer.flush();
  return readdirSync(directory).flatMap((file) =>
    readFileSync(join(directory, file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => parseTraceLine(line) as TraceRecord),
  );
}

async function smells(): Promise<unknown> {
  return Object.fromEntries((await records()).map((record) => [record.name, record.smells]));
}

describe('a lock trace', () => {
  it('tells of a wait and a hold when both are over', async () => {
    const wait = trace.tracer.wait({ site: SITE, name: 'nightly', mode: 'shared', callSite: '/app/job.ts:12' });
    const at = system.wallNowMs();
    await system.advance(30);
    const held = wait.acquired(7);
    await system.advance(500);
    held.released('released');
    expect(await records()).toEqual([
      {
        host: hostname(),
        pid: process.pid,
        at,
        site: 'test-site',
        name: 'nightly',
        mode: 'shared',
        callSite: '/app/job.ts:12',
        outcome: 'released',
        waitMs: 30,
        holdMs: 500,
        token: 7,
        smells: [],
      },
    ]);
  });

  it('tells of a wait that came to nothing', async () => {
    const wait = trace.tracer.wait({ site: SITE, name: 'a', mode: 'exclusive', callSite: undefined });
    await system.advance(60_000);
    wait.failed('LOCK_TIMEOUT');
    expect(await records()).toMatchObject([{ outcome: 'LOCK_TIMEOUT', waitMs: 60_000, holdMs: null, token: null, callSite: null }]);
  });

  it('counts a lock that was lost and then given back once, as lost', async () => {
    const held = hold();
    held.released('lost');
    held.released('released');
    expect((await records()).map(({ outcome }) => outcome)).toEqual(['lost']);
  });

  it('has one file a process, however often it is opened', async () => {
    hold('a').released('released');
    trace = open();
    hold('b').released('released');
    expect((await records()).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(readdirSync(directory)).toHaveLength(1);
  });

  it('gathers lines, and writes them when one comes a second later', async () => {
    hold('a').released('released');
    expect(() => readdirSync(directory)).toThrow('ENOENT');
    await system.advance(1000);
    hold('b').released('released');
    const [file] = readdirSync(directory);
    expect(readFileSync(join(directory, file as string), 'utf8').split('\n')).toHaveLength(3);
  });

  it('that can not be written warns once and does no harm', async () => {
    writeFileSync(directory, 'a file where the directory should be');
    for (const name of ['a', 'b']) {
      hold(name).released('released');
      await trace.tracer.flush();
    }
    expect(warnings).toEqual([expect.stringContaining('locks are no longer traced')]);
    expect(readFileSync(directory, 'utf8')).toContain('a file');
  });
});

async function runProcess(): Promise<void> {
  await once(spawn(process.execPath, ['--version'], { stdio: 'ignore' }), 'exit');
}

async function useNetwork(): Promise<void> {
  await lookup('localhost');
}

describe('the smells of a hold', () => {
  it.each([
    ['subprocess', runProcess],
    ['timer', () => delay(1)],
    ['network', useNetwork],
  ] as const)('show a %s that was used meanwhile', async (smell, work) => {
    const held = hold();
    await work();
    held.released('released');
    expect(await smells()).toEqual({ a: [smell] });
  });

  it('leave out what was begun before and after', async () => {
    const before = delay(1);
    const held = hold();
    await before;
    held.released('released');
    await delay(1);
    await runProcess();
    expect(await smells()).toEqual({ a: [] });
  });

  it('leave out the pauses of the engine', async () => {
    const { tracer, system: marked } = openLockTracer({ directory, system: nodeSystem, onWarning: () => {} });
    const held = tracer.wait({ site: SITE, name: 'a', mode: 'exclusive', callSite: undefined }).acquired(1);
    await marked.sleep(1);
    await marked.sleep(1, { background: true });
    held.released('released');
    expect(await smells()).toEqual({ a: [] });
  });

  it('know a timer of the holder that follows a pause of the engine', async () => {
    const { system: marked } = openLockTracer({ directory, system: nodeSystem, onWarning: () => {} });
    const held = hold();
    await marked.sleep(1);
    await delay(1);
    held.released('released');
    expect(await smells()).toEqual({ a: ['timer'] });
  });

  it('leave out connections that come in', async () => {
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const script = `process.stdin.once('data', () => require('node:net').connect(${port}, '127.0.0.1').resume())`;
    const client = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'ignore', 'inherit'] });
    const held = hold();
    client.stdin.end('now');
    const [socket] = (await once(server, 'connection')) as [Socket];
    await once(socket.resume(), 'close');
    held.released('released');
    server.close();
    expect(await smells()).toEqual({ a: [] });
  });

  it('belong to the hold whose work it is, where that is known, also what begins later', async () => {
    const busy = hold('busy');
    const idle = hold('idle');
    let whatComesLater: Promise<void> | undefined;
    await Promise.all([
      busy.run(async () => {
        await Promise.resolve();
        await delay(1);
        whatComesLater = Promise.resolve().then(runProcess);
      }),
      idle.run(async () => await Promise.resolve()),
    ]);
    await whatComesLater;
    for (const held of [busy, idle]) held.released('released');
    expect(await smells()).toEqual({ busy: ['timer', 'subprocess'], idle: [] });
  });

  it('leave out what others did before the work began', async () => {
    const held = hold();
    await delay(1);
    await held.run(runProcess);
    await delay(1);
    held.released('released');
    expect(await smells()).toEqual({ a: ['subprocess'] });
  });

  it('belong to all holds around the work', async () => {
    const [outer, inner] = [hold('outer'), hold('inner')];
    await outer.run(() => inner.run(() => delay(1)));
    for (const held of [outer, inner]) held.released('released');
    expect(await smells()).toEqual({ outer: ['timer'], inner: ['timer'] });
  });

  it('of a handle are those of the whole process', async () => {
    const [scoped, handle] = [hold('scoped'), hold('handle')];
    await scoped.run(() => delay(1));
    await runProcess();
    for (const held of [scoped, handle]) held.released('released');
    expect(await smells()).toEqual({ scoped: ['timer'], handle: ['timer', 'subprocess'] });
  });

  it('of an own lock of the engine are those of its work alone', async () => {
    const site: LockSite = { ...SITE, kind: 'stripe' };
    const held = trace.tracer.wait({ site, name: 'stripe', mode: 'exclusive', callSite: undefined }).acquired(1);
    await delay(1);
    await held.run(runProcess);
    held.released('released');
    expect(await smells()).toEqual({ stripe: ['subprocess'] });
  });

  it('run hands out what the work returns, and throws what it throws', () => {
    const held = hold();
    expect(held.run(() => 42)).toBe(42);
    expect(() =>
      held.run(() => {
        throw new Error('no');
      }),
    ).toThrow('no');
    held.released('released');
  });
});

describe('a store that is opened with lockTrace', () => {
  async function openStore(location: string): Promise<Store> {
    const store = await openLocation(location, { lockTrace: directory });
    onTestFinished(() => store.close());
    return store;
  }

  it('traces locks of callers with their places, and none of its own beats and pauses', async () => {
    const location = temporaryDirectory();
    const [one, other] = [await openStore(location), await openStore(location)];
    const held = await one.lock('a', { leaseMs: 1500 });
    const waiting = other.withLock('a', () => nodeSystem.monotonicNowMs());
    await expect(other.lock('a', { maxWaitMs: 600 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    await held.release();
    await waiting;
    await (await one.locks(['b', 'c'])).release();
    await (await one.exclusive()).release();
    await Promise.all([one.close(), other.close()]);
    const all = (await records()).map(({ site, name, outcome, smells: found }) => [site, name, outcome, found]);
    expect(all.sort()).toEqual([
      ['named-lock', 'a', 'LOCK_TIMEOUT', []],
      ['named-lock', 'a', 'released', []],
      ['named-lock', 'a', 'released', []],
      ['named-locks', 'b', 'released', []],
      ['named-locks', 'c', 'released', []],
      ['structural-lock', 'structural', 'released', []],
    ]);
    for (const { callSite } of await records()) expect(callSite).toMatch(/lock-trace\.test\.ts:\d+$/);
  });

  it('traces the locks that it takes by itself', async () => {
    const store = await openStore(temporaryDirectory());
    const namespace = store.namespace('runs');
    await namespace.put('a', 1);
    await store.compact();
    await store.close();
    expect(await records()).toMatchObject([{ site: 'compact-once', outcome: 'released', callSite: null, smells: [] }]);
  });

  it('tells what the function of an update does that runs under a ticket, and nothing else', async () => {
    const location = temporaryDirectory();
    const store = await openStore(location);
    const namespace = store.namespace<number>('runs');
    await namespace.put('a', 1);
    const medium = FileMedium.open(location);
    const prefix = lockPrefix('stripe', `runs/${stripeOf(toKey('a'), store.file.constants.stripes)}`);
    const ahead = new TicketLock({ medium, system: nodeSystem, facts: nodeProcessFacts(), prefix });
    for (const work of [() => 2, () => delay(1, 3)]) {
      const held = await ahead.acquire({ site: SITE, leaseMs: 10_000 });
      const update = namespace.update('a', work);
      while (liveTickets(await ahead.queue.state()).length < 2) await nodeSystem.turn();
      await runProcess();
      await held.release();
      await update;
    }
    await medium.close();
    await store.close();
    const found = (await records()).filter(({ site }) => site === 'stripe-update');
    expect(found.map(({ smells: of }) => of)).toEqual([[], ['timer']]);
  });

  it('is refused where the directory is none', async () => {
    for (const lockTrace of ['', 5]) {
      await expect(openLocation(temporaryDirectory(), { lockTrace: lockTrace as string })).rejects.toThrow(TypeError);
    }
  });
});

describe('a line of a trace', () => {
  it.each(['', '{', '{"host":"a"', '[]', 'null', '42', '{}', '{"time":"now","level":"info"}'])('%j is none', (line) => {
    expect(parseTraceLine(line)).toBeUndefined();
  });

  it('that was cut off anywhere is none', async () => {
    hold().released('released');
    const whole = JSON.stringify((await records())[0]);
    expect(parseTraceLine(whole)).toBeDefined();
    for (let length = 0; length < whole.length; length++) expect(parseTraceLine(whole.slice(0, length))).toBeUndefined();
  });

  it.each([
    ['pid', '1'],
    ['site', 1],
    ['callSite', 1],
    ['waitMs', null],
    ['holdMs', '1'],
    ['token', '1'],
    ['smells', ['fire']],
    ['smells', 'timer'],
  ])('with %s = %j is none', async (field, value) => {
    hold().released('released');
    const [record] = await records();
    expect(parseTraceLine(JSON.stringify({ ...record, [field]: value }))).toBeUndefined();
  });
});
