/** What became of a record that was put, as the newest root tells (rule B4, and A6 for records that a horizon has passed). */
import { isPeatError, PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { NamespaceLayout } from '../format/layout.ts';
import type { SerialRecord } from '../format/record.ts';
import { type Root, serialNonce, serialThrough } from '../format/root.ts';
import { newestRoot, type RootReading } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { type Steps, sleepSteps } from '../medium/steps.ts';

/** `lost`: it did not happen, and never will: it may be tried again. `unknown`: nobody can tell any more: it must not be. */
export type RecordOutcome = 'committed' | 'lost' | 'unknown';

const DRAIN_POLL_MS = 20;
const DRAIN_WAIT_MS = 30_000;

/** `wait`: it lies below a drain that is not finished; look again. */
export function outcomeOf(root: Root, record: Pick<SerialRecord, 'id' | 'nonce' | 'root'>): RecordOutcome | 'wait' {
  const isBelowForgot = record.root < root.forgot;
  if (record.id.number > serialThrough(root, record.id.stripe)) {
    if (record.root >= Math.max(root.horizon, root.drain)) return 'committed';
    if (record.root >= root.horizon) return 'wait';
    // Void. In a namespace that was dropped since, it may have counted before.
    return isBelowForgot ? 'unknown' : 'lost';
  }
  const nonce = serialNonce(root, record.id);
  if (nonce === record.nonce) return 'committed';
  if (nonce === undefined || (nonce === '' && isBelowForgot)) return 'unknown';
  return 'lost';
}

/** @property root the newest one, read after the put, that told; undefined if none did */
export interface CheckedRecord {
  readonly outcome: RecordOutcome;
  readonly root: Root | undefined;
}

/** Looks at newest roots, read after the put, until one tells. @throws what the medium throws: then nobody knows */
export function* checkRecord(
  context: { layout: NamespaceLayout; system: System; medium: Medium; known: RootReading | undefined },
  record: SerialRecord,
): Steps<CheckedRecord> {
  const { layout, system } = context;
  const startedAtMs = system.monotonicNowMs();
  let { known } = context;
  for (;;) {
    known = yield* newestRoot(layout, context, known);
    if (known === undefined) return { outcome: 'unknown', root: undefined };
    const outcome = outcomeOf(known.root, record);
    if (outcome !== 'wait') return { outcome, root: known.root };
    if (system.monotonicNowMs() - startedAtMs > DRAIN_WAIT_MS) return { outcome: 'unknown', root: undefined };
    yield* sleepSteps(DRAIN_POLL_MS);
  }
}

export function unknownOutcome(layout: NamespaceLayout, cause?: unknown): PeatError {
  if (isPeatError(cause, 'OUTCOME_UNKNOWN')) return cause;
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new PeatError('OUTCOME_UNKNOWN', `an update of ${layout.namespace} may or may not have happened; read before you decide${why}`, {
    namespace: layout.namespace,
    ...(cause === undefined ? {} : { cause }),
  });
}
