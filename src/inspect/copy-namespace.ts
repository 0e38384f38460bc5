/**
 * Copies a namespace into an empty store, while others write to it and compact it.
 *
 * Order of the steps: read the root and the tail of one moment, as a snapshot does (rule A13) → the tail, into sealed segments of the same
 * names that hold only what the root has not absorbed → the tables → last the root, under its own number. What vanishes meanwhile was
 * replaced by a newer root: then all but the tables, which don't change, is thrown away and copied anew.
 *
 * Read-modify-write records that the root has not absorbed are copied as they are, under their numbers, and the root keeps `serialThrough`: so
 * their stamps, which no segment could hold, and the order of a stripe stay. Left out is only a record at the end of its stripe that nothing has
 * decided yet. Its number may be used again in the copy: that is another store, with an id of its own, where nobody has an update under way.
 *
 * The copy's root names the same tables, has absorbed nothing, and has finished its drain: nobody writes to a copy while it
 * is made. So it works whether segments are appended or framed, there and here.
 */
import { ByteWriter } from '../base/bytes.ts';
import { assert, isPeatError, PeatError } from '../base/errors.ts';
import { SeenTime } from '../base/stamp.ts';
import { newNonce, type System } from '../base/system.ts';
import { encodeBatch } from '../format/batch.ts';
import { encodeCheckedJson } from '../format/checked-json-encode.ts';
import { type NamespaceLayout, parseSegmentId, recordName, rootName } from '../format/layout.ts';
import { encodeRecord, type SerialRecord } from '../format/record.ts';
import type { Root, TableRef } from '../format/root.ts';
import { rootToJson } from '../format/root-codec.ts';
import type { ReadFrame } from '../log/segment-reader.ts';
import { openSegmentWriter, type SegmentWriter } from '../log/segment-writer.ts';
import { newestRoot } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { runAsync } from '../medium/steps.ts';
import { NamespaceReader } from '../read/namespace-reader.ts';
import { dissectTable } from './table-anatomy.ts';
import { tablesOf } from './verify-tables.ts';

export interface CopyContext {
  readonly source: Medium;
  readonly target: Medium;
  readonly system: System;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: CopyProgress) => void;
}

export interface CopyProgress {
  readonly namespace: string;
  readonly tables: number;
  readonly tablesTotal: number;
  readonly frames: number;
  readonly bytes: number;
}

/** What was copied; what a verification of the copy finds must be the same. */
export interface CopiedNamespace {
  readonly namespace: string;
  readonly root: number;
  readonly tables: number;
  readonly entries: number;
  readonly frames: number;
  readonly deltas: number;
  /** Read-modify-write records, and their deltas. */
  readonly records: number;
  readonly recordDeltas: number;
  readonly bytes: number;
}

/** A namespace as it was. */
interface Moment {
  readonly root: Root;
  readonly tail: Iterable<{ readonly text: string; readonly frames: readonly ReadFrame[] }>;
  readonly records: readonly SerialRecord[];
}

const ATTEMPTS_MAX = 100;
const GROUP_BYTES: number = 2 * 1024 * 1024;
const DRAIN_WAIT_MS = 10_000;

/** Undefined if the namespace was dropped: a copy has no need to know. */
export async function copyNamespace(context: CopyContext, layout: NamespaceLayout): Promise<CopiedNamespace | undefined> {
  return await new NamespaceCopy(context, layout).run();
}

class NamespaceCopy {
  readonly #context: CopyContext;
  readonly #layout: NamespaceLayout;
  readonly #copiedFiles = new Set<string>();
  #tables = 0;
  #tablesTotal = 0;
  #frames = 0;
  #deltas = 0;
  #records = 0;
  #recordDeltas = 0;
  #bytes = 0;

  constructor(context: CopyContext, layout: NamespaceLayout) {
    this.#context = context;
    this.#layout = layout;
  }

  async run(): Promise<CopiedNamespace | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      this.#context.signal?.throwIfAborted();
      const outcome = await this.#attempt();
      if (outcome === 'dropped') return undefined;
      if (outcome !== 'vanished') return outcome;
      await this.#clearLog();
    }
    throw new PeatError('TEMPORARY', `${this.#layout.namespace} did not come to rest while it was being copied; try again`, {
      namespace: this.#layout.namespace,
    });
  }

  async #attempt(): Promise<CopiedNamespace | 'dropped' | 'vanished'> {
    const layout = this.#layout;
    this.#frames = 0;
    this.#deltas = 0;
    this.#records = 0;
    this.#recordDeltas = 0;
    const moment = await this.#read();
    if (moment === undefined) return 'dropped';
    const { root, tail, records } = moment;
    for (const record of records) await this.#copyRecord(record);
    for (const { text, frames } of tail) if (frames.length > 0) await this.#copySegment(text, frames);
    for (const [file, refs] of this.#filesOf(root)) if (!(await this.#copyFile(file, refs))) return 'vanished';
    await this.#putRoot(root);
    return {
      namespace: layout.namespace,
      root: root.number,
      tables: this.#tablesTotal,
      entries: tablesOf(root).reduce((sum, { entries }) => sum + entries, 0),
      frames: this.#frames,
      deltas: this.#deltas,
      records: this.#records,
      recordDeltas: this.#recordDeltas,
      bytes: this.#bytes,
    };
  }

  /** The namespace at one moment: its newest root, and the tail that this has not absorbed. Undefined if there is none. */
  async #read(): Promise<Moment | undefined> {
    const { source, system, signal } = this.#context;
    const reader = new NamespaceReader(
      { medium: source, system, layout: this.#layout, seen: new SeenTime() },
      { cacheBytes: 0, emptyIfMissing: false, frozen: false, drainWaitMs: DRAIN_WAIT_MS, finishDrain: undefined },
    );
    try {
      const { root, stripes } = await reader.pinned({ signal });
      const records = [...reader.view.records()].filter(({ id }) => stripes.undecided.get(id.stripe)?.id.number !== id.number);
      return { root, tail: reader.view.unabsorbed(), records };
    } catch (error) {
      if (isPeatError(error, 'NAMESPACE_NOT_FOUND') || isPeatError(error, 'NAMESPACE_DROPPED')) return undefined;
      throw error;
    }
  }

  #report(): void {
    const { namespace } = this.#layout;
    this.#context.onProgress({ namespace, tables: this.#tables, tablesTotal: this.#tablesTotal, frames: this.#frames, bytes: this.#bytes });
  }

  // ---- the tail

  /** Writes the frames in groups, each of which is an object where the target does not append. */
  async #copySegment(text: string, frames: readonly ReadFrame[]): Promise<void> {
    const id = parseSegmentId(text);
    assert(id !== undefined, 'a segment that was read has a name');
    const writer = openSegmentWriter(this.#context.target, this.#layout, id);
    try {
      for (let start = 0; start < frames.length; ) {
        this.#context.signal?.throwIfAborted();
        let end = start;
        for (let bytes = 0; end < frames.length && bytes < GROUP_BYTES; end++) bytes += (frames[end] as ReadFrame).bytes;
        await this.#writeFrames(writer, frames.slice(start, end));
        start = end;
      }
      await writer.seal();
    } catch (error) {
      writer.abandon();
      throw error;
    }
  }

  async #writeFrames(writer: SegmentWriter, frames: readonly ReadFrame[]): Promise<void> {
    const group = frames.map(({ stamp, entries }) => {
      const payload = new ByteWriter();
      encodeBatch(payload, entries);
      return { time: stamp.time, payload: payload.copy() };
    });
    await writer.append(group, true);
    this.#frames += frames.length;
    for (const { entries, bytes } of frames) {
      this.#deltas += entries.length;
      this.#bytes += bytes;
    }
    this.#report();
  }

  async #copyRecord(record: SerialRecord): Promise<void> {
    const { target, signal } = this.#context;
    signal?.throwIfAborted();
    const name = recordName(this.#layout, record.id);
    const bytes = encodeRecord(this.#layout, record);
    if (!(await target.putIfAbsent(name, bytes)))
      throw new PeatError('STORAGE', `another file stands at ${name} in the copy`, { file: name });
    this.#records++;
    this.#recordDeltas += record.entries.length;
    this.#bytes += bytes.length;
  }

  async #clearLog(): Promise<void> {
    const { target } = this.#context;
    await target.delete((await target.list(this.#layout.log)).map(({ name }) => name));
  }

  // ---- the tables

  #filesOf(root: Root): Map<string, TableRef[]> {
    const files = new Map<string, TableRef[]>();
    const refs = tablesOf(root);
    for (const ref of refs) files.set(ref.file, [...(files.get(ref.file) ?? []), ref]);
    this.#tablesTotal = refs.length;
    this.#tables = 0;
    return files;
  }

  /** Copies a whole file, and checks every table in it that the root names; false if it has vanished. */
  async #copyFile(file: string, refs: readonly TableRef[]): Promise<boolean> {
    const { source, target, signal } = this.#context;
    const name = this.#layout.shard + file;
    signal?.throwIfAborted();
    if (!this.#copiedFiles.has(file)) {
      const bytes = await source.get(name);
      if (bytes === undefined) return await this.#gone(name);
      for (const ref of refs) checkTable(name, bytes, ref);
      if (!(await target.putIfAbsent(name, bytes)))
        throw new PeatError('STORAGE', `another file stands at ${name} in the copy`, { file: name });
      this.#copiedFiles.add(file);
      this.#bytes += bytes.length;
    }
    this.#tables += refs.length;
    this.#report();
    return true;
  }

  /** A file that the newest root still names, and that is gone, is damage. */
  async #gone(name: string): Promise<false> {
    const { source, system } = this.#context;
    const newest = (await runAsync(newestRoot(this.#layout, { medium: source, system }), { medium: source, system }))?.root;
    if (newest !== undefined && tablesOf(newest).some(({ file }) => this.#layout.shard + file === name)) {
      throw new PeatError('CORRUPT', `${name} is named by the newest root, but is not there; run peat repair first`, { file: name });
    }
    return false;
  }

  async #putRoot(root: Root): Promise<void> {
    const { target, system } = this.#context;
    const copy: Root = { ...root, nonce: newNonce(system), drain: root.horizon, absorbed: new Map(), dropped: new Map() };
    const bytes = encodeCheckedJson(rootToJson(copy));
    const name = rootName(this.#layout, root.number);
    if (!(await target.putIfAbsent(name, bytes)))
      throw new PeatError('STORAGE', `another file stands at ${name} in the copy`, { file: name });
    this.#bytes += bytes.length;
  }
}

function checkTable(name: string, bytes: Buffer, ref: TableRef): void {
  const problem = dissectTable(bytes.subarray(ref.offset, ref.offset + ref.length), ref).problems[0];
  if (problem === undefined) return;
  const offset = ref.offset + problem.offset;
  throw new PeatError('CORRUPT', `${name}: ${problem.what} at byte ${offset}; run peat repair first`, { file: name, offset });
}
