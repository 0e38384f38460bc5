/** What a running compactor tells: one event a pass, and one for everything that changes its state. */
import type { PassResult } from './context.ts';

export interface CompactorEvent {
  /** `elected`, `stood-down`: the election of a namespace. `pass`: a root was published. `failed`: it backs off and tries again. */
  readonly event: 'started' | 'standby' | 'elected' | 'stood-down' | 'pass' | 'warning' | 'failed' | 'stopped';
  readonly timeMs: number;
  readonly namespace?: string;
  readonly message?: string;
  readonly pass?: PassFacts;
}

/** The facts of a pass that committed. */
export interface PassFacts {
  readonly root: number;
  readonly frames: number;
  readonly entries: number;
  readonly logBytesIn: number;
  readonly tableBytesOut: number;
  readonly rootBytes: number;
  readonly shards: number;
  readonly durationMs: number;
  /** Age of the oldest frame taken in, by its stamp. */
  readonly lagMs: number;
  /** Left in the log, for the next pass. */
  readonly more: boolean;
}

export function passFacts(result: PassResult, nowMs: number): PassFacts {
  return {
    root: result.root.number,
    frames: result.framesIn,
    entries: result.entriesIn,
    logBytesIn: result.logBytesIn,
    tableBytesOut: result.tableBytesOut,
    rootBytes: result.rootBytes,
    shards: result.shardsTouched,
    durationMs: Math.round(result.durationMs),
    lagMs: result.oldestFrameMs === undefined ? 0 : Math.max(0, Math.round(nowMs - result.oldestFrameMs)),
    more: result.more,
  };
}
