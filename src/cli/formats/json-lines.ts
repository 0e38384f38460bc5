/** JSON lines: `{"key": text, "value": any JSON, "expiresAt": milliseconds since 1970 or ISO time, optional}`. */
import type { PutOperation } from '../../datastore/batch.ts';
import { readLines } from './lines.ts';

export interface ImportedEntry {
  /** File and line, for messages. */
  readonly where: string;
  readonly operation: PutOperation;
}

export async function* readJsonLines(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<ImportedEntry, void> {
  for await (const { text, number } of readLines(chunks, name)) {
    const where = `${name}:${number}`;
    yield { where, operation: parseEntry(text, where) };
  }
}

/** @throws Error that says where, and what is wrong */
export function parseEntry(text: string, where: string): PutOperation {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`);
  }
  const { key, value, expiresAt, ...others } = (json ?? {}) as Record<'key' | 'value' | 'expiresAt', unknown>;
  if (typeof key !== 'string' || value === undefined) throw new Error(`${where}: expected {"key":...,"value":...}, got ${excerpt(text)}`);
  const [other] = Object.keys(others);
  if (other !== undefined) throw new Error(`${where}: unknown property ${JSON.stringify(other)}`);
  if (expiresAt === undefined) return { type: 'put', key, value };
  const expiresAtMs = typeof expiresAt === 'string' ? Date.parse(expiresAt) : expiresAt;
  if (typeof expiresAtMs !== 'number' || !Number.isSafeInteger(expiresAtMs)) {
    throw new Error(`${where}: expiresAt must be a time, got ${JSON.stringify(expiresAt)}`);
  }
  return { type: 'put', key, value, expiresAt: expiresAtMs };
}

export function excerpt(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
