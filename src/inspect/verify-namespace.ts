/**
 * Verifies one namespace while others write and compact.
 *
 * Order of the steps: roots → tables that they name; where one of the newest root's is gone and a newer root has come, once more from
 * there → log, with a root read after its listing began → records → files that nothing names. What a newer root replaced is not reported as missing.
 */
import type { NamespaceLayout } from '../format/layout.ts';
import type { Root } from '../format/root.ts';
import { highestRootNumber } from '../manifest/newest-root.ts';
import { runAsync } from '../medium/steps.ts';
import type { NamespaceCensus, VerifyContext } from './verify-context.ts';
import { LogVerifier } from './verify-log.ts';
import { RecordsVerifier } from './verify-records.ts';
import { RootsVerifier, type VerifiedRoot } from './verify-roots.ts';
import { TablesVerifier, tablesOf } from './verify-tables.ts';

const ATTEMPTS_MAX = 100;

export async function verifyNamespace(context: VerifyContext, layout: NamespaceLayout): Promise<NamespaceCensus> {
  const roots = new RootsVerifier(context, layout);
  const tables = new TablesVerifier(context, layout);
  const { meter } = context;
  for (let attempt = 1; ; attempt++) {
    meter.begin('roots', layout.namespace);
    const files = await context.medium.list(layout.shard, { stats: true });
    const present = await roots.update();
    const newest = newestReadable(present);
    if (newest === undefined) return reportNoRoot(context, layout, present);
    meter.begin('tables', layout.namespace);
    const missing = await tables.verify(newest, present);
    if (missing.length > 0 && attempt < ATTEMPTS_MAX) {
      const highest = await runAsync(highestRootNumber(layout), context);
      if (highest !== present.at(-1)?.number) continue;
    }
    tables.reportDangling(missing, newest);
    roots.checkNewest(newest);
    meter.begin('log', layout.namespace);
    // What was compacted since is not counted as a tail: the root may be older than the segments, never the other way round.
    const log = await new LogVerifier(context, layout, newestReadable(await roots.update()) ?? newest).verify();
    const records = await new RecordsVerifier(context, layout).verify(async () => {
      const now = await roots.update();
      return { root: newestReadable(now) ?? newest, highest: now.at(-1)?.number ?? newest.number };
    });
    meter.begin('tables', layout.namespace);
    await tables.verifyRest(files, newestReadable(await roots.update()) ?? newest, present);
    const named = tablesOf(newest);
    return {
      namespace: layout.namespace,
      root: newest.number,
      state: present.at(-1)?.root === undefined ? 'unreadable' : newest.state,
      roots: present.length,
      shards: newest.shards.length,
      tables: named.length,
      entries: named.reduce((sum, { entries }) => sum + entries, 0),
      ...log,
      ...records,
    };
  }
}

/** Where the newest root is damaged, the one before it stands in, so that the rest can be looked at. */
function newestReadable(roots: readonly VerifiedRoot[]): Root | undefined {
  return roots.findLast(({ root }) => root !== undefined)?.root;
}

function reportNoRoot({ findings }: VerifyContext, layout: NamespaceLayout, roots: readonly VerifiedRoot[]): NamespaceCensus {
  const isDamaged = roots.length > 0;
  findings.add({
    severity: isDamaged ? 'damage' : 'warning',
    code: 'no-root',
    file: layout.root.slice(0, -1),
    what: isDamaged ? 'no root can be read' : 'there are files, but no root',
    meaning: isDamaged ? 'the namespace can be neither read nor written' : 'the namespace does not exist, or its roots were deleted',
    action: isDamaged
      ? 'restore a backup; or peat repair, which puts a root together from all tables and the log'
      : 'if it should exist: restore a backup',
  });
  const state = isDamaged ? 'unreadable' : 'none';
  return {
    namespace: layout.namespace,
    root: undefined,
    state,
    roots: roots.length,
    shards: 0,
    tables: 0,
    entries: 0,
    segments: 0,
    tailFrames: 0,
    tailDeltas: 0,
    tornBytes: 0,
    records: 0,
    tailRecords: 0,
    recordDeltas: 0,
  };
}
