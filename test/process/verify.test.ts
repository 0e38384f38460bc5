/** `peat verify`, `inspect` and `repair` on real stores, with real processes at work in them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { open } from '../../src/index.ts';
import type { Finding } from '../../src/inspect/finding.ts';
import type { VerifyReport } from '../../src/inspect/verify.ts';
import { Child, CRASH_WORKER } from '../support/child.ts';
import { jsonLines, peat } from '../support/cli.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

interface Line {
  readonly finding?: Finding;
  readonly report?: VerifyReport;
}

const LOOKS = 8;

function writer(store: string, name: string, options: object = {}): Child {
  return new Child(CRASH_WORKER, { role: 'write', store, writer: name, lane: name, sizeMax: 10, bytesMax: 1000, pauseMs: 2, ...options });
}

/** Changes a byte in the middle of a file. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] as number) ^ 0x10;
  writeFileSync(path, bytes);
}

describe('peat verify', () => {
  it('finds no damage in a store that is written and compacted all the time', async () => {
    const store = temporaryDirectory();
    const writers = ['a', 'b'].map((name) => writer(store, name, { open: { segmentBytesMax: 50_000 } }));
    await Promise.all(writers.map((child) => child.line('ack')));
    const compactors = [20, 30].map((gatherMs) => new Child(CRASH_WORKER, { role: 'compactor', store, gatherMs, pollMs: 50 }));
    let roots = 0;
    for (let look = 0; look < LOOKS; look++) {
      const result = await peat('verify', store, '--json');
      const lines = jsonLines<Line>(result);
      expect(lines.filter(({ finding }) => finding?.severity === 'damage' || finding?.severity === 'warning')).toEqual([]);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      roots = lines.at(-1)?.report?.namespaces[0]?.root ?? 0;
    }
    expect(roots).toBeGreaterThan(1);
    for (const child of [...writers, ...compactors]) child.kill('SIGTERM');
    await Promise.all([...writers, ...compactors].map((child) => child.exit));
    expect((await peat('verify', store)).stdout).toContain('clean: 0 damaged, 0 warnings');
  });

  it('finds none while namespaces are created, filled, updated, compacted, dropped and created again', async () => {
    const directory = temporaryDirectory();
    const store = await open(directory, { autoCompact: false });
    await store.createNamespace('stays');
    const stop = new AbortController();
    const lives = { a: 0, b: 0 };
    const running = (['a', 'b'] as const).map(async (name) => {
      for (; !stop.signal.aborted; lives[name]++) {
        const life = lives[name];
        await store.createNamespace(name);
        const items = store.namespace<number>(name);
        await Promise.all(Array.from({ length: 20 }, (_, i) => items.put(`k${i}`, life)));
        await items.update('k1', (n = 0) => n + 1);
        if (life % 2 === 0) await store.compact({ namespace: name });
        expect(await items.getMany(['k0', 'k1'])).toEqual([life, life + 1]);
        await items.close();
        await store.namespace<number>('stays').put(`${name}${life % 100}`, life);
        expect(await store.dropNamespace(name)).toBe(true);
      }
    });
    try {
      for (let look = 0; look < LOOKS / 2 || Math.min(lives.a, lives.b) < 3; look++) {
        const result = await peat('verify', directory, '--json');
        const lines = jsonLines<Line>(result);
        expect(lines.filter(({ finding }) => finding?.severity === 'damage' || finding?.severity === 'warning')).toEqual([]);
        expect(result).toMatchObject({ code: 0, stderr: '' });
      }
    } finally {
      stop.abort();
    }
    await Promise.all(running);
    await store.close();
    expect((await peat('verify', directory)).stdout).toContain('clean: 0 damaged, 0 warnings');
  });

  it('names what is damaged, inspect shows it, and repair takes it out', async () => {
    const store = temporaryDirectory();
    await writer(store, 'a', { end: 200 }).exit;
    await new Child(CRASH_WORKER, { role: 'check', store, compact: true }).exit;
    await writer(store, 'b', { end: 20 }).exit;
    const shard = join(store, 'ns/crash/shard');
    const log = join(store, 'ns/crash/log');
    const table = join(shard, readdirSync(shard)[0] as string);
    const segment = join(log, readdirSync(log).at(-1) as string);
    damage(table);
    damage(segment);
    damage(join(store, 'peat.json'));

    const verified = await peat('verify', store);
    expect(verified.code).toBe(1);
    expect(verified.stdout).toMatch(/^damage: peat\.json at byte \d+: /m);
    expect(verified.stdout).toMatch(/^damage: ns\/crash\/shard\/.* at byte \d+: a block is damaged/m);
    expect(verified.stdout).toMatch(/^damage: ns\/crash\/log\/.* at byte \d+: a frame is damaged/m);
    expect((await peat('inspect', table)).stdout).toMatch(/^DAMAGE at \d+: a block is damaged/m);
    expect(await peat('inspect', segment)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^DAMAGE at \d+: a frame is damaged/m) as string,
    });
    expect((await peat('inspect', join(store, 'peat.json'), '--json')).code).toBe(1);

    const plan = await peat('repair', store);
    expect(plan).toMatchObject({ code: 1, stdout: expect.stringContaining('3 repairs to make; run it again with --yes') as string });
    expect((await peat('verify', store)).stdout).toBe(verified.stdout);
    const done = await peat('repair', store, '--yes');
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('3 repairs made: root 2 of crash') as string });
    expect(await peat('verify', store)).toMatchObject({ code: 0, stdout: expect.stringContaining('clean: 0 damaged') as string });
    expect(await peat('repair', store)).toMatchObject({ code: 0, stdout: 'nothing to repair\n' });
    const check = new Child(CRASH_WORKER, { role: 'check', store, append: { writer: 'c', lane: 'c' }, compact: true });
    expect((await check.exit).code).toBe(0);
  });

  it('says what is wrong with its arguments, and where there is no store', async () => {
    expect((await peat('verify')).code).toBe(2);
    expect(await peat('verify', join(temporaryDirectory(), 'nowhere'))).toMatchObject({ code: 1, stdout: '' });
    expect(await peat('verify', temporaryDirectory())).toMatchObject({ code: 1, stdout: '' });
    expect((await peat('inspect', temporaryDirectory())).code).toBe(1);
  });
});
