/** What a compaction pass is given, and what it reports. */
import type { System } from '../src/base/system.ts';
import type { NamespaceLayout } from '../src/format/layout.ts';
import type { Root } from '../src/format/root.ts';
import type { StoreConstants } from '../src/format/store-file.ts';
import type { LockTracer } from '../src/lock/lock-tracer.ts';
import type { OwedMarkers } from '../src/lock/owed-markers.ts';
import type { RootBase } from '../src/manifest/commit-root.ts';
import type { Medium } from '../src/medium/medium.ts';

export interface PassContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  readonly constants: StoreConstants;
  /** Undefined where locks are not traced. */
  readonly tracer?: LockTracer | undefined;
  /** Who closes the medium waits for what is owed there. */
  readonly owed?: OwedMarkers | undefined;
  /** Told of what failed without harm, such as a deletion; damage is in the result's warnings. */
  readonly log: (message: string) => void;
}

export interface PassOptions {
  /** Bytes of frames and records that one pass takes in, more or less; bounds its memory. Default 32 MiB. */
  readonly bytesMax?: number;
  /** Stops the pass at its next wait; nothing is committed then, unless the root was already being put. */
  readonly signal?: AbortSignal | undefined;
  /** `base` of the pass before: spares reading the newest root where it still is the newest, and looking for what failed passes have left. */
  readonly known?: RootBase | undefined;
  /** False: start no drain and publish no housekeeping roots, as a writer that only shortens the tail. A drain under way is finished all the same. Default true. */
  readonly upkeep?: boolean;
}

/** `lost`: another compactor was faster, or the outcome of the commit is not known. Start over. */
export type PassOutcome = 'committed' | 'nothing' | 'lost';

export interface PassResult {
  readonly outcome: PassOutcome;
  /** The newest root, as far as this pass knows: its own if it committed one. */
  readonly root: Root;
  /** To be handed to the next pass; undefined after a lost one, and while what such a one has left waits for a root. */
  readonly base: RootBase | undefined;
  /** Frames and records. */
  readonly framesIn: number;
  readonly entriesIn: number;
  readonly logBytesIn: number;
  /** When the oldest frame that was taken in was written, by its stamp; or record, by the medium's clock. Undefined if there was none. */
  readonly oldestFrameMs: number | undefined;
  readonly tableBytesOut: number;
  readonly rootBytes: number;
  readonly shardsTouched: number;
  readonly durationMs: number;
  /** The tail was not exhausted: another pass has work at once. */
  readonly more: boolean;
  /** A drain waits to be finished: a compactor does so before it stops. */
  readonly draining: boolean;
  /** The horizon that this pass published, if it moved. */
  readonly horizonMovedTo: number | undefined;
  readonly deleted: CleanupReport;
  /** Damage that was found, and what follows from it. */
  readonly warnings: readonly string[];
}

export interface CleanupReport {
  readonly segments: number;
  readonly records: number;
  readonly tableFiles: number;
  readonly roots: number;
}
