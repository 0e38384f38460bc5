/** Eight processes race for the same 200 names. Each name has one winner, whose bytes are there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const RACERS = 8;
const NAMES = 200;
const script = fileURLToPath(new URL('../support/medium-racer.mjs', import.meta.url));

async function race(store: string, racer: number, options: { startMs: number; form: string }): Promise<string[]> {
  const args = [script, store, String(racer), String(NAMES), String(options.startMs), options.form];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number]>]);
  expect(code).toBe(0);
  return JSON.parse(output) as string[];
}

describe('putIfAbsent of many processes', () => {
  it.each(['blocking', 'async'])('has exactly one winner a name (%s)', async (form) => {
    const store = temporaryDirectory();
    const startMs = Date.now() + 1_500;
    const wins = await Promise.all(Array.from({ length: RACERS }, (_, racer) => race(store, racer, { startMs, form })));
    const medium = FileMedium.open(store);
    const listed = await medium.list('ns/race/root/');
    expect(listed).toHaveLength(NAMES);
    expect(wins.flat().sort()).toEqual(listed.map(({ name }) => name));
    for (const [racer, names] of wins.entries()) {
      for (const name of names) expect((await medium.get(name))?.toString()).toBe(`${name} by ${racer}`);
    }
    expect(readdirSync(`${store}/tmp`)).toEqual([]);
    await medium.close();
  });
});
