/** How much this process has written so far. */
import { readFileSync } from 'node:fs';
import type { CompactionSummary } from '../../../src/index.ts';

export interface BytesWritten {
  /** In calls that write. */
  readonly asked: number;
  /** In pages that had to go to the disk. */
  readonly stored: number;
}

/** As Linux counts it; elsewhere not a number. */
export function bytesWritten(): BytesWritten {
  if (process.platform !== 'linux') return { asked: Number.NaN, stored: Number.NaN };
  const text = readFileSync('/proc/self/io', 'utf8');
  const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]);
  return { asked: of('wchar'), stored: of('write_bytes') };
}

/** What Peat tells of its compactions; 0 for what others give. */
export function compactedBytes(settled: unknown): { readonly tables: number; readonly roots: number } {
  const summaries = Array.isArray(settled) ? settled.filter(isSummary) : [];
  return {
    tables: summaries.reduce((sum, { tableBytesOut }) => sum + tableBytesOut, 0),
    roots: summaries.reduce((sum, { rootBytes }) => sum + rootBytes, 0),
  };
}

type Summary = Pick<CompactionSummary, 'tableBytesOut' | 'rootBytes'>;

function isSummary(one: unknown): one is Summary {
  return typeof one === 'object' && one !== null && 'tableBytesOut' in one && 'rootBytes' in one;
}
