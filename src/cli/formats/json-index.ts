/**
 * A JSON index in one document, `{"version":1,"entries":{key:value}}`, of any size: entries come as they are parsed, and are forgotten by
 * the parser. Other members of the document are passed over.
 */
import { JSONParser } from '@streamparser/json';
import type { ImportedEntry } from './json-lines.ts';

/** Small enough that what one piece holds, parsed, is little memory. */
const PIECE_BYTES = 64 * 1024;

/** @throws Error that says what is wrong, and near which byte */
export async function* readJsonIndex(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<ImportedEntry, void> {
  const found: ImportedEntry[] = [];
  let version: unknown;
  let bytes = 0;
  const parser = new JSONParser({ paths: ['$.version', '$.entries.*'], keepStack: false });
  parser.onValue = ({ value, key, stack }) => {
    if (stack.length === 1) version = value;
    else if (typeof key !== 'string') throw new Error('"entries" must be an object');
    else found.push({ where: `${name}, entry ${JSON.stringify(key)}`, operation: { type: 'put', key, value } });
    if (version !== undefined && version !== 1) throw new Error(`"version" must be 1, got ${JSON.stringify(version)}`);
  };
  const parse = (piece: Buffer): void => {
    bytes += piece.length;
    try {
      parser.write(piece);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message} (before byte ${bytes})`);
    }
  };
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      try {
        parse(chunk.subarray(at, at + PIECE_BYTES));
      } finally {
        // What stands before the error counts, too.
        yield* found.splice(0);
      }
    }
  }
  if (!parser.isEnded) throw new Error(`${name}: the document ends in the middle, after ${bytes} bytes`);
  if (version === undefined) throw new Error(`${name}: the document has no "version"`);
}
