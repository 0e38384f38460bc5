/**
 * Decides an update of several stripes that its updater left undecided: its deciding record's number is taken by an empty record, if it is
 * still free. Then the update did not happen. If it was not free any more, then whoever took it has decided: the updater itself, or another.
 *
 * The empty record rests on nothing, so any root that was a newest one will do for it. It has the newest that its maker has read, so that it
 * lies below no drain: a record that says nothing shall not make readers wait for one to be finished. And were it void, nothing would
 * change: what decides is that its nonce is not the update's. Nor can it leave a gap: the number that it takes followed, when the update was
 * begun, a record that was there; and where a root has gone past that number since, the record is one that nobody looks at.
 */
import { assert, isPeatError, PeatError } from '../base/errors.ts';
import { newNonce, type System } from '../base/system.ts';
import { type NamespaceLayout, recordName } from '../format/layout.ts';
import { encodeRecord, type SerialRecord } from '../format/record.ts';
import type { Medium } from '../medium/medium.ts';

export interface ResolveContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
}

/**
 * Returns once the record is decided, and does not say how: start over.
 *
 * @param record a secondary whose primary was not there
 * @param newest the newest root that the caller has read
 * @throws PeatError `TEMPORARY` if it may be undecided still, and what else the medium throws
 */
export async function resolveUndecided(context: ResolveContext, record: SerialRecord, newest: { readonly number: number }): Promise<void> {
  const { medium, system, layout } = context;
  const [primary] = record.links;
  assert(record.kind === 'secondary' && primary !== undefined, 'only a secondary can be undecided');
  const empty: SerialRecord = { id: primary, nonce: newNonce(system), root: newest.number, kind: 'single', links: [], entries: [] };
  const name = recordName(layout, primary);
  try {
    await medium.putIfAbsent(name, encodeRecord(layout, empty));
  } catch (error) {
    if (!isPeatError(error, 'OUTCOME_UNKNOWN')) throw error;
    // The caller's own write is not what is unknown.
    throw new PeatError('TEMPORARY', `an update that somebody left undecided could not be decided: ${error.message}`, {
      file: name,
      cause: error,
    });
  }
}
