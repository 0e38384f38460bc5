/**
 * Reads the read-modify-write records that no root has absorbed, and says which of them the next root takes in.
 *
 * What always holds: of each stripe a contiguous run of numbers is taken, from the one after the root's `serialThrough` on (rule B6). Records
 * that are void, or parts of an update that did not happen, are passed over, and still take their numbers; undecided ones are never taken.
 * These hold no horizon back: one that passes them makes them void, and their primaries as well, should they come late.
 * An update of several stripes is taken whole or not at all: who finds a secondary absorbed and its primary not, must be able to conclude
 * that the update did not happen. So a record is taken together with all that it brings along: its update's other records, all that stand
 * before these in their stripes, and so on. Such a group goes beyond a pass's bounds rather than being cut, so that each pass gets on.
 *
 * What a listing lacks is asked for before it counts as missing: two files that were put one after the other may be listed the other way
 * round. Numbers above `serialThrough` are not used twice, so what is there counts, whether it was listed or not; and should the root not
 * be the newest any more, the pass comes to nothing anyway.
 *
 * A damaged record ends its stripe's run. The root at which it was made is not known, so that no horizon may move any more.
 */
import { isPeatError } from '../src/base/errors.ts';
import { type RecordId, recordText } from '../src/format/layout.ts';
import type { SerialRecord } from '../src/format/record.ts';
import { addSerialNonces, type Root, serialThrough } from '../src/format/root.ts';
import type { ListedRecord, LogListing } from '../src/log/log-listing.ts';
import { fateOfRecord, readRecord } from '../src/log/record-log.ts';
import { runAsync } from '../src/medium/steps.ts';
import type { PassContext } from './context.ts';
import type { Pacer } from './pace.ts';

/** Records that are asked for at once, and their bytes. */
const READS_MAX = 16;
const READ_BYTES: number = 1024 * 1024;

/** A record that was read. */
export interface ReadRecord {
  readonly record: SerialRecord;
  readonly bytes: number;
  /** By the medium's clock, where it was listed. */
  readonly putAtMs: number | undefined;
}

export interface RecordFold {
  /** Those that count; each update of several stripes with all its parts. */
  readonly effective: readonly ReadRecord[];
  /** What the next root says of stripes. */
  readonly serialThrough: ReadonlyMap<number, number>;
  readonly serialNonces: ReadonlyMap<number, readonly string[]>;
  /** Whether `serialThrough` differs from the base's. */
  readonly hasNews: boolean;
  /** The secondaries at which stripes end until somebody decides them. */
  readonly undecided: readonly ReadRecord[];
  /** Of all that was taken, what was passed over included. */
  readonly bytes: number;
  readonly deltas: number;
  readonly more: boolean;
  /** As in `Fold`; 0 if nothing is known of what was left. */
  readonly incompleteFrom: number | undefined;
  readonly warnings: readonly string[];
}

export interface RecordFoldOptions {
  /** Once this much was taken, no other group is. */
  readonly bytesMax: number;
  readonly deltasMax: number;
  readonly pacer: Pacer;
  readonly signal?: AbortSignal | undefined;
}

/** Undefined if a record vanished that the listing showed: then a newer root has absorbed it. */
export async function foldRecords(
  context: PassContext,
  { root, log }: { root: Root; log: LogListing },
  options: RecordFoldOptions,
): Promise<RecordFold | undefined> {
  const folding = new RecordFolding(context, { root, log }, options);
  for (const [stripe, listed] of log.records) if (!(await folding.takeStripe(stripe, listed))) return undefined;
  return folding.finish();
}

/** Records that are taken together. */
interface Group {
  /** In each stripe, ascending. */
  readonly records: ReadRecord[];
  /** The last number of each stripe that it has part in. */
  readonly ends: Map<number, number>;
}

/** `vanished`: the listing showed it. */
type Unread = 'missing' | 'damaged' | 'vanished';
type Read = ReadRecord | Unread;

class RecordFolding {
  readonly #context: PassContext;
  readonly #root: Root;
  readonly #options: RecordFoldOptions;
  readonly #listed: ReadonlyMap<string, ListedRecord>;
  readonly #reads = new Map<string, Read>();
  /** The last number taken, of the stripes of which any was. */
  readonly #ends = new Map<number, number>();
  readonly #nonces = new Map<number, string[]>();
  readonly #effective: ReadRecord[] = [];
  readonly #undecided = new Map<string, ReadRecord>();
  readonly #warnings = new Set<string>();
  #bytes = 0;
  #deltas = 0;
  #more = false;
  #incompleteFrom: number | undefined;

  constructor(context: PassContext, { root, log }: { root: Root; log: LogListing }, options: RecordFoldOptions) {
    this.#context = context;
    this.#root = root;
    this.#options = options;
    const listed = new Map<string, ListedRecord>();
    for (const [stripe, records] of log.records) {
      for (const record of records) {
        if (record.number > serialThrough(root, stripe)) listed.set(recordText({ stripe, number: record.number }), record);
      }
    }
    this.#listed = listed;
  }

  /** Takes what can be taken of a stripe; false if a record has vanished. */
  async takeStripe(stripe: number, listed: readonly ListedRecord[]): Promise<boolean> {
    for (const [i, { number }] of listed.entries()) {
      if (number <= this.#end(stripe)) continue;
      if (this.#bytes >= this.#options.bytesMax || this.#deltas >= this.#options.deltasMax) {
        this.#more = true;
        this.#incompleteFrom = 0;
        return true;
      }
      await this.#readAhead(stripe, listed.slice(i, i + READS_MAX));
      const group = await this.#gather({ stripe, number });
      if (group === 'vanished') return false;
      if (group === 'blocked') {
        this.#leave({ stripe, number }, i === listed.length - 1);
        return true;
      }
      this.#take(group);
      if (this.#options.pacer.step()) await this.#options.pacer.rest();
    }
    return true;
  }

  #end(stripe: number): number {
    return this.#ends.get(stripe) ?? serialThrough(this.#root, stripe);
  }

  /** Notes where a stripe is left: of what stands behind this record nobody has looked when it was made. */
  #leave(id: RecordId, isLast: boolean): void {
    if (isLast && this.#undecided.has(recordText(id))) return;
    const read = this.#reads.get(recordText(id));
    const from = isLast && typeof read === 'object' ? read.record.root : 0;
    this.#incompleteFrom = Math.min(this.#incompleteFrom ?? from, from);
  }

  /** Reads the first of these and, at the same time, as many more as are worth it. */
  async #readAhead(stripe: number, listed: readonly ListedRecord[]): Promise<void> {
    if (this.#reads.has(recordText({ stripe, number: listed[0]?.number ?? 0 }))) return;
    let bytes = 0;
    const reads: Promise<Read>[] = [];
    for (const { number, size } of listed) {
      bytes += size;
      if (reads.length > 0 && bytes > READ_BYTES) break;
      reads.push(this.#read({ stripe, number }));
    }
    await Promise.all(reads);
  }

  /** The record and all that is taken with it; `blocked` if something of that can't be taken yet. */
  async #gather(first: RecordId): Promise<Group | 'blocked' | 'vanished'> {
    const group: Group = { records: [], ends: new Map() };
    const wanted = [first];
    for (const { stripe, number } of wanted) {
      for (let next = (group.ends.get(stripe) ?? this.#end(stripe)) + 1; next <= number; next++) {
        const read = await this.#readDecided({ stripe, number: next });
        if (typeof read === 'string') return read === 'vanished' ? read : 'blocked';
        group.records.push(read);
        group.ends.set(stripe, next);
        if (this.#isEffective(read)) wanted.push(...read.record.links);
      }
    }
    return group;
  }

  /** A record of which it is clear what becomes of it. */
  async #readDecided(id: RecordId): Promise<Read | 'undecided'> {
    const read = await this.#read(id);
    if (typeof read === 'string') return this.#complain(id, read);
    const { record } = read;
    const primary = record.kind === 'secondary' ? record.links[0] : undefined;
    if (primary !== undefined && record.root >= this.#root.horizon && primary.number > serialThrough(this.#root, primary.stripe)) {
      const decision = await this.#read(primary);
      if (decision === 'vanished' || decision === 'damaged') return this.#complain(primary, decision);
    }
    if (fateOfRecord(record, this.#root, this.#find) !== 'undecided') return read;
    this.#undecided.set(recordText(id), read);
    return 'undecided';
  }

  #complain(id: RecordId, what: Unread): Unread {
    const text = recordText(id);
    if (what === 'missing') this.#warnings.add(`${text}: the record is missing before later ones, so that these can't be taken in`);
    if (what === 'damaged') {
      this.#warnings.add(
        `${text}: the record is damaged; nothing behind it in its stripe can be taken in, and no drain can be finished, until it is repaired`,
      );
    }
    return what;
  }

  readonly #find = (id: RecordId): SerialRecord | undefined => {
    const read = this.#reads.get(recordText(id));
    return typeof read === 'object' ? read.record : undefined;
  };

  #isEffective({ record }: ReadRecord): boolean {
    return fateOfRecord(record, this.#root, this.#find) === 'effective';
  }

  async #read(id: RecordId): Promise<Read> {
    const text = recordText(id);
    const known = this.#reads.get(text);
    if (known !== undefined) return known;
    const read = await this.#get(id, this.#listed.get(text));
    this.#reads.set(text, read);
    return read;
  }

  async #get(id: RecordId, listed: ListedRecord | undefined): Promise<Read> {
    try {
      const record = await runAsync(readRecord(this.#context.layout, id), { ...this.#context, signal: this.#options.signal });
      if (record === undefined) return listed === undefined ? 'missing' : 'vanished';
      return { record, bytes: record.bytes, putAtMs: listed?.modifiedMs };
    } catch (error) {
      if (!isPeatError(error, 'CORRUPT')) throw error;
      return 'damaged';
    }
  }

  #take({ records, ends }: Group): void {
    for (const read of records) {
      const { record, bytes } = read;
      const isEffective = this.#isEffective(read);
      this.#bytes += bytes;
      this.#deltas += record.entries.length;
      if (isEffective) this.#effective.push(read);
      const nonces = this.#nonces.get(record.id.stripe);
      const nonce = isEffective ? record.nonce : '';
      if (nonces === undefined) this.#nonces.set(record.id.stripe, [nonce]);
      else nonces.push(nonce);
    }
    for (const [stripe, end] of ends) this.#ends.set(stripe, end);
  }

  finish(): RecordFold {
    const nonces = new Map(this.#root.serialNonces);
    for (const [stripe, added] of this.#nonces) nonces.set(stripe, addSerialNonces(nonces.get(stripe), added));
    return {
      effective: this.#effective,
      serialThrough: new Map([...this.#root.serialThrough, ...this.#ends]),
      serialNonces: nonces,
      hasNews: this.#ends.size > 0,
      undecided: [...this.#undecided.values()],
      bytes: this.#bytes,
      deltas: this.#deltas,
      more: this.#more,
      incompleteFrom: this.#incompleteFrom,
      warnings: [...this.#warnings],
    };
  }
}
