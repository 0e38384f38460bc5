/**
 * Verifies the table files of a namespace: every table that a root names, byte by byte, and what stands in the files
 * beside them.
 *
 * A file that vanished while this runs is judged by the newest root that can be read then, so a compactor may go on. Each table is read once, in
 * one piece; memory is bounded by the largest table.
 */
import type { NamespaceLayout } from '../format/layout.ts';
import { parseTableFile, rootName } from '../format/layout.ts';
import type { Root, TableRef } from '../format/root.ts';
import { ageOf, type DatedRoot, rootAges } from '../manifest/root-ages.ts';
import { areWholeTables, dissectTable, type TableProblem } from './table-anatomy.ts';
import { readObject, type VerifyContext } from './verify-context.ts';
import type { VerifiedRoot } from './verify-roots.ts';

type TableState = 'present' | 'absent';

export class TablesVerifier {
  readonly #context: VerifyContext;
  readonly #layout: NamespaceLayout;
  readonly #seen = new Map<string, TableState>();

  constructor(context: VerifyContext, layout: NamespaceLayout) {
    this.#context = context;
    this.#layout = layout;
  }

  /** Verifies all tables that the roots name. Returns those of the newest root that are missing. */
  async verify(newest: Root, roots: readonly VerifiedRoot[]): Promise<TableRef[]> {
    const missing: TableRef[] = [];
    for (const ref of tablesOf(newest)) if ((await this.#verifyTable(ref, true)) === 'absent') missing.push(ref);
    const ages = rootAges(roots as readonly DatedRoot[]);
    for (const { root } of roots) {
      if (root === undefined || root.number === newest.number) continue;
      for (const ref of tablesOf(root)) {
        if ((await this.#verifyTable(ref, false)) === 'present' || this.#mayBeGone(ref, newest, ages)) continue;
        this.#reportMissing(ref, { rootFile: rootName(this.#layout, root.number), isNewest: false });
      }
    }
    return missing;
  }

  /** Rule A14: a file that a root dropped goes when that root is old enough; who no longer lists it has seen it gone. */
  #mayBeGone(ref: TableRef, newest: Root, ages: ReturnType<typeof rootAges>): boolean {
    const droppedBy = newest.dropped.get(ref.file);
    if (droppedBy !== undefined) return ageOf(ages, droppedBy) >= this.#context.constants.retentionMs;
    return !tablesOf(newest).some(({ file }) => file === ref.file);
  }

  reportDangling(missing: readonly TableRef[], root: Root): void {
    for (const ref of missing) this.#reportMissing(ref, { rootFile: rootName(this.#layout, root.number), isNewest: true });
  }

  #reportMissing(ref: TableRef, { rootFile, isNewest }: { rootFile: string; isNewest: boolean }): void {
    this.#context.findings.add({
      severity: isNewest ? 'damage' : 'warning',
      code: 'table-missing',
      file: this.#layout.shard + ref.file,
      what: `${rootFile} names a table at byte ${ref.offset} of it, but the file is not there`,
      meaning: isNewest
        ? `${ref.entries} entries, from ${ref.first} to ${ref.last}, can't be read`
        : 'a snapshot of that root can not be read any more',
      action: isNewest ? 'restore the file from a backup; or peat repair, which lets these entries go' : 'nothing',
    });
  }

  /** @param isNewest whether the newest root names it */
  async #verifyTable(ref: TableRef, isNewest: boolean): Promise<TableState> {
    const id = `${ref.file}@${ref.offset}+${ref.length}:${ref.checksum}`;
    let state = this.#seen.get(id);
    if (state === undefined) {
      state = await this.#readTable(ref, isNewest);
      // What is missing now may have been replaced; what was there need not be read again.
      if (state === 'present') this.#seen.set(id, state);
    }
    return state;
  }

  async #readTable(ref: TableRef, isNewest: boolean): Promise<TableState> {
    const file = this.#layout.shard + ref.file;
    const at = { file, start: ref.offset, isNewest };
    const bytes = await readObject(this.#context, file, { offset: ref.offset, length: ref.length });
    if (bytes === 'absent') return 'absent';
    if (bytes === 'unreadable') return 'present';
    if (bytes.length < ref.length) {
      this.#report({ code: 'bytes-damaged', offset: bytes.length, what: 'the file ends before the table does' }, at);
    }
    for (const problem of dissectTable(bytes, ref).problems) this.#report(problem, at);
    return 'present';
  }

  #report(problem: TableProblem, { file, start, isNewest }: { file: string; start: number; isNewest: boolean }): void {
    this.#context.findings.add({
      severity: isNewest ? 'damage' : 'warning',
      code: problem.code,
      file,
      offset: start + problem.offset,
      what: problem.what,
      meaning: isNewest
        ? MEANINGS[problem.code]
        : 'only an older root names this table: nothing is lost, but a snapshot of that root may fail',
      action: isNewest
        ? 'restore the file from a backup; or peat repair, which keeps every block that can be read'
        : 'nothing; the file goes when that root is old enough',
    });
  }

  /**
   * What no root names: files of passes that failed or run just now, dropped ones, and slices of shared files that were replaced. Nobody reads
   * these bytes; whether they are whole says something about the disk.
   */
  async verifyRest(files: readonly { name: string; size?: number }[], newest: Root, roots: readonly VerifiedRoot[]): Promise<void> {
    const named = new Map<string, TableRef[]>();
    for (const { root } of [...roots, { root: newest }]) {
      for (const ref of root === undefined ? [] : tablesOf(root)) named.set(ref.file, [...(named.get(ref.file) ?? []), ref]);
    }
    for (const { name, size = 0 } of files) {
      const text = name.slice(this.#layout.shard.length);
      if (parseTableFile(text) === undefined) continue;
      for (const gap of gaps(named.get(text) ?? [], size)) await this.#verifyGap(name, gap, { newest, isNamed: named.has(text) });
    }
  }

  async #verifyGap(
    file: string,
    { offset, length }: { offset: number; length: number },
    { newest, isNamed }: { newest: Root; isNamed: boolean },
  ): Promise<void> {
    const bytes = await readObject(this.#context, file, { offset, length });
    if (typeof bytes === 'string') return;
    const madeFor = parseTableFile(file.slice(this.#layout.shard.length))?.root ?? 0;
    const isWhole = areWholeTables(bytes);
    const meaning = isNamed
      ? 'tables in it were replaced; their bytes go with the file'
      : madeFor > newest.number
        ? 'a pass is making it, or died making it'
        : 'a pass that failed left it, or a newer root dropped it; the compactor deletes it';
    this.#context.findings.add({
      severity: isWhole ? 'info' : 'warning',
      code: isWhole ? 'unnamed-bytes' : 'unnamed-bytes-damaged',
      file,
      offset,
      bytes: length,
      what: isWhole ? `${length} bytes that no root names` : `${length} bytes that no root names, and that are no whole tables`,
      meaning: isWhole ? meaning : `${meaning}; nobody reads them, so nothing is lost, but the disk may be failing`,
      action: 'nothing',
    });
  }
}

const MEANINGS: Record<TableProblem['code'], string> = {
  'footer-damaged': "the table can't be opened: its keys can't be read, and older versions of them are not shown instead",
  'index-damaged': "the table can't be opened: its keys can't be read, and older versions of them are not shown instead",
  'filter-damaged': "the table can't be opened: its keys can't be read, although the entries are there",
  'block-damaged': "reads of the block's keys fail; all other keys can be read",
  'bytes-damaged': 'the bytes are not those that were written',
  order: 'keys may be missed or shown twice: a defect of the release that compacted, or tampering',
  count: 'the table is not what its footer or root says: a defect of the release that compacted, or tampering',
};

export function tablesOf(root: Root): TableRef[] {
  return root.shards.flatMap(({ tables }) => tables);
}

/** The parts of a file that no table covers. */
function gaps(tables: readonly TableRef[], size: number): { offset: number; length: number }[] {
  const found: { offset: number; length: number }[] = [];
  let at = 0;
  for (const { offset, length } of [...tables].sort((a, b) => a.offset - b.offset)) {
    if (offset > at) found.push({ offset: at, length: offset - at });
    at = Math.max(at, offset + length);
  }
  if (size > at) found.push({ offset: at, length: size - at });
  return found;
}
