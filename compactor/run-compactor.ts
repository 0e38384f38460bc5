/**
 * A compactor for a whole store: finds its namespaces, old and new, and runs a `NamespaceCompactor` for each, with a bounded number
 * of passes at once. This function is the contract for programs that bring their own process; `peat compactor` calls it, too.
 */
import PQueue from 'p-queue';
import type { System } from '../src/base/system.ts';
import { isNamespaceName, NAMESPACES_PREFIX, namespaceLayout } from '../src/format/layout.ts';
import type { StoreConstants } from '../src/format/store-file.ts';
import type { LockTracer } from '../src/lock/lock-tracer.ts';
import type { OwedMarkers } from '../src/lock/owed-markers.ts';
import type { Medium } from '../src/medium/medium.ts';
import { sweepTmp } from '../src/medium/sweep-tmp.ts';
import { compactUntilDone } from './compact-namespace.ts';
import type { PassContext, PassResult } from './context.ts';
import { compactorLeaseMs, compactorLock, mayCompact, tryElection } from './election.ts';
import { type CompactorEvent, passFacts } from './events.ts';
import { IdlePause } from './idle-pause.ts';
import { NamespaceCompactor } from './namespace-compactor.ts';

export interface RunCompactorOptions {
  /** Ends it: cleanly, after the passes that are under way. */
  readonly signal: AbortSignal;
  /** Only these namespaces. Default: all, those to come included. */
  readonly namespaces?: readonly string[];
  /** One round over all namespaces instead of running on. Default false. */
  readonly once?: boolean;
  /** Passes at the same time. Default 2. */
  readonly concurrency?: number;
  /** After a change, how long to gather before a pass, ms. Default 1,000: at most one root a second. */
  readonly gatherMs?: number;
  /** How often to look where no events come, ms. Default 2,000. Across a network it looks ever more seldom while nothing happens, down to each 15 s. */
  readonly pollMs?: number;
  readonly onEvent?: (event: CompactorEvent) => void;
}

export interface CompactorContext {
  readonly medium: Medium;
  readonly system: System;
  readonly constants: StoreConstants;
  readonly tracer?: LockTracer | undefined;
  readonly owed?: OwedMarkers | undefined;
}

const DISCOVER_MS = 2000;
const SWEEP_MS = 60 * 60_000;

/** Runs until the signal is aborted, or with `once` until all is compacted. Failures are reported, not thrown. */
export async function runCompactor(context: CompactorContext, options: RunCompactorOptions): Promise<void> {
  const report = (event: Omit<CompactorEvent, 'timeMs'>): void => options.onEvent?.({ timeMs: context.system.wallNowMs(), ...event });
  report({ event: 'started', message: `compactor for ${context.medium.description}` });
  const queue = new PQueue({ concurrency: options.concurrency ?? 2 });
  try {
    if (options.once === true) await runOnce(context, { ...options, report });
    else await runOn(context, { ...options, report, enqueue: async (pass) => await queue.add(pass) });
  } finally {
    await queue.onIdle();
    report({ event: 'stopped' });
  }
}

type Report = (event: Omit<CompactorEvent, 'timeMs'>) => void;

function passContext(context: CompactorContext, options: { namespace: string; report: Report }): PassContext {
  const { namespace, report } = options;
  return { ...context, layout: namespaceLayout(namespace), log: (message) => report({ event: 'warning', namespace, message }) };
}

/** Folders that are no namespace's, such as lost+found, are nobody's business here. */
async function findNamespaces({ medium }: CompactorContext): Promise<string[]> {
  return (await medium.listFolders(NAMESPACES_PREFIX)).filter(isNamespaceName);
}

async function runOnce(context: CompactorContext, options: RunCompactorOptions & { report: Report }): Promise<void> {
  const { report, signal } = options;
  for (const namespace of options.namespaces ?? (await findNamespaces(context))) {
    if (signal.aborted) return;
    const pass = passContext(context, { namespace, report });
    try {
      if (!(await mayCompact(pass))) continue;
      await using held = await tryElection(compactorLock(pass), { site: 'compactorRound', leaseMs: compactorLeaseMs(pass.medium) });
      if (held === undefined) {
        report({ event: 'standby', namespace, message: 'another compactor is at work' });
        continue;
      }
      const onPass = (result: PassResult): void => {
        if (result.outcome === 'committed') report({ event: 'pass', namespace, pass: passFacts(result, context.system.wallNowMs()) });
      };
      const { warnings } = await compactUntilDone(pass, { signal: AbortSignal.any([held.signal, signal]), onPass });
      for (const message of warnings) report({ event: 'warning', namespace, message });
    } catch (error) {
      if (!signal.aborted) report({ event: 'failed', namespace, message: String(error) });
    }
  }
}

async function runOn(
  context: CompactorContext,
  options: RunCompactorOptions & { report: Report; enqueue: (pass: () => Promise<PassResult>) => Promise<PassResult> },
): Promise<void> {
  const { signal, report } = options;
  const running = new Map<string, Promise<void>>();
  let sweptAtMs = Number.NEGATIVE_INFINITY;
  const idle = new IdlePause({ firstMs: DISCOVER_MS, isRemote: context.medium.isRemote });
  while (!signal.aborted) {
    let hasFound = false;
    try {
      for (const namespace of options.namespaces ?? (await findNamespaces(context))) {
        if (running.has(namespace) || !(await mayCompact(passContext(context, { namespace, report })))) continue;
        const compactor = new NamespaceCompactor(passContext(context, { namespace, report }), {
          signal,
          report,
          enqueue: options.enqueue,
          gatherMs: options.gatherMs ?? 1000,
          pollMs: options.pollMs ?? 2000,
        });
        hasFound = true;
        const run = compactor.run().finally(() => running.delete(namespace));
        running.set(namespace, run);
      }
      if (context.system.monotonicNowMs() - sweptAtMs > SWEEP_MS) {
        sweptAtMs = context.system.monotonicNowMs();
        await sweepTmp(context.medium, context.system);
      }
    } catch (error) {
      report({ event: 'failed', message: String(error) });
    }
    await context.system.sleep(idle.after({ hasFound }), { signal }).catch(() => undefined);
  }
  await Promise.all(running.values());
}
