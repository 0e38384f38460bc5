import { describe, expect, it } from 'vitest';
import { GitDiffParser, type RawCommit } from '../../../../src/cli/history/git-diff-parser.ts';

const C1 = '1'.repeat(40);
const C2 = '2'.repeat(64);
const OLD = 'a'.repeat(40);
const NEW = 'b'.repeat(40);
const ZERO = '0'.repeat(40);

const OUTPUT = Buffer.concat([
  Buffer.from(`${C1}\0:000000 100644 ${ZERO} ${NEW} A\0line\nbreak :100644\0`),
  Buffer.from(`:100644 000000 ${OLD} ${ZERO} D\0`),
  Buffer.from([0xff, 0xfe, 0]),
  Buffer.from(`${C2}\0:100644 160000 ${OLD} ${NEW} T\0${C1}\0`),
]);

function parse(pieces: readonly Buffer[]): RawCommit[] {
  const parser = new GitDiffParser();
  return [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()];
}

const EXPECTED: RawCommit[] = [
  {
    commit: C1,
    changes: [
      { path: Buffer.from('line\nbreak :100644'), blob: NEW, isSubmodule: false },
      { path: Buffer.from([0xff, 0xfe]), blob: undefined, isSubmodule: false },
    ],
  },
  { commit: C2, changes: [{ path: Buffer.from(C1), blob: NEW, isSubmodule: true }] },
];

describe('GitDiffParser', () => {
  it('reads puts, deletes and submodules, whatever bytes a path has', () => {
    expect(parse([OUTPUT])).toEqual(EXPECTED);
  });

  it('reads the same wherever the bytes are cut', () => {
    for (let at = 0; at <= OUTPUT.length; at++) expect(parse([OUTPUT.subarray(0, at), OUTPUT.subarray(at)])).toEqual(EXPECTED);
    expect(parse([...OUTPUT].map((byte) => Buffer.from([byte])))).toEqual(EXPECTED);
  });

  it('gives a commit as soon as the next one begins', () => {
    const parser = new GitDiffParser();
    expect(parser.push(OUTPUT.subarray(0, OUTPUT.indexOf(C2)))).toEqual([]);
    expect(parser.push(OUTPUT.subarray(OUTPUT.indexOf(C2)))).toEqual(EXPECTED.slice(0, 1));
  });

  it('refuses output that it does not know, or that ends early', () => {
    expect(() => parse([Buffer.from('nonsense\0')])).toThrow('nonsense');
    expect(() => parse([Buffer.from(`:000000 100644 ${ZERO} ${NEW} A\0path\0`)])).toThrow("can't read");
    expect(() => parse([OUTPUT.subarray(0, -1)])).toThrow('in the middle');
    expect(() => parse([Buffer.from(`${C1}\0:000000 100644 ${ZERO} ${NEW} A\0`)])).toThrow('in the middle');
  });
});
