/** `peat backup` and `peat restore` while real processes write and compact. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { judge, type Summary, type Told } from '../crash/history.mjs';
import { Child, CRASH_WORKER } from '../support/child.ts';
import { peat } from '../support/cli.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

async function read(store: string, options: object = {}): Promise<Summary> {
  const child = new Child(CRASH_WORKER, { role: 'check', store, ...options });
  expect((await child.exit).code, child.lines.join('\n')).toBe(0);
  return child.json('summary') as Summary;
}

describe('peat backup', () => {
  it.each(['appended', 'framed'])('has everything acknowledged before it began, in whole batches (%s)', async (segments) => {
    const store = temporaryDirectory();
    const place = temporaryDirectory();
    const names = ['a', 'b'];
    const open = { segments, segmentBytesMax: 50_000 };
    const writers = names.map(
      (name) => new Child(CRASH_WORKER, { role: 'write', store, open, writer: name, lane: name, sizeMax: 10, bytesMax: 1000, pauseMs: 4 }),
    );
    await Promise.all(writers.map((child) => child.line('ack')));
    const compactor = new Child(CRASH_WORKER, { role: 'compactor', store, gatherMs: 20, pollMs: 50 });
    for (let i = 0; i < 2; i++) {
      await delay(150);
      const told = writers.map((child, w): Told => ({ writer: names[w] as string, lane: names[w] as string, acked: child.numbers('ack') }));
      const copy = join(place, `copy-${i}`);
      const made = await peat('backup', store, copy);
      expect(made).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining(': in = out') as string });
      expect(judge(await read(copy, { open: { readOnly: true, frozen: true } }), told)).toEqual([]);
      const other = segments === 'appended' ? 'framed' : 'appended';
      const restored = join(place, `restored-${i}`);
      expect((await peat('restore', copy, restored, '--segments', other)).code).toBe(0);
      expect(await read(restored)).toEqual(await read(copy));
      const after: Told = { writer: 'after', lane: 'after', acked: [0] };
      expect(judge(await read(restored, { append: { writer: 'after', lane: 'after' }, compact: true }), [...told, after])).toEqual([]);
      expect((await peat('verify', restored)).code).toBe(0);
    }
    for (const child of [...writers, compactor]) child.kill('SIGTERM');
    await Promise.all([...writers, compactor].map((child) => child.exit));
  });

  it('refuses a directory that is not empty, and leaves no store when it is interrupted', async () => {
    const store = temporaryDirectory();
    await new Child(CRASH_WORKER, { role: 'write', store, writer: 'a', lane: 'a', end: 5 }).exit;
    expect(await peat('backup', store, store)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('is not empty') as string,
    });
    const place = temporaryDirectory();
    expect((await peat('backup', store, place, '-n', 'nothing')).code).toBe(1);
    expect(existsSync(join(place, 'peat.json'))).toBe(false);
    expect(readdirSync(place)).toEqual([]);
    expect((await peat('backup', store, place, '--segments', 'other')).code).toBe(2);
    expect(await peat('backup', store, join(store, 'copy'))).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/not lie within/) as unknown,
    });
    expect(existsSync(join(store, 'copy'))).toBe(false);
  });
});
