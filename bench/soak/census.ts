/** What the store has grown to: its files by kind, and what `stats` says. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { isPeatError, type Namespace } from '../../src/index.ts';

/** Numbers of one moment, by name. */
export type Figures = Readonly<Record<string, number>>;

/** Files and bytes: `roots`, `tables`, `segments and records`, `locks`, `temporary files`. A file that goes away meanwhile does not count. */
export function countFiles(directory: string): Figures {
  const figures = { roots: 0, tables: 0, 'segments and records': 0, locks: 0, 'temporary files': 0, 'store, MB': 0 };
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    figures['store, MB'] += (statSync(path, { throwIfNoEntry: false })?.size ?? 0) / 1e6;
    const kind = kindOf(relative(directory, path).split(sep));
    if (kind !== undefined) figures[kind]++;
  }
  return figures;
}

function kindOf([top, , kind]: readonly string[]): 'roots' | 'tables' | 'segments and records' | 'locks' | 'temporary files' | undefined {
  if (top === 'tmp') return 'temporary files';
  if (top === 'lock') return 'locks';
  if (kind === 'root') return 'roots';
  if (kind === 'shard') return 'tables';
  return kind === 'log' ? 'segments and records' : undefined;
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
