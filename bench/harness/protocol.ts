/** What the conductor of a trial and its processes say to each other. */
import type { PeerName } from '../peers/peer.ts';
import type { Outcome, Params } from './suite.ts';

export type Part = 'prepare' | 'run' | 'check';

/** What a process is started with, as JSON. */
export interface Assignment {
  readonly suite: string;
  readonly part: Part;
  readonly peer: PeerName;
  readonly params: Params;
  readonly directory: string;
  readonly seed: number;
  readonly index: number;
  readonly processes: number;
}

/** What a process is told: to begin, and that process 0 is through. */
export type Told = 'go' | 'led';

/** What a process says. */
export type Said = { readonly ready: true } | { readonly outcome: Outcome } | { readonly failed: string };
