/**
 * Writes one shard anew: some of its newest tables and new entries, merged into tables, streaming.
 *
 * What always holds: every entry that is read or new is written, or superseded by a newer one of its key, or dropped;
 * the counts are checked. Only where the whole stack is merged may a tombstone or an expired put be dropped, since nothing older can
 * lie below it then, and only if the horizon has reached the root that absorbed it: no older frame can arrive any more (rule A11).
 *
 * A table that is damaged, or gone, does not stop a pass: its shard keeps its tables, and the new entries are put on top. Where it is gone since a newer
 * root has replaced it, that is for nothing: the pass loses its race for the root.
 */
import { assert, isPeatError } from '../src/base/errors.ts';
import { maxStamp, type Stamp } from '../src/base/stamp.ts';
import type { Entry } from '../src/format/entry.ts';
import { ArraySource, type EntrySource, NewestMerge } from '../src/format/merge.ts';
import type { Shard, TableRef } from '../src/format/root.ts';
import type { TableBuilder } from '../src/format/table/table-builder.ts';
import { TableStream, type TableStreamContext } from '../src/read/table-stream.ts';
import type { Pacer } from './pace.ts';
import { type Cut, cutInto } from './stack.ts';
import type { TableFileWriter } from './table-file-writer.ts';

export interface RewriteContext extends TableStreamContext {
  readonly writer: TableFileWriter;
  readonly pacer: Pacer;
  /** The base's horizon. */
  readonly horizon: number;
  /** Puts that expired before this, by the medium's time, may be dropped. */
  readonly expiredBeforeMs: number;
  readonly shardTargetBytes: number;
}

export interface RewriteJob {
  readonly shard: Shard;
  /** Sorted, all in the shard's range. */
  readonly fresh: readonly Entry[];
  /** About how large a table of `fresh` would be. */
  readonly freshBytes: number;
  /** How many of the newest tables are merged. */
  readonly merge: number;
}

export interface Rewrite {
  /** What takes the shard's place: several where it was split. A shard without tables has become empty. */
  readonly shards: readonly Shard[];
  readonly entriesRead: number;
  readonly entriesWritten: number;
  readonly superseded: number;
  readonly dropped: number;
  /** Highest stamp among the dropped. */
  readonly dropFloor: Stamp | undefined;
  readonly warning: string | undefined;
}

export async function rewriteShard(context: RewriteContext, job: RewriteJob): Promise<Rewrite> {
  try {
    return await new Rewriting(context, job).run();
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT') && !isPeatError(error, 'TEMPORARY')) throw error;
    // The tables written so far are named by nobody.
    const pushed = await new Rewriting(context, { ...job, merge: 0 }).run();
    return { ...pushed, warning: error.message };
  }
}

class Rewriting {
  readonly #context: RewriteContext;
  readonly #job: RewriteJob;
  readonly #kept: readonly TableRef[];
  readonly #merged: readonly TableRef[];
  readonly #cut: Cut;
  readonly #written: TableRef[] = [];
  #builder: TableBuilder | undefined;
  #entriesWritten = 0;
  #dropped = 0;
  #dropFloor: Stamp | undefined;

  constructor(context: RewriteContext, job: RewriteJob) {
    this.#context = context;
    this.#job = job;
    const { tables } = job.shard;
    this.#kept = tables.slice(0, tables.length - job.merge);
    this.#merged = tables.slice(tables.length - job.merge);
    const bytes = this.#merged.reduce((sum, { length }) => sum + length, job.freshBytes);
    this.#cut = cutInto(this.#isWhole ? bytes : 0, context.shardTargetBytes);
  }

  /** Whether nothing of the stack stays below what is written. */
  get #isWhole(): boolean {
    return this.#kept.length === 0;
  }

  async run(): Promise<Rewrite> {
    const streams: TableStream[] = [];
    for (const ref of this.#merged) streams.push(await TableStream.open(this.#context, ref));
    const superseded = streams.length === 0 ? await this.#push() : await this.#merge([...streams, new ArraySource(this.#job.fresh)]);
    const entriesRead = streams.reduce((sum, stream) => sum + stream.entriesRead, 0);
    assert(entriesRead === this.#merged.reduce((sum, { entries }) => sum + entries, 0), 'a table has the entries that its root counts');
    assert(
      entriesRead + this.#job.fresh.length === this.#entriesWritten + superseded + this.#dropped,
      'every entry is written, superseded or dropped',
    );
    return {
      shards: this.#shards(),
      entriesRead,
      entriesWritten: this.#entriesWritten,
      superseded,
      dropped: this.#dropped,
      dropFloor: this.#dropFloor,
      warning: undefined,
    };
  }

  async #merge(sources: readonly EntrySource[]): Promise<number> {
    const merge = new NewestMerge(sources);
    for (;;) {
      const next = merge.next();
      const entry = next instanceof Promise ? await next : next;
      if (entry === undefined) break;
      if (this.#take(entry)) await this.#pause();
    }
    await this.#endTable();
    return merge.superseded;
  }

  /** New entries alone need no merge. */
  async #push(): Promise<number> {
    for (const entry of this.#job.fresh) if (this.#take(entry)) await this.#pause();
    await this.#endTable();
    return 0;
  }

  /** Writes an entry, or drops it; true if it is time to `#pause`. */
  #take(entry: Entry): boolean {
    const { pacer } = this.#context;
    if (this.#mayDrop(entry)) {
      this.#dropped++;
      this.#dropFloor = maxStamp(this.#dropFloor, entry.stamp);
      return pacer.step();
    }
    this.#builder ??= this.#context.writer.begin();
    this.#builder.add(entry);
    this.#entriesWritten++;
    return this.#isTableFull || pacer.step();
  }

  /** The sizes are estimates: what they missed goes into the last part, unless that grows far too large. */
  get #isTableFull(): boolean {
    const { parts, bytes } = this.#cut;
    const full = this.#written.length < parts - 1 ? bytes : bytes * 2;
    return this.#builder !== undefined && this.#builder.byteLength >= full;
  }

  async #pause(): Promise<void> {
    if (this.#isTableFull) await this.#endTable();
    else await this.#context.pacer.rest();
  }

  #mayDrop({ value, expiresAtMs, absorbedAt }: Entry): boolean {
    if (value !== undefined && (expiresAtMs === 0 || expiresAtMs > this.#context.expiredBeforeMs)) return false;
    return this.#isWhole && this.#context.horizon >= absorbedAt;
  }

  async #endTable(): Promise<void> {
    if (this.#builder === undefined) return;
    const table = this.#builder.finish();
    this.#builder = undefined;
    this.#written.push(await this.#context.writer.add(table));
  }

  #shards(): Shard[] {
    const { from } = this.#job.shard;
    if (!this.#isWhole || this.#written.length === 0) return [{ from, tables: [...this.#kept, ...this.#written] }];
    return this.#written.map((table, i) => ({ from: i === 0 ? from : table.first, tables: [table] }));
  }
}
