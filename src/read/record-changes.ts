/**
 * What read-modify-write records changed since a position: for each stripe, the number up to which all was told.
 *
 * Above the root's `serialThrough` a record is told once it counts for good. One that nothing decides yet, or that a drain may yet void, ends
 * its stripe for now. What was absorbed since the position is still told from its files, as long as it is sure that they are what was absorbed:
 * the root has the nonces of the last ones (rule B5). Where files are gone, or nobody knows any more, the tables made since tell.
 */
import { isPeatError } from '../base/errors.ts';
import type { Entry } from '../format/entry.ts';
import { type NamespaceLayout, type RecordId, recordText } from '../format/layout.ts';
import type { SerialRecord } from '../format/record.ts';
import { type Root, serialNonce, serialThrough } from '../format/root.ts';
import type { LogListing } from '../log/log-listing.ts';
import { fateOfRecord, readRecord } from '../log/record-log.ts';
import type { Steps } from '../medium/steps.ts';

/** By stripe: the number of the last record that was told, or that has nothing to tell. */
export type StripePositions = Readonly<Record<string, number>>;

export interface RecordChanges {
  readonly entries: Entry[];
  /** Of records that took effect if these are the ones that were absorbed: no other can have their names before files are deleted. */
  readonly unproved: Entry[];
  readonly position: StripePositions;
  /** Something that was absorbed since the position can't be told from the log. */
  isIncomplete: boolean;
  /** The root has absorbed records that the listing lacks: they are gone, or were put after it was made. */
  isUnlisted: boolean;
  /** How many records above `serialThrough` were used: whether they were still to be absorbed is to be checked (rule B2). */
  unabsorbed: number;
}

/** @param known undefined: all that the root has absorbed */
export function recordChanges(
  layout: NamespaceLayout,
  look: { listing: LogListing; root: Root; known: StripePositions | undefined },
): Steps<RecordChanges | undefined> {
  return new RecordLook(layout, look).run();
}

class RecordLook {
  readonly #layout: NamespaceLayout;
  readonly #listing: LogListing;
  readonly #root: Root;
  readonly #known: StripePositions | undefined;
  readonly #position: Record<string, number> = {};
  readonly #changes: RecordChanges = {
    entries: [],
    unproved: [],
    position: this.#position,
    isIncomplete: false,
    isUnlisted: false,
    unabsorbed: 0,
  };
  /** Above `serialThrough`, by their text. */
  readonly #records = new Map<string, SerialRecord>();

  constructor(layout: NamespaceLayout, { listing, root, known }: { listing: LogListing; root: Root; known: StripePositions | undefined }) {
    this.#layout = layout;
    this.#listing = listing;
    this.#root = root;
    this.#known = known;
  }

  /** Undefined if a record is gone, or missing before others: start over. */
  *run(): Steps<RecordChanges | undefined> {
    const stripes = new Set([...this.#listing.records.keys(), ...this.#root.serialThrough.keys()]);
    for (const stripe of stripes) {
      const through = serialThrough(this.#root, stripe);
      const from = this.#known === undefined ? through : (this.#known[stripe] ?? 0);
      if (from < through) yield* this.#takeAbsorbed(stripe, { from, through });
      this.#position[stripe] = Math.max(from, through);
      if (!(yield* this.#readUnabsorbed(stripe, this.#position[stripe]))) return undefined;
    }
    if (!(yield* this.#readPrimaries())) return undefined;
    for (const stripe of stripes) this.#takeUnabsorbed(stripe);
    for (const stripe of stripes) if (this.#position[stripe] === 0) delete this.#position[stripe];
    return this.#changes;
  }

  #listed(stripe: number): number[] {
    return (this.#listing.records.get(stripe) ?? []).map(({ number }) => number);
  }

  // ---- absorbed

  *#takeAbsorbed(stripe: number, { from, through }: { from: number; through: number }): Steps<void> {
    let next = from + 1;
    for (const number of this.#listed(stripe)) {
      if (number <= from || number > through) continue;
      if (number > next) this.#changes.isIncomplete = true;
      next = number + 1;
      const record = yield* this.#readAbsorbed({ stripe, number });
      if (record === undefined) this.#changes.isIncomplete = true;
      else this.#judgeAbsorbed(record);
    }
    if (next > through) return;
    this.#changes.isIncomplete = true;
    this.#changes.isUnlisted = true;
  }

  /** Nobody needs these any more, so one that is gone or damaged is no error. */
  *#readAbsorbed(id: RecordId): Steps<SerialRecord | undefined> {
    try {
      return yield* readRecord(this.#layout, id);
    } catch (error) {
      if (!isPeatError(error, 'CORRUPT')) throw error;
      return undefined;
    }
  }

  #judgeAbsorbed({ id, nonce, kind, root, entries }: SerialRecord): void {
    const absorbed = serialNonce(this.#root, id);
    if (absorbed === '') return;
    // Whether another record decided about it, or a horizon had passed it, only the tables know by now.
    const isClear = kind !== 'secondary' && root >= this.#root.horizon;
    if (absorbed === nonce) addAll(this.#changes.entries, entries);
    else if (absorbed === undefined && isClear) addAll(this.#changes.unproved, entries);
    else this.#changes.isIncomplete = true;
  }

  // ---- to be absorbed

  *#readUnabsorbed(stripe: number, told: number): Steps<boolean> {
    let next = told + 1;
    for (const number of this.#listed(stripe)) {
      if (number <= told) continue;
      if (number > next) return false;
      next++;
      if (!(yield* this.#read({ stripe, number }))) return false;
    }
    return true;
  }

  *#read(id: RecordId): Steps<boolean> {
    const record = yield* readRecord(this.#layout, id);
    if (record === undefined) return false;
    this.#records.set(recordText(id), record);
    this.#changes.unabsorbed++;
    return true;
  }

  /** A primary may have been told before its secondaries were seen. */
  *#readPrimaries(): Steps<boolean> {
    for (const { kind, links } of this.#records.values()) {
      const primary = kind === 'secondary' ? links[0] : undefined;
      if (primary === undefined || this.#records.has(recordText(primary))) continue;
      const isThere = primary.number > serialThrough(this.#root, primary.stripe) && this.#listed(primary.stripe).includes(primary.number);
      if (isThere && !(yield* this.#read(primary))) return false;
    }
    return true;
  }

  #takeUnabsorbed(stripe: number): void {
    for (const number of this.#listed(stripe)) {
      if (number <= (this.#position[stripe] ?? 0)) continue;
      const record = this.#find({ stripe, number });
      if (record === undefined) return;
      const fate = fateOfRecord(record, this.#root, this.#find);
      const isDraining = fate === 'effective' && record.root < this.#root.drain;
      if (fate === 'undecided' || isDraining) return;
      if (fate === 'effective') addAll(this.#changes.entries, record.entries);
      this.#position[stripe] = number;
    }
  }

  readonly #find = (id: RecordId): SerialRecord | undefined => this.#records.get(recordText(id));
}

/** Of any number: a call takes only so many arguments. */
function addAll(target: Entry[], entries: readonly Entry[]): void {
  for (const entry of entries) target.push(entry);
}
