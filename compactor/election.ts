/**
 * Who compacts a namespace: the holder of the ticket lock `compactor/<namespace>`. The election saves work; correctness does not rest on it, since
 * a root is won by `putIfAbsent`.
 */
import { isPeatError } from '../src/base/errors.ts';
import type { System } from '../src/base/system.ts';
import { checkWriterFeatures } from '../src/format/features.ts';
import { lockPrefix, type NamespaceLayout, rootName } from '../src/format/layout.ts';
import { LOCK_SITES, type LockSiteName } from '../src/lock/lock-sites.ts';
import type { LockTracer } from '../src/lock/lock-tracer.ts';
import type { OwedMarkers } from '../src/lock/owed-markers.ts';
import { nodeProcessFacts, type ProcessFacts } from '../src/lock/process-facts.ts';
import { type LockHandle, TicketLock } from '../src/lock/ticket-lock.ts';
import { newestRoot } from '../src/manifest/newest-root.ts';
import type { Medium } from '../src/medium/medium.ts';
import { runAsync } from '../src/medium/steps.ts';

/** A compactor on another host that shows no sign of life for so long is replaced. */
const LEASE_MS = 10_000;
/** Across a network each beat costs requests. */
const REMOTE_LEASE_MS = 30_000;

export function compactorLeaseMs({ isRemote }: Pick<Medium, 'isRemote'>): number {
  return isRemote ? REMOTE_LEASE_MS : LEASE_MS;
}

/**
 * Before a ticket is taken, which writes: whether there is a namespace at all, and this release may write to it. False if there is none.
 *
 * @throws PeatError `UNSUPPORTED_VERSION`
 */
export async function mayCompact(context: { medium: Medium; system: System; layout: NamespaceLayout }): Promise<boolean> {
  const { medium, system, layout } = context;
  const reading = await runAsync(newestRoot(layout, { medium, system }), { medium, system });
  if (reading === undefined) return false;
  checkWriterFeatures(reading.root, rootName(layout, reading.root.number));
  return true;
}

export interface CompactorLockContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  readonly facts?: ProcessFacts;
  readonly tracer?: LockTracer | undefined;
  readonly owed?: OwedMarkers | undefined;
}

export function compactorLock(context: CompactorLockContext): TicketLock {
  const { medium, system, layout, tracer, owed } = context;
  return new TicketLock({
    medium,
    system,
    facts: context.facts ?? nodeProcessFacts(),
    prefix: lockPrefix('compactor', layout.namespace),
    name: `compactor of ${layout.namespace}`,
    tracer,
    owed,
  });
}

/** Becomes the compactor if nobody alive is, or waits to be; undefined otherwise. */
export async function tryElection(
  lock: TicketLock,
  { site, leaseMs }: { site: LockSiteName; leaseMs: number },
): Promise<LockHandle | undefined> {
  try {
    return await lock.acquire({ site: LOCK_SITES[site], leaseMs, tryOnly: true, purpose: 'compaction' });
  } catch (error) {
    if (isPeatError(error, 'LOCK_TIMEOUT')) return undefined;
    throw error;
  }
}
