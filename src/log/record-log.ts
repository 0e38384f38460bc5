/**
 * The read-modify-write records that a root has not absorbed (rules B1 and B2), and what becomes of each.
 *
 * What always holds after `read` said that it was complete: every stripe's records stand without a gap from the root's `serialThrough`
 * to the highest that was listed, and no update of several stripes is there in part. Numbers above `serialThrough` are never used twice,
 * so a record is read once. That this root was still the newest *after* the records were read is for the caller to check (rule B2):
 * only then were they not absorbed, deleted, and put again by someone who had stalled. A record that this process put, and that a newest root
 * read after the put calls committed, is known without being read (`learn`).
 */
import type { NamespaceLayout, RecordId } from '../format/layout.ts';
import { recordName } from '../format/layout.ts';
import { decodeRecord, type SerialRecord } from '../format/record.ts';
import { type Root, serialThrough } from '../format/root.ts';
import { getSteps, type Steps } from '../medium/steps.ts';
import type { LogListing } from './log-listing.ts';

/**
 * `effective`: it counts · `void`: it rests on a root below the horizon · `aborted`: the update of several stripes that it is a part of did
 * not happen · `undecided`: nor has it happened yet.
 */
export type RecordFate = 'effective' | 'void' | 'aborted' | 'undecided';

/** A record as it was read. */
export interface ReadRecord extends SerialRecord {
  /** Of its object. */
  readonly bytes: number;
}

/** What becomes of a record above `serialThrough`. @param find gives another such record, if it is there */
export function fateOfRecord(record: SerialRecord, root: Root, find: (id: RecordId) => SerialRecord | undefined): RecordFate {
  if (record.root < root.horizon) return 'void';
  const primary = record.kind === 'secondary' ? record.links[0] : undefined;
  if (primary === undefined) return 'effective';
  // What a root absorbs of a committed update it absorbs with all its parts: this one was left, so it was none.
  if (primary.number <= serialThrough(root, primary.stripe)) return 'aborted';
  const decision = find(primary);
  if (decision === undefined) return 'undecided';
  return decision.nonce === record.nonce ? 'effective' : 'aborted';
}

/** The ends of the stripes, as an updater needs them. */
export interface StripeTails {
  /** The highest number that is there, of the stripes that have records. */
  readonly highest: ReadonlyMap<number, number>;
  /** The records that are to be decided before another one may follow in their stripe. */
  readonly undecided: ReadonlyMap<number, SerialRecord>;
}

export const NO_TAILS: StripeTails = { highest: new Map(), undecided: new Map() };

export class RecordLog {
  readonly #layout: NamespaceLayout;
  readonly #stripes = new Map<number, Map<number, ReadRecord>>();
  readonly #highest = new Map<number, number>();
  /** Those that `takeEffective` has not handed out. */
  #pending = new Set<ReadRecord>();
  #missing: RecordId | undefined;
  #tails: StripeTails | undefined = NO_TAILS;

  constructor(layout: NamespaceLayout) {
    this.#layout = layout;
  }

  /** The record that the last `read` lacked; undefined if that was complete. */
  get missing(): RecordId | undefined {
    return this.#missing;
  }

  /** A newer root counts: what it absorbed is forgotten, and the rest is to be handed out once more. */
  adopt(root: Root): void {
    this.#pending = new Set();
    this.#tails = undefined;
    for (const [stripe, records] of this.#stripes) {
      const through = serialThrough(root, stripe);
      for (const [number, record] of records) {
        if (number <= through) records.delete(number);
        else this.#pending.add(record);
      }
      if (records.size > 0) continue;
      this.#stripes.delete(stripe);
      this.#highest.delete(stripe);
    }
  }

  /**
   * Reads what a listing shows beyond what is known; returns how many records that were. Undefined if one is gone, or missing before
   * others: start over.
   *
   * @throws PeatError `CORRUPT`
   */
  *read(listing: LogListing, root: Root): Steps<number | undefined> {
    let count = 0;
    for (const [stripe, listed] of listing.records) {
      let next = serialThrough(root, stripe) + 1;
      for (const { number } of listed) {
        if (number < next) continue;
        if (number > next) return this.#lacks({ stripe, number: next });
        next++;
        if (this.#find({ stripe, number }) !== undefined) continue;
        const record = yield* readRecord(this.#layout, { stripe, number });
        if (record === undefined) return this.#lacks({ stripe, number });
        this.#add(record);
        count++;
      }
    }
    this.#missing = this.#torn(root);
    return this.#missing === undefined ? count : undefined;
  }

  #lacks(id: RecordId): undefined {
    this.#missing = id;
  }

  /**
   * Takes in a record that was put, and was found to be committed at this very root, without its being read. False where it is known already,
   * or does not follow on what is known.
   */
  learn(record: ReadRecord, root: Root): boolean {
    const { stripe, number } = record.id;
    const last = Math.max(this.#highest.get(stripe) ?? 0, serialThrough(root, stripe));
    if (number !== last + 1) return false;
    this.#add(record);
    return true;
  }

  /** The records that have come to count since the last call, or since `adopt`. */
  *takeEffective(root: Root): Generator<SerialRecord, void> {
    for (const record of this.#pending) {
      const fate = fateOfRecord(record, root, this.#find);
      if (fate === 'undecided') continue;
      this.#pending.delete(record);
      this.#tails = undefined;
      if (fate === 'effective') yield record;
    }
  }

  /** As they are after `takeEffective`; the same object as long as nothing changes. */
  tails(): StripeTails {
    this.#tails ??= {
      highest: new Map(this.#highest),
      undecided: new Map([...this.#pending].map((record) => [record.id.stripe, record])),
    };
    return this.#tails;
  }

  /** All that are known, by stripe and number. */
  *all(): Generator<ReadRecord, void> {
    for (const records of this.#stripes.values()) yield* records.values();
  }

  readonly #find = ({ stripe, number }: RecordId): SerialRecord | undefined => this.#stripes.get(stripe)?.get(number);

  #add(record: ReadRecord): void {
    const { stripe, number } = record.id;
    const records = this.#stripes.get(stripe);
    if (records === undefined) this.#stripes.set(stripe, new Map([[number, record]]));
    else records.set(number, record);
    this.#highest.set(stripe, Math.max(number, this.#highest.get(stripe) ?? 0));
    this.#pending.add(record);
    this.#tails = undefined;
  }

  /**
   * The earlier of two files of which the listing showed the later one only: a secondary, which was put before its primary; or what decided
   * about a secondary, although who put a record behind that saw it.
   */
  #torn(root: Root): RecordId | undefined {
    for (const record of this.#pending) {
      const { id, kind, links } = record;
      const isMissing = (link: RecordId): boolean => link.number > serialThrough(root, link.stripe) && this.#find(link) === undefined;
      const part = kind === 'primary' && record.root >= root.horizon ? links.find(isMissing) : undefined;
      if (part !== undefined) return part;
      const isLast = id.number === this.#highest.get(id.stripe);
      if (kind === 'secondary' && !isLast && fateOfRecord(record, root, this.#find) === 'undecided') return links[0];
    }
    return undefined;
  }
}

/** One record; undefined if it is not there. @throws PeatError `CORRUPT` */
export function* readRecord(layout: NamespaceLayout, id: RecordId): Steps<ReadRecord | undefined> {
  const bytes = yield* getSteps(recordName(layout, id));
  return bytes === undefined ? undefined : { ...decodeRecord(layout, id, bytes), bytes: bytes.length };
}
