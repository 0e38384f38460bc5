/**
 * Collects the tables of a pass into files `shard/<N>-<pass>-<i>`.
 *
 * Small tables share a file, so that a pass that touches many shards a little makes few objects. A large table ends its
 * file, so that what is replaced at another time lies elsewhere. Files are put while the next tables are being built.
 *
 * Tables are built in the place where they stand in their file, and the memory of a file that was put is used for the next: fresh memory for each,
 * and copies, would take longer than the building. On media that may still be sending what was given up, every file has memory of its own.
 *
 * The pass has a fresh random id at each attempt; its files are never named by another root than the one they were made for,
 * and what a failed pass leaves behind is for the cleanup after a later root (rule A14).
 */
import { ByteWriter } from '../src/base/bytes.ts';
import { assert, PeatError } from '../src/base/errors.ts';
import { randomId, type System } from '../src/base/system.ts';
import { type NamespaceLayout, tableFileText } from '../src/format/layout.ts';
import type { TableRef } from '../src/format/root.ts';
import { type BuiltTable, TableBuilder } from '../src/format/table/table-builder.ts';
import type { Medium } from '../src/medium/medium.ts';

/** A table of this size ends its file. */
const LARGE_TABLE_BYTES: number = 256 * 1024;
const FIRST_BYTES: number = 64 * 1024;
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
  /** The file that is being filled: `#fileBytes` of tables, and the one that is being built. */
  #file = new ByteWriter(FIRST_BYTES);
  #fileBytes = 0;
  readonly #spare: ByteWriter[] = [];
  readonly #puts = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(context: { medium: Medium; system: System; layout: NamespaceLayout }, root: number) {
    this.#medium = context.medium;
    this.#layout = context.layout;
    this.#root = root;
    this.#pass = randomId(context.system, 20);
  }

  /** Begins a table; one that was begun and not added is given up. One at a time. */
  begin(): TableBuilder {
    this.#file.truncate(this.#fileBytes);
    return new TableBuilder(this.#file);
  }

  /** Takes the table in that was begun last, and says where it stands; it is durable once `finish` has returned. */
  async add({ bytes, ...facts }: BuiltTable): Promise<TableRef> {
    const ref = { ...facts, file: this.#fileText(), offset: this.#fileBytes };
    this.#fileBytes += facts.length;
    assert(this.#fileBytes === this.#file.length && bytes.length === facts.length, 'a table is built in its file');
    this.bytesWritten += facts.length;
    if (facts.length >= LARGE_TABLE_BYTES || this.#fileBytes >= FILE_BYTES) await this.#endFile();
    return ref;
  }

  /** Ends the last file, and waits until all are durable. */
  async finish(): Promise<void> {
    if (this.#fileBytes > 0) await this.#endFile();
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
    const file = this.#file;
    // What a table that was given up has left behind the others is none of it.
    file.truncate(this.#fileBytes);
    const put: Promise<void> = this.#put(name, file).finally(() => this.#puts.delete(put));
    this.#puts.add(put);
    this.#files++;
    this.#file = this.#spare.pop() ?? new ByteWriter(FIRST_BYTES);
    this.#fileBytes = 0;
  }

  /** Never rejects: what goes wrong is thrown by the next call. */
  async #put(name: string, file: ByteWriter): Promise<void> {
    try {
      if (!(await this.#medium.putIfAbsent(name, file.view()))) {
        throw new PeatError('STORAGE', `${name} was there already, although its name is random`, { file: name });
      }
      if (!this.#medium.canAppend || this.#medium.isRemote) return;
      file.clear();
      this.#spare.push(file);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
