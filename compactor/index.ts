/** The compactor: what the rest of Peat, and programs that embed it, start. */
export { type CompactionSummary, type CompactNamespaceOptions, compactUntilDone } from './compact-namespace.ts';
export { COMPACTOR_LEASE_MS, compactorLock, tryElection } from './election.ts';
export { compactOnce, type PassContext, type PassResult } from './pass.ts';
