/** What the store has grown to: its files by kind, and what `stats` says. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isPeatError, type Namespace } from '../../src/index.ts';
import { parseStoreName, type StoreName } from '../../src/inspect/store-names.ts';

/** Numbers of one moment, by name. */
export type Figures = Readonly<Record<string, number>>;

const FIGURE_OF: Readonly<Partial<Record<StoreName['kind'], string>>> = {
  root: 'roots',
  'table-file': 'tables',
  segment: 'segments and records',
  'segment-part': 'segments and records',
  record: 'segments and records',
  ticket: 'locks',
  marker: 'locks',
  beat: 'locks',
  floor: 'locks',
  tmp: 'temporary files',
};

/** How many files there are of each kind, and all bytes. A file that goes away meanwhile does not count. */
export function countFiles(directory: string): Figures {
  const figures: Record<string, number> = Object.fromEntries(Object.values(FIGURE_OF).map((name) => [name, 0]));
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    const figure = FIGURE_OF[parseStoreName(relative(directory, path)).kind];
    if (figure !== undefined) figures[figure] = (figures[figure] ?? 0) + 1;
  }
  return { ...figures, 'store, MB': bytes / 1e6 };
}

/** How long the tail is, and what waits for its deletion. */
export async function measureTail(namespace: Namespace): Promise<Figures> {
  try {
    const { tail, tables, droppedFiles, tableEntries } = await namespace.stats();
    return {
      'tail, KB': (tail.bytes + tail.recordBytes) / 1000,
      'tail, segments': tail.segments,
      'tables in use': tables,
      'entries in tables': tableEntries,
      'tables dropped': droppedFiles,
    };
  } catch (error) {
    if (isPeatError(error, 'NAMESPACE_NOT_FOUND')) return {};
    throw error;
  }
}

const PAGE_BYTES = 4096;

/** What a process has in memory; undefined where the system does not tell, or the process has ended. */
export function residentBytes(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
  } catch {
    return undefined;
  }
}
