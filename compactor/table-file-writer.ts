/**
 * Collects the tables of a pass into files `shard/<N>-<pass>-<i>`.
 *
 * Small tables share a file, so that a pass that touches many shards a little makes few objects. A large table ends its
 * file, so that what is replaced at another time lies elsewhere. Files are put while the next tables are being built.
 *
 * The pass has a fresh random id at each attempt; its files are never named by another root than the one they were made for,
 * and what a failed pass leaves behind is for the cleanup after a later root (rule A14).
 */
import { PeatError } from '../src/base/errors.ts';
import { randomId, type System } from '../src/base/system.ts';
import { type NamespaceLayout, tableFileText } from '../src/format/layout.ts';
import type { TableRef } from '../src/format/root.ts';
import type { BuiltTable } from '../src/format/table/table-builder.ts';
import type { Medium } from '../src/medium/medium.ts';

/** A table of this size ends its file. */
const LARGE_TABLE_BYTES: number = 256 * 1024;
const FILE_BYTES: number = 4 * 1024 * 1024;
/** Files that are being put while others are filled. */
const PUTS_MAX = 4;

export class TableFileWriter {
  bytesWritten = 0;
  readonly #medium: Medium;
  readonly #layout: NamespaceLayout;
  readonly #root: number;
  readonly #pass: string;
  #files = 0;
  #tables: Buffer[] = [];
  #fileBytes = 0;
  readonly #puts = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(context: { medium: Medium; system: System; layout: NamespaceLayout }, root: number) {
    this.#medium = context.medium;
    this.#layout = context.layout;
    this.#root = root;
    this.#pass = randomId(context.system, 20);
  }

  /** Takes a table in, and says where it stands; it is durable once `finish` has returned. */
  async add(table: BuiltTable): Promise<TableRef> {
    const { bytes, ...facts } = table;
    const ref = { ...facts, file: this.#fileText(), offset: this.#fileBytes };
    this.#tables.push(bytes);
    this.#fileBytes += bytes.length;
    this.bytesWritten += bytes.length;
    if (bytes.length >= LARGE_TABLE_BYTES || this.#fileBytes >= FILE_BYTES) await this.#endFile();
    return ref;
  }

  /** Ends the last file, and waits until all are durable. */
  async finish(): Promise<void> {
    if (this.#tables.length > 0) await this.#endFile();
    await this.settle();
    this.#throwFailure();
  }

  /** Waits for what is under way, whatever becomes of it: a pass that failed leaves nothing running. */
  async settle(): Promise<void> {
    await Promise.all(this.#puts);
  }

  #fileText(): string {
    return tableFileText({ root: this.#root, pass: this.#pass, index: this.#files });
  }

  async #endFile(): Promise<void> {
    while (this.#puts.size >= PUTS_MAX) await Promise.race(this.#puts);
    this.#throwFailure();
    const name = this.#layout.shard + this.#fileText();
    const put: Promise<void> = this.#put(name, this.#tables).finally(() => this.#puts.delete(put));
    this.#puts.add(put);
    this.#files++;
    this.#tables = [];
    this.#fileBytes = 0;
  }

  /** Never rejects: what goes wrong is thrown by the next call. */
  async #put(name: string, tables: readonly Buffer[]): Promise<void> {
    try {
      const bytes = tables.length === 1 ? (tables[0] as Buffer) : Buffer.concat(tables);
      if (!(await this.#medium.putIfAbsent(name, bytes))) {
        throw new PeatError('STORAGE', `${name} was there already, although its name is random`, { file: name });
      }
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
