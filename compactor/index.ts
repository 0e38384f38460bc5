/** The compactor: what the rest of Peat, and programs that embed it, start. */

export { LOCK_SITES } from '../src/lock/lock-sites.ts';
export { type CompactionSummary, type CompactNamespaceOptions, compactUntilDone } from './compact-namespace.ts';
export type { PassContext, PassOptions, PassResult } from './context.ts';
export { compactorLeaseMs, compactorLock, mayCompact, tryElection } from './election.ts';
export type { CompactorEvent, PassFacts } from './events.ts';
export { compactOnce } from './pass.ts';
export { type RunCompactorOptions, runCompactor } from './run-compactor.ts';
