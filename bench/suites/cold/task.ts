/** What a short-lived program is to do. */
import type { PeerName } from '../../peers/peer.ts';

/** Each goes one step further than the one before: start, load the library, open and get a key, list a prefix. */
export const STEPS = ['node', 'import', 'get', 'list'] as const;

export interface ColdTask {
  readonly step: (typeof STEPS)[number];
  readonly peer: PeerName;
  readonly directory: string;
  readonly key: string;
  readonly prefix: string;
}
