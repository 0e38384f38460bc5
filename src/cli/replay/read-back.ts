/** Reads a store in a fresh process and compares it with what must be there. */
import { readLines } from '../formats/lines.ts';
import { type HistoryValue, type Oracle, OracleHash } from '../history/history.ts';
import { startPeat } from './peat-process.ts';

export interface ReadBack {
  readonly found: Oracle;
  readonly durationMs: number;
  /** A few paths that differ from what was replayed, in words. */
  readonly differences: readonly string[];
}

const DIFFERENCES_MAX = 10;

/** `expected`: size and blob of each path, as they were replayed; it only serves to name what differs. */
export async function readBack(store: { location: string; namespace: string }, expected: ReadonlyMap<string, string>): Promise<ReadBack> {
  const startedAtMs = performance.now();
  const process = startPeat(['list', store.location, '-n', store.namespace, '--json']);
  const hash = new OracleHash();
  const seen = new Set<string>();
  const differences: string[] = [];
  for await (const { text } of readLines(process.stdout as AsyncIterable<Buffer>, 'peat list')) {
    const { key, value } = JSON.parse(text) as { key: string; value: HistoryValue };
    hash.add(key, value);
    seen.add(key);
    const there = describe(value);
    const wanted = expected.get(key);
    if (there !== wanted) differences.push(`${key}: ${wanted === undefined ? 'should not be there' : `should be ${wanted}`}, is ${there}`);
  }
  const how = await process.ended;
  if (how !== 0) throw new Error(`reading the store back failed: peat list ended with ${how}`);
  for (const [path, wanted] of expected) if (!seen.has(path)) differences.push(`${path}: should be ${wanted}, is missing`);
  return { found: hash.digest(), durationMs: performance.now() - startedAtMs, differences: differences.slice(0, DIFFERENCES_MAX) };
}

export function describe({ size, blob }: Pick<HistoryValue, 'size' | 'blob'>): string {
  return `${size} ${blob}`;
}
