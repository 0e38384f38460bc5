/**
 * Saves what can be read of a damaged table: a new table of the blocks that are whole, and the key ranges that are lost.
 *
 * A lost range lies between the last key that could be read before it and the first one behind it. If the lost block held a
 * tombstone, an older version of its key, further down in the stack, shows again: what is lost can't be told apart.
 */
import { MalformedError } from '../base/bytes.ts';
import type { Key } from '../base/key.ts';
import type { TableRef } from '../format/root.ts';
import { type BuiltTable, TableBuilder } from '../format/table/table-builder.ts';
import { listTables } from '../format/table/table-file.ts';
import { dissectTable } from './table-anatomy.ts';

export interface LostRange {
  /** Keys above this ... */
  readonly after: Key;
  /** ... and below this are lost; undefined: up to the table's last key, included. */
  readonly before: Key | undefined;
}

export interface SalvagedTable {
  /** Undefined if nothing can be read. */
  readonly table: BuiltTable | undefined;
  readonly lostEntries: number;
  readonly lostRanges: readonly LostRange[];
  readonly problems: readonly { readonly offset: number; readonly what: string }[];
}

/**
 * Whether `file` is whole, but not the one that a root names a table of: another table file was put under its name. Nothing in it was lost with the
 * table, and nothing may be taken from it.
 */
export function isOtherFile(file: Buffer, { offset, length, checksum }: TableRef): boolean {
  try {
    return !listTables(file).some((table) => table.offset === offset && table.length === length && table.index.checksum === checksum);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return false;
  }
}

export function salvageTable(bytes: Buffer, ref: TableRef): SalvagedTable {
  const { blocks, problems } = dissectTable(bytes, ref);
  const builder = new TableBuilder();
  const lostRanges: { after: Key; before: Key | undefined }[] = [];
  let last = '' as Key;
  for (const { block } of blocks) {
    if (block === undefined) {
      lostRanges.push({ after: last, before: undefined });
      continue;
    }
    const open = lostRanges.at(-1);
    if (open !== undefined && open.before === undefined) open.before = block.keyAt(0);
    for (let i = 0; i < block.length; i++) {
      const entry = block.entryAt(i);
      // Keys that don't ascend were never written like that, and what lies outside of its range is never looked for.
      if (entry.key <= last || entry.key < ref.first || entry.key > ref.last) continue;
      builder.add(entry);
      last = entry.key;
    }
  }
  if (bytes.length < ref.length && lostRanges.at(-1)?.before !== undefined) lostRanges.push({ after: last, before: undefined });
  const lostEntries = Math.max(0, ref.entries - builder.entries);
  return { table: builder.entries === 0 ? undefined : builder.finish(), lostEntries, lostRanges, problems };
}
