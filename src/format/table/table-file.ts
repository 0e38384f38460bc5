/**
 * Finds the tables in a file without a root, for `peat inspect` and `peat repair`.
 *
 * A footer does not say how long its table is, so the file is searched from its start: the first footer whose
 * index stands where it says, counted from where this table begins, ends the table. A value may hold the bytes
 * of a whole table; these are passed over, because counted from here their index is somewhere else.
 */
import { MalformedError } from '../../base/bytes.ts';
import { FOOTER_BYTES, type Footer, readFooter, TABLE_MAGIC } from './footer.ts';
import { TableIndex } from './table-index.ts';

/** One of the tables of a file. Its blocks were not looked at: `Block.decode` checks each. */
export interface ListedTable {
  readonly offset: number;
  readonly length: number;
  readonly footer: Footer;
  readonly index: TableIndex;
}

/**
 * The tables that stand one after the other in `file`, of which they keep views.
 *
 * @throws MalformedError at the first place, counted from the file's start, from which no whole table stands.
 */
export function listTables(file: Buffer): ListedTable[] {
  const tables: ListedTable[] = [];
  let offset = 0;
  do {
    const table = findTable(file, offset);
    if (table === undefined) throw new MalformedError('no whole table begins', offset);
    tables.push(table);
    offset += table.length;
  } while (offset < file.length);
  return tables;
}

function findTable(file: Buffer, offset: number): ListedTable | undefined {
  for (let from = offset; ; ) {
    const magicAt = file.indexOf(TABLE_MAGIC, from);
    if (magicAt === -1) return undefined;
    const table = readTable(file.subarray(offset, magicAt + TABLE_MAGIC.length));
    if (table !== undefined) return { offset, ...table };
    from = magicAt + 1;
  }
}

/** The table that `bytes` is; undefined if it is none. */
function readTable(bytes: Buffer): Omit<ListedTable, 'offset'> | undefined {
  try {
    const footer = readFooter(bytes);
    if (footer.filterOffset > bytes.length - FOOTER_BYTES) return undefined;
    const index = TableIndex.read(bytes.subarray(footer.filterOffset), footer.filterOffset);
    return { length: bytes.length, footer, index };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
