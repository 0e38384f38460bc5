/** The lock among real processes, on real files. Runs what `npx tsc -p .` built. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const WORKER = join(import.meta.dirname, 'ticket-lock.worker.mjs');

let store: string;
let counter: string;
const children = new Set<ChildProcess>();

beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'peat-ticket-lock-'));
  counter = join(store, 'counter');
  writeFileSync(counter, '0');
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  rmSync(store, { recursive: true, force: true });
});

function start(options: { rounds: number; hold?: boolean }): ChildProcess {
  const child = spawn(process.execPath, [WORKER, JSON.stringify({ store, counter, ...options })], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

describe('a lock among processes', () => {
  it('lets in one at a time: 8 processes count to 400 together', async () => {
    const codes = await Promise.all(Array.from({ length: 8 }, () => exitCode(start({ rounds: 50 }))));
    expect(codes).toEqual(Array(8).fill(0));
    expect(readFileSync(counter, 'utf8')).toBe('400');
    expect(readdirSync(join(store, 'lock/user/counter')).length).toBeLessThan(100);
  });

  it('goes on when its holder is killed', async () => {
    const holder = start({ rounds: 1, hold: true });
    await once(holder.stdout as NodeJS.ReadableStream, 'data');
    const others = Promise.all(Array.from({ length: 3 }, () => exitCode(start({ rounds: 2 }))));
    holder.kill('SIGKILL');
    expect(await others).toEqual([0, 0, 0]);
    expect(readFileSync(counter, 'utf8')).toBe('6');
  });
});
