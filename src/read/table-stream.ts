/**
 * Reads a whole table in the order of its keys, as a source for a merge.
 *
 * The table's tail is read first; then the blocks in pieces of about 256 KiB, each block checked when its first entry is
 * needed. So memory is flat, however large the table is. Values are views into a piece, which lives as long as they do.
 */
import { MalformedError } from '../base/bytes.ts';
import { corrupt, PeatError } from '../base/errors.ts';
import type { Entry } from '../format/entry.ts';
import type { NamespaceLayout } from '../format/layout.ts';
import type { EntrySource } from '../format/merge.ts';
import type { TableRef } from '../format/root.ts';
import { Block } from '../format/table/block.ts';
import { TableIndex } from '../format/table/table-index.ts';
import type { Medium } from '../medium/medium.ts';

const CHUNK_BYTES = 256 * 1024;

/** Whole blocks, one after the other. */
interface Chunk {
  readonly bytes: Buffer;
  /** Where it begins, from the table's start. */
  readonly offset: number;
}

export interface TableStreamContext {
  readonly medium: Medium;
  readonly layout: NamespaceLayout;
}

export class TableStream implements EntrySource {
  current: Entry | undefined;
  /** Entries handed out, the current one included. */
  entriesRead = 0;
  readonly #medium: Medium;
  readonly #name: string;
  readonly #ref: TableRef;
  readonly #index: TableIndex;
  #chunk: Chunk;
  #block: Block | undefined;
  #nextBlock = 0;
  #at = 0;

  private constructor(file: { medium: Medium; name: string; ref: TableRef }, index: TableIndex, chunk: Chunk) {
    this.#medium = file.medium;
    this.#name = file.name;
    this.#ref = file.ref;
    this.#index = index;
    this.#chunk = chunk;
  }

  /**
   * A stream that stands at the table's first entry.
   *
   * @throws PeatError `CORRUPT`; `TEMPORARY` if the file is gone: a newer root no longer names it, or it is lost. So does `advance`.
   */
  static async open({ medium, layout }: TableStreamContext, ref: TableRef): Promise<TableStream> {
    const file = { medium, name: layout.shard + ref.file, ref };
    // A small table is read whole at once.
    const from = ref.length <= CHUNK_BYTES ? 0 : ref.indexOffset;
    const bytes = await readRange(file, from, ref.length - from);
    const index = checked(file, 0, () => TableIndex.decode(bytes.subarray(ref.indexOffset - from), ref));
    const chunk = from === 0 ? bytes.subarray(0, ref.indexOffset) : Buffer.alloc(0);
    const stream = new TableStream(file, index, { bytes: chunk, offset: 0 });
    await stream.#load();
    return stream;
  }

  advance(): void | Promise<void> {
    const block = this.#block;
    if (block === undefined) return;
    if (this.#at < block.length) this.#take(block);
    else return this.#load();
  }

  #take(block: Block): void {
    this.current = block.entryAt(this.#at++);
    this.entriesRead++;
  }

  /** Goes to the next block, and waits only if it has not been read. */
  #load(): void | Promise<void> {
    if (this.#nextBlock === this.#index.blocks) {
      this.#block = undefined;
      this.current = undefined;
      return;
    }
    const { offset, length } = this.#index.blockRange(this.#nextBlock);
    if (offset + length > this.#chunk.offset + this.#chunk.bytes.length) return this.#readChunk();
    this.#openBlock();
  }

  async #readChunk(): Promise<void> {
    const { offset } = this.#index.blockRange(this.#nextBlock);
    let end = offset;
    for (let block = this.#nextBlock; block < this.#index.blocks; block++) {
      const range = this.#index.blockRange(block);
      const blockEnd = range.offset + range.length;
      if (end > offset && blockEnd - offset > CHUNK_BYTES) break;
      end = blockEnd;
    }
    this.#chunk = { bytes: await readRange({ medium: this.#medium, name: this.#name, ref: this.#ref }, offset, end - offset), offset };
    this.#openBlock();
  }

  #openBlock(): void {
    const { offset, length, checksum } = this.#index.blockRange(this.#nextBlock);
    const start = offset - this.#chunk.offset;
    const bytes = this.#chunk.bytes.subarray(start, start + length);
    const block = checked({ name: this.#name, ref: this.#ref }, offset, () => Block.decode(bytes, checksum));
    this.#nextBlock++;
    this.#block = block;
    this.#at = 0;
    this.#take(block);
  }
}

async function readRange(file: { medium: Medium; name: string; ref: TableRef }, offset: number, length: number): Promise<Buffer> {
  const bytes = await file.medium.get(file.name, { offset: file.ref.offset + offset, length });
  if (bytes === undefined)
    throw new PeatError('TEMPORARY', `${file.name} is gone: a newer root has replaced it, or it is lost`, { file: file.name });
  if (bytes.length < length) throw corrupt(file.name, file.ref.offset + offset + bytes.length, 'the file ends too early');
  return bytes;
}

/** Names the file and the absolute offset where bytes do not parse; `base` is where they begin in the table. */
function checked<T>(file: { name: string; ref: TableRef }, base: number, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw corrupt(file.name, file.ref.offset + base + error.offset, error.message.replace(/ at byte \d+$/, ''));
  }
}
