import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJsonIndex } from '../../../../src/cli/formats/json-index.ts';

async function* inPieces(text: string, bytes: number): AsyncGenerator<Buffer, void> {
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes);
}

async function read(text: string, bytes = 7): Promise<[string, unknown][]> {
  const entries: [string, unknown][] = [];
  for await (const { operation } of readJsonIndex(inPieces(text, bytes), 'index.json')) entries.push([operation.key, operation.value]);
  return entries;
}

const seed = process.env['PEAT_SEED'] === undefined ? Date.now() % 1_000_000 : Number(process.env['PEAT_SEED']);

describe('readJsonIndex', () => {
  it(`gives the entries that JSON.parse gives, wherever the bytes are cut (PEAT_SEED=${seed})`, async () => {
    const documents = fc.tuple(
      fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(0, 2),
    );
    await fc.assert(
      fc.asyncProperty(documents, async ([entries, bytes, indent]) => {
        const text = JSON.stringify({ version: 1, entries, other: { entries: { not: 'these' } } }, undefined, indent);
        const parsed = JSON.parse(text) as { entries: Record<string, unknown> };
        expect(await read(text, bytes)).toEqual(Object.keys(parsed.entries).map((key) => [key, parsed.entries[key]]));
      }),
      { seed, numRuns: 100 },
    );
  });

  it('keeps a property named __proto__ as what it is, so that it can be refused', async () => {
    const [entry] = await read('{"version":1,"entries":{"k":{"__proto__":1}}}');
    expect(Object.keys(entry?.[1] as object)).toEqual(['__proto__']);
  });

  it('takes the version after the entries, and white space around', async () => {
    expect(await read(' {"entries": {"a": {}}, "version": 1}\n\n')).toEqual([['a', {}]]);
  });

  it('gives what stands before a mistake, then names it and where it is', async () => {
    const entries: string[] = [];
    const reading = async (): Promise<void> => {
      for await (const { operation } of readJsonIndex(inPieces('{"version":1,"entries":{"a":1,"b":nonsense}}', 1000), 'index.json')) {
        entries.push(operation.key);
      }
    };
    await expect(reading()).rejects.toThrow(/^index\.json: .*\(before byte \d+\)$/);
    expect(entries).toEqual(['a']);
  });

  it('refuses bytes that are not UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from('{"version":1,"entries":{"a":"'), Buffer.from([0xff]), Buffer.from('"}}')]);
    const reading = async (): Promise<void> => {
      for await (const _ of readJsonIndex(
        (async function* () {
          yield bytes;
        })(),
        'index.json',
      ));
    };
    await expect(reading()).rejects.toThrow();
  });
});
