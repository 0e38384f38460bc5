/**
 * Finds the tables in a file without a root, for `peat inspect` and `peat repair`.
 *
 * Tables stand one after the other without gaps, and a footer says how long its table is: so the file is walked from its
 * end backwards. Nothing is searched for, and a value that holds the bytes of a whole table misleads nobody.
 */
import { MalformedError } from '../../base/bytes.ts';
import { FOOTER_BYTES, type Footer, readFooter } from './footer.ts';
import { TableIndex } from './table-index.ts';

/** One of the tables of a file. Its blocks were not looked at: `Block.decode` checks each. */
export interface ListedTable {
  readonly offset: number;
  readonly length: number;
  readonly footer: Footer;
  readonly index: TableIndex;
}

/**
 * The tables that stand one after the other in `file`, of which they keep views, in the order of their offsets.
 *
 * @throws MalformedError with an offset from the file's start, for the last table that is not whole.
 */
export function listTables(file: Buffer): ListedTable[] {
  const tables: ListedTable[] = [];
  let end = file.length;
  do {
    const table = lastTable(file.subarray(0, end));
    tables.push(table);
    end = table.offset;
  } while (end > 0);
  return tables.reverse();
}

/** The table that `bytes` ends with. */
function lastTable(bytes: Buffer): ListedTable {
  const footer = readFooter(bytes);
  const { length } = footer;
  const offset = bytes.length - length;
  if (offset < 0) throw new MalformedError('the table is longer than all that stands before its end', bytes.length - FOOTER_BYTES);
  try {
    const index = TableIndex.read(bytes.subarray(offset + footer.filterOffset), footer.filterOffset);
    return { offset, length, footer, index };
  } catch (error) {
    if (!(error instanceof MalformedError) || offset === 0) throw error;
    throw new MalformedError(error.message.replace(/ at byte \d+$/, ''), offset + error.offset);
  }
}
