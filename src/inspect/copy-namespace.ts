/**
 * Copies a namespace into an empty store, while others write to it and compact it.
 *
 * Order of the steps, as rule A13 has it: list the log → newest root → the tail, into sealed segments of the same names that hold only what the
 * root has not absorbed → look at the root again → the tables → last the root, under its own number. What vanishes meanwhile was
 * replaced by a newer root: then all but the tables, which don't change, is thrown away and copied anew.
 *
 * The copy's root names the same tables, has absorbed nothing, and has finished its drain: nobody writes to a copy while it
 * is made. So it works whether segments are appended or framed, there and here.
 */
import { ByteWriter } from '../base/bytes.ts';
import { PeatError } from '../base/errors.ts';
import { newNonce, type System } from '../base/system.ts';
import { encodeBatch } from '../format/batch.ts';
import { encodeCheckedJson } from '../format/checked-json-encode.ts';
import { type NamespaceLayout, rootName } from '../format/layout.ts';
import type { Root, TableRef } from '../format/root.ts';
import { rootToJson } from '../format/root-codec.ts';
import { type ListedSegment, listLog } from '../log/log-listing.ts';
import { type ReadFrame, SegmentReader } from '../log/segment-reader.ts';
import { openSegmentWriter, type SegmentWriter } from '../log/segment-writer.ts';
import { newestRoot } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { runAsync } from '../medium/steps.ts';
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
  readonly bytes: number;
}

const ATTEMPTS_MAX = 100;
const READ_BYTES: number = 2 * 1024 * 1024;
const DRAIN_POLL_MS = 25;
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
  #bytes = 0;

  constructor(context: CopyContext, layout: NamespaceLayout) {
    this.#context = context;
    this.#layout = layout;
  }

  async run(): Promise<CopiedNamespace | undefined> {
    const startedAtMs = this.#context.system.monotonicNowMs();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; ) {
      this.#context.signal?.throwIfAborted();
      const outcome = await this.#attempt();
      if (outcome === 'dropped') return undefined;
      if (typeof outcome === 'object') return outcome;
      if (outcome === 'vanished') attempt++;
      else if (this.#context.system.monotonicNowMs() - startedAtMs > DRAIN_WAIT_MS) break;
      await this.#clearLog();
      if (outcome === 'draining') await this.#context.system.sleep(DRAIN_POLL_MS, { signal: this.#context.signal });
    }
    throw new PeatError('TEMPORARY', `${this.#layout.namespace} did not come to rest while it was being copied; try again`, {
      namespace: this.#layout.namespace,
    });
  }

  async #attempt(): Promise<CopiedNamespace | 'dropped' | 'vanished' | 'draining'> {
    const { source, system, signal } = this.#context;
    const from = { medium: source, system, signal };
    const layout = this.#layout;
    this.#frames = 0;
    this.#deltas = 0;
    const segments = await runAsync(listLog(layout), from);
    const root = (await runAsync(newestRoot(layout, system, { isRemote: source.isRemote }), from))?.root;
    if (root === undefined || root.state === 'dropped') return 'dropped';
    const lowest = await this.#copyTail(root, [...segments.values()]);
    if (lowest === undefined) return 'vanished';
    const again = (await runAsync(newestRoot(layout, system, { isRemote: source.isRemote }), from))?.root;
    if (again === undefined || lowest < again.horizon) return 'vanished';
    if (lowest < again.drain) return 'draining';
    for (const [file, refs] of this.#filesOf(root)) if (!(await this.#copyFile(file, refs))) return 'vanished';
    await this.#putRoot(root);
    return {
      namespace: layout.namespace,
      root: root.number,
      tables: this.#tablesTotal,
      entries: tablesOf(root).reduce((sum, { entries }) => sum + entries, 0),
      frames: this.#frames,
      deltas: this.#deltas,
      bytes: this.#bytes,
    };
  }

  #report(): void {
    const { namespace } = this.#layout;
    this.#context.onProgress({ namespace, tables: this.#tables, tablesTotal: this.#tablesTotal, frames: this.#frames, bytes: this.#bytes });
  }

  // ---- the tail

  /** Returns the lowest R of a segment with frames that were copied, Infinity without any; undefined if a segment vanished. */
  async #copyTail(root: Root, segments: readonly ListedSegment[]): Promise<number | undefined> {
    let lowest = Number.POSITIVE_INFINITY;
    for (const segment of segments) {
      const absorbed = root.absorbed.get(segment.text);
      if (segment.id.root < root.horizon || absorbed?.sealed === true) continue;
      const frames = await this.#copySegment(segment, absorbed?.offset ?? 0);
      if (frames === undefined) return undefined;
      if (frames > 0) lowest = Math.min(lowest, segment.id.root);
    }
    return lowest;
  }

  /** Returns how many frames there were. */
  async #copySegment(segment: ListedSegment, offset: number): Promise<number | undefined> {
    const { source, target, system, signal } = this.#context;
    const reader = new SegmentReader(this.#layout, segment.text, { offset, framed: segment.parts !== undefined });
    const writer = openSegmentWriter(target, this.#layout, segment.id);
    let count = 0;
    try {
      for (;;) {
        const start = reader.offset;
        const frames = await runAsync(reader.read({ bytesMax: READ_BYTES, parts: segment.parts }), { medium: source, system, signal });
        if (frames === undefined) return undefined;
        if (frames.length > 0) await this.#writeFrames(writer, frames);
        count += frames.length;
        // Where a busy writer goes on, what it writes from here on is for the next backup.
        if (reader.sealed || hasReachedEnd(reader, segment, start)) break;
      }
      await writer.seal();
      return count;
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
    const newest = (await runAsync(newestRoot(this.#layout, system, { isRemote: source.isRemote }), { medium: source, system }))?.root;
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

/** Whether a read that began at `start` stopped because nothing more was there. */
function hasReachedEnd(reader: SegmentReader, { parts }: ListedSegment, start: number): boolean {
  return parts === undefined ? reader.offset - start < READ_BYTES : reader.offset > (parts.at(-1) ?? -1);
}

function checkTable(name: string, bytes: Buffer, ref: TableRef): void {
  const problem = dissectTable(bytes.subarray(ref.offset, ref.offset + ref.length), ref).problems[0];
  if (problem === undefined) return;
  const offset = ref.offset + problem.offset;
  throw new PeatError('CORRUPT', `${name}: ${problem.what} at byte ${offset}; run peat repair first`, { file: name, offset });
}
