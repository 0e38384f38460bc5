/** `stats()`: facts about a namespace, and what this handle has done. */
import type { NamespaceReader } from '../read/namespace-reader.ts';
import type { State } from '../read/state.ts';
import type { NamespaceWriter } from '../write/namespace-writer.ts';

export interface NamespaceStats {
  readonly root: number;
  readonly horizon: number;
  readonly drain: number;
  readonly shards: number;
  readonly tables: number;
  /** The largest number of tables that a get may have to look at. */
  readonly stackDepthMax: number;
  /** Entries in tables; a key in several tables of a stack counts in each. */
  readonly tableEntries: number;
  readonly tombstones: number;
  readonly tableBytes: number;
  /** What the newest root has not absorbed. */
  readonly tail: {
    readonly segments: number;
    readonly frames: number;
    readonly bytes: number;
    readonly keys: number;
    readonly tornBytes: number;
    /** Read-modify-write records, and their bytes. */
    readonly records: number;
    readonly recordBytes: number;
  };
  readonly absorbedSegments: number;
  /** Files of tables that wait for their deletion. */
  readonly droppedFiles: number;
  readonly reads: Readonly<Record<string, number>>;
  readonly writes: Readonly<Record<string, number>>;
}

export function namespaceStats(state: State, handle: { reader: NamespaceReader; writer: NamespaceWriter | undefined }): NamespaceStats {
  const { root } = state;
  const tables = root.shards.flatMap((shard) => shard.tables);
  const { view, tables: store } = handle.reader;
  return {
    root: root.number,
    horizon: root.horizon,
    drain: root.drain,
    shards: root.shards.length,
    tables: tables.length,
    stackDepthMax: Math.max(0, ...root.shards.map((shard) => shard.tables.length)),
    tableEntries: sum(tables.map(({ entries }) => entries)),
    tombstones: sum(tables.map(({ tombstones }) => tombstones)),
    tableBytes: sum(tables.map(({ length }) => length)),
    tail: view.tailFacts,
    absorbedSegments: root.absorbed.size,
    droppedFiles: root.dropped.size,
    reads: { ...view.counters, ...store.counters },
    writes: { ...handle.writer?.counters },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
