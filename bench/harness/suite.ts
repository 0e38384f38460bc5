/**
 * What a suite is made of. A suite has cases; a case is run by several peers, each in turn, for several rounds (A B A B …). One run
 * of one peer is a trial: it gets a fresh directory, and every part of it runs in a process of its own.
 *
 *   prepare   one process, before the clock starts: fills the store
 *   run       `case.processes` processes: each gets ready, waits until all are, and works
 *   check     one process, afterwards: reads the result back, for the checksum that all peers must agree on
 */
import type { LatencyCounts } from '../../src/cli/replay/latencies.ts';
import type { Job, PeerName } from '../peers/peer.ts';
import type { Target } from './targets.ts';

/** How much is done: `smoke` shows that it runs, `small` takes minutes, `full` is what the documentation quotes. */
export type Scale = 'smoke' | 'small' | 'full';

export type Params = Readonly<Record<string, string | number | boolean>>;

export interface Case {
  /** Unique in its suite: `4 processes, sync`. */
  readonly name: string;
  readonly peers: readonly PeerName[];
  readonly processes: number;
  /** Runs what the peer brings for upkeep beside the processes: Peat's compactor. Default false. */
  readonly isTended?: boolean;
  /** What a peer must be able to do, beside working in as many processes. */
  readonly needs?: readonly Job[];
  /** At most this many rounds, where a trial takes long. */
  readonly roundsMax?: number;
  /** The same for some of the peers. */
  readonly peerRoundsMax?: Partial<Readonly<Record<PeerName, number>>>;
  readonly params: Params;
}

/** How a figure is read, and how those of several processes become one. */
export interface Figure {
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly together: 'sum' | 'max';
}

export interface Suite {
  readonly name: string;
  /** What it measures and how, a paragraph for the report. */
  readonly about: string;
  /** Those that its outcomes give, beside throughput and latencies. */
  readonly figures: Readonly<Record<string, Figure>>;
  readonly targets: readonly Target[];
  /** Why nobody can run it here, if so. */
  readonly cannot?: string | undefined;
  /** At most this many rounds, where trials take long. */
  readonly roundsMax?: number;
  cases(scale: Scale): readonly Case[];
  prepare?(stage: Stage): Promise<void>;
  run(stage: Stage): Promise<Outcome>;
  check?(stage: Stage): Promise<Outcome>;
}

/** What a process of a trial is given. */
export interface Stage {
  readonly peer: PeerName;
  readonly params: Params;
  /** Empty at first, the same for all processes of a trial. */
  readonly directory: string;
  /** The same for all peers and rounds. */
  readonly seed: number;
  /** This process among those of `run`, and how many these are. */
  readonly index: number;
  readonly processes: number;
  /** Resolves when all processes of the trial have called it. */
  readonly start: () => Promise<void>;
  /** Aborted when process 0 has told its outcome: for those that are company to it. */
  readonly led: AbortSignal;
}

/** What a process has to tell. */
export interface Outcome {
  /** What was done in the measured time; makes the throughput. */
  readonly operations?: number;
  /** On the clock of all processes of this machine, ms. */
  readonly span?: { readonly fromMs: number; readonly toMs: number };
  readonly latencies?: Readonly<Record<string, LatencyCounts>>;
  readonly figures?: Readonly<Record<string, number>>;
  /** How this process came out, where each one counts. */
  readonly ending?: Ending;
  /** Of what was read back. */
  readonly checksum?: string;
}

/** When a process was done, or gave up. */
export interface Ending {
  readonly seconds: number;
  readonly isDone: boolean;
}

/** The clock that the processes of a machine share, ms. */
export const sharedNowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** A number among the parameters of a case. */
export function numberOf(params: Params, name: string): number {
  const value = params[name];
  if (typeof value !== 'number') throw new TypeError(`the case has no number ${name}, but ${String(value)}`);
  return value;
}
