/** How much this process has written so far. */
import { readFileSync } from 'node:fs';

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

/** What Peat tells of its compaction; 0 for what others give. */
export function tableBytesOf(settled: unknown): number {
  return Array.isArray(settled) ? settled.filter(isSummary).reduce((sum, { tableBytesOut }) => sum + tableBytesOut, 0) : 0;
}

function isSummary(one: unknown): one is { readonly tableBytesOut: number } {
  return typeof one === 'object' && one !== null && 'tableBytesOut' in one && typeof one.tableBytesOut === 'number';
}
