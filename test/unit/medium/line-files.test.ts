import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readLineFiles } from '../../../src/medium/line-files.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const LONG = 2 ** 20;

function write(files: Record<string, string>): string {
  const directory = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) appendFileSync(join(directory, name), text);
  return directory;
}

async function read(directory: string, stop = new AbortController(), onLine: (text: string) => void = () => {}): Promise<string[]> {
  const told: string[] = [];
  await readLineFiles(directory, {
    line: (text) => {
      told.push(text);
      onLine(text);
    },
    overlong: () => told.push('(overlong)'),
    notAFile: (path) => told.push(`(${path})`),
    signal: stop.signal,
  });
  return told;
}

describe('files of lines', () => {
  it('are read whole, wherever the pieces of a line fall, with and without a last line end', async () => {
    const lines = Array.from({ length: 3000 }, (_, i) => `${i} ${'ü€😀'.repeat(i % 40)}`);
    const directory = write({ 'a.jsonl': lines.join('\n'), 'b.jsonl': 'one\n\ntwo\n', 'c.txt': 'not read', 'd.jsonl': '' });
    expect(await read(directory)).toEqual([...lines, 'one', '', 'two']);
  });

  it('may have lines of 1 MiB, and longer ones are told and not kept', async () => {
    const directory = write({ 'a.jsonl': `${'x'.repeat(LONG)}\n${'y'.repeat(LONG + 1)}\nz\n${'w'.repeat(3 * LONG)}` });
    expect((await read(directory)).map((line) => (line.length > 100 ? line.length : line))).toEqual([
      LONG,
      '(overlong)',
      'z',
      '(overlong)',
    ]);
  });

  it('are read no further when the signal says so', async () => {
    const directory = write({ 'a.jsonl': 'first\n', 'b.jsonl': 'second\n' });
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = read(directory, stop, (text) => {
      seen.push(text);
      stop.abort(new Error('enough'));
    });
    await expect(reading).rejects.toThrow('enough');
    expect(seen).toEqual(['first']);
  });
});
