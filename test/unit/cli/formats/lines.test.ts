import { describe, expect, it } from 'vitest';
import { readLines } from '../../../../src/cli/formats/lines.ts';

async function read(bytes: Buffer, pieceBytes: number): Promise<[number, string][]> {
  const lines: [number, string][] = [];
  const pieces = async function* (): AsyncGenerator<Buffer, void> {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  };
  for await (const { text, number } of readLines(pieces(), 'file')) lines.push([number, text]);
  return lines;
}

describe('readLines', () => {
  it('counts empty lines, leaves them out, and takes a last line without an end', async () => {
    const bytes = Buffer.from('é\n\r\n\nb\r\nlast 😀');
    for (let pieceBytes = 1; pieceBytes <= bytes.length; pieceBytes++) {
      expect(await read(bytes, pieceBytes)).toEqual([
        [1, 'é'],
        [4, 'b'],
        [5, 'last 😀'],
      ]);
    }
  });

  it('names the line that is not UTF-8', async () => {
    await expect(read(Buffer.from([0x61, 0x0a, 0xff, 0x0a]), 2)).rejects.toThrow('file:2: not valid UTF-8');
  });
});
