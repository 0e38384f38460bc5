/** What a run of the benchmark has measured, as it is written to `report.json`. */
import type { LatencyCounts } from '../../src/cli/replay/latencies.ts';
import type { Machine } from '../machine.ts';
import type { PeerName } from '../peers/peer.ts';
import type { Spread } from './statistics.ts';
import type { Ending, Params, Scale } from './suite.ts';

export interface Report {
  readonly format: 1;
  readonly startedAt: string;
  readonly seconds: number;
  readonly scale: Scale;
  readonly rounds: number;
  readonly seed: number;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  /** Of the machine over the last minute, before and after. */
  readonly load: { readonly before: number; readonly after: number };
  readonly peers: readonly { readonly name: PeerName; readonly title: string; readonly setup: string }[];
  readonly suites: readonly SuiteReport[];
  readonly targets: readonly TargetReport[];
}

export interface SuiteReport {
  readonly name: string;
  readonly about: string;
  readonly cases: readonly CaseReport[];
}

export interface CaseReport {
  readonly name: string;
  readonly processes: number;
  readonly params: Params;
  readonly results: readonly PeerReport[];
}

export interface PeerReport {
  readonly peer: PeerName;
  /** Why it can't do this job. Then there is nothing else. */
  readonly cannot?: string;
  /** What went wrong, round by round. Then its figures are of the rounds that went well. */
  readonly failures: readonly string[];
  readonly figures: Readonly<Record<string, FigureReport>>;
  /** Of all rounds together. */
  readonly latencies: Readonly<Record<string, LatencyCounts>>;
  /** Of each process, the first to end first; a list a round. */
  readonly endings?: readonly (readonly Ending[])[];
  readonly checksum?: string;
}

export interface FigureReport extends Spread {
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly rounds: readonly number[];
}

export interface TargetReport {
  readonly name: string;
  /** What was measured, or a ratio, over the rounds. */
  readonly measured: Spread | undefined;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  readonly isMet: boolean | undefined;
}
