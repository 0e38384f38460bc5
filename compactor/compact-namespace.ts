/** Compaction of a namespace until nothing is left to do, or for a bounded number of passes. */
import type { RootBase } from '../src/manifest/commit-root.ts';
import type { PassContext, PassResult } from './context.ts';
import { compactOnce } from './pass.ts';

export interface CompactNamespaceOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: as many as there is something to do. */
  readonly passesMax?: number;
  /** Bytes of the log that a pass takes in at most. Default 32 MiB. */
  readonly bytesMax?: number;
  /** False: only shorten the tail; see `PassOptions`. Default true. */
  readonly upkeep?: boolean;
  readonly onPass?: (result: PassResult) => void;
}

/** What a compaction did, all passes together. */
export interface CompactionSummary {
  readonly namespace: string;
  readonly passes: number;
  readonly framesIn: number;
  readonly entriesIn: number;
  readonly logBytesIn: number;
  readonly tableBytesOut: number;
  readonly rootBytes: number;
  readonly root: number;
  /** The tail was not exhausted. */
  readonly more: boolean;
  readonly warnings: readonly string[];
}

/** Lost races are repeated a few times only: whoever won has done the work. */
const LOST_MAX = 5;
const DRAIN_PASSES_MAX = 3;

export async function compactUntilDone(context: PassContext, options: CompactNamespaceOptions = {}): Promise<CompactionSummary> {
  const sum = { passes: 0, framesIn: 0, entriesIn: 0, logBytesIn: 0, tableBytesOut: 0, rootBytes: 0 };
  const warnings: string[] = [];
  let root = -1;
  let lost = 0;
  let drains = 0;
  let known: RootBase | undefined;
  for (;;) {
    options.signal?.throwIfAborted();
    const result = await compactOnce(context, {
      signal: options.signal,
      known,
      upkeep: options.upkeep ?? true,
      ...(options.bytesMax === undefined ? {} : { bytesMax: options.bytesMax }),
    });
    known = result.base;
    options.onPass?.(result);
    for (const warning of result.warnings) if (!warnings.includes(warning)) warnings.push(warning);
    if (result.outcome === 'committed') {
      sum.passes++;
      sum.framesIn += result.framesIn;
      sum.entriesIn += result.entriesIn;
      sum.logBytesIn += result.logBytesIn;
      sum.tableBytesOut += result.tableBytesOut;
      sum.rootBytes += result.rootBytes;
    }
    root = result.root.number;
    if (result.outcome === 'lost' && ++lost <= LOST_MAX) continue;
    // What began a drain finishes it: until then, some readers wait.
    if (result.outcome === 'committed' && result.draining && ++drains <= DRAIN_PASSES_MAX) continue;
    if (!result.more || sum.passes >= (options.passesMax ?? Number.POSITIVE_INFINITY) || lost > LOST_MAX) {
      return { namespace: context.layout.namespace, ...sum, root, more: result.more, warnings };
    }
  }
}
