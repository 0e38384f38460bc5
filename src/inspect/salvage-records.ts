/**
 * Goes on past damaged and missing read-modify-write records: the next root takes in every stripe up to the highest record that is there,
 * with what can be read, and gives up what can't. No number is used again, and a stripe without a gap is what all that reads or updates needs.
 *
 * All stripes are taken in, not only the damaged ones: an update of several stripes must be absorbed with all its parts (rule B6), and so
 * the question which stripes hang together does not come up. A record at the end of its stripe that nothing decides yet is left as it is.
 *
 * Of an update of several stripes of which a part is lost:
 * - Where the primary can be read, it was decided and acknowledged; what can be read of it is kept, and the rest reported as lost. To
 *   give up the other parts as well would lose more, and later updates may rest on them.
 * - Where the primary is lost, so is what decides: nothing tells whether the update happened, or another record had taken the primary's
 *   number and its caller went again. All of it counts as not made. To keep the parts could put a value that never was beside its successor.
 *
 * The nonce of what was given up is "" in the root. So a caller that still waits for its answer is told that its update did not happen, which
 * is true from then on, and goes again.
 */
import { isPeatError } from '../base/errors.ts';
import { type NamespaceLayout, type RecordId, recordName, recordText } from '../format/layout.ts';
import { addSerialNonces, type Root, SERIAL_NONCES_KEPT, serialThrough } from '../format/root.ts';
import { type LogListing, listLog } from '../log/log-listing.ts';
import { fateOfRecord, type ReadRecord, readRecord } from '../log/record-log.ts';
import { highestRootNumber } from '../manifest/newest-root.ts';
import { runAsync } from '../medium/steps.ts';
import type { LogContext } from './salvage-log.ts';

export interface LostRecord {
  readonly file: string;
  readonly what: string;
  /** In words. */
  readonly lost: string;
  /** False if there is no file to take out. */
  readonly isThere: boolean;
}

export interface SalvagedRecords {
  /** What counts and is to be taken in. */
  readonly records: readonly ReadRecord[];
  readonly lost: readonly LostRecord[];
  /** Deltas that are given up; a record that can't be read counts as one. */
  readonly lostDeltas: number;
  /** As the next root has them. */
  readonly serialThrough: ReadonlyMap<number, number>;
  readonly serialNonces: ReadonlyMap<number, readonly string[]>;
}

/**
 * What is to be done about the records that `root`, read before, has not absorbed. Undefined if nothing is wrong with them; `changed` if a
 * newer root came meanwhile.
 */
export async function salvageRecords(context: LogContext, root: Root): Promise<SalvagedRecords | 'changed' | undefined> {
  const listing = await runAsync(listLog(context.layout), context);
  const salvage = new Salvage(context.layout, root);
  for (let ids = [...expected(listing, root)]; ids.length > 0; ids = salvage.untold()) {
    for (const id of ids) salvage.take(await look(context, id));
  }
  salvage.judge();
  if (salvage.lost.length === 0) return undefined;
  return (await runAsync(highestRootNumber(context.layout), context)) === root.number ? salvage.result() : 'changed';
}

/** Of a longer gap only the first records and the last are looked for, which a listing may have missed. */
const GAP_MAX = 1000;

/** Those behind `last`, up to `end`. */
function* missingBetween(stripe: number, last: number, end: number): Generator<RecordId, void> {
  const until = Math.min(end - 1, last + GAP_MAX);
  for (let number = last + 1; number <= until; number++) yield { stripe, number };
  if (end > last) yield { stripe, number: end };
}

/** Every record above `serialThrough` that is listed, or missing before one that is. */
function* expected({ records }: LogListing, root: Root): Generator<RecordId, void> {
  for (const [stripe, listed] of records) {
    let last = serialThrough(root, stripe);
    for (const { number } of listed) {
      yield* missingBetween(stripe, last, number);
      last = Math.max(number, last);
    }
  }
}

interface Looked {
  readonly id: RecordId;
  /** Why it can't be read, where it is a record. */
  readonly record: ReadRecord | 'missing' | { readonly damage: string };
}

async function look(context: LogContext, id: RecordId): Promise<Looked> {
  context.signal?.throwIfAborted();
  try {
    return { id, record: (await runAsync(readRecord(context.layout, id), context)) ?? 'missing' };
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT')) throw error;
    return { id, record: { damage: error.message.replace(`${recordName(context.layout, id)}: `, '') } };
  }
}

class Salvage {
  readonly lost: LostRecord[] = [];
  readonly #records = new Map<string, Looked>();
  readonly #layout: NamespaceLayout;
  readonly #root: Root;
  readonly #highest = new Map<number, number>();
  /** What takes effect, by its text. */
  readonly #effective = new Map<string, ReadRecord>();
  /** The last of their stripes that nothing decides yet. */
  readonly #undecided = new Set<string>();
  #lostDeltas = 0;

  constructor(layout: NamespaceLayout, root: Root) {
    this.#layout = layout;
    this.#root = root;
  }

  take(looked: Looked): void {
    const { stripe, number } = looked.id;
    this.#records.set(recordText(looked.id), looked);
    this.#highest.set(stripe, Math.max(number, this.#end(stripe)));
  }

  /** The number of the last record of a stripe that is known to have been there. */
  #end(stripe: number): number {
    return Math.max(serialThrough(this.#root, stripe), this.#highest.get(stripe) ?? 0);
  }

  /**
   * Records that no listing showed and that others tell of; what is found under their names may tell of more. They are gone from the ends of
   * their stripes, or were put while the listing was made.
   *
   * Who links to a number has seen the one before it. Besides, a primary was put after its secondaries, and what stands behind a secondary
   * after that was decided.
   */
  untold(): RecordId[] {
    const ends = new Map<number, number>();
    for (const { id, kind, root, links } of this.#readable()) {
      const isDecided = kind === 'primary' || id.number < this.#end(id.stripe);
      const wasPut = isDecided && root >= this.#root.horizon;
      for (const { stripe, number } of links) {
        ends.set(stripe, Math.max(wasPut ? number : number - 1, ends.get(stripe) ?? 0));
      }
    }
    return [...ends].flatMap(([stripe, end]) => [...missingBetween(stripe, this.#end(stripe), end)]);
  }

  judge(): void {
    for (const { id, record } of this.#records.values()) {
      if (record === 'missing') this.#giveUp(id, 'the record is gone', { lost: 'what it changed', isThere: false });
      else if ('damage' in record) this.#giveUp(id, record.damage, { lost: 'what it changed', isThere: true });
      else this.#judge(record);
    }
  }

  #readable(): ReadRecord[] {
    return [...this.#records.values()].flatMap(({ id }) => this.#find(id) ?? []);
  }

  #judge(record: ReadRecord): void {
    const text = recordText(record.id);
    const fate = fateOfRecord(record, this.#root, this.#find);
    if (fate === 'effective') this.#effective.set(text, record);
    if (fate !== 'undecided') return;
    const primary = recordText(record.links[0] as RecordId);
    if (!this.#records.has(primary)) {
      this.#undecided.add(text);
      return;
    }
    const lost = `an update of several stripes, of which this part had ${record.entries.length} changes`;
    const what = `${primary}, which decides whether it counts, can't be read`;
    this.#giveUp(record.id, what, { lost, isThere: true, deltas: record.entries.length });
  }

  readonly #find = (id: RecordId): ReadRecord | undefined => {
    const record = this.#records.get(recordText(id))?.record;
    return record === undefined || record === 'missing' || 'damage' in record ? undefined : record;
  };

  #giveUp(id: RecordId, what: string, { deltas = 1, ...rest }: { lost: string; isThere: boolean; deltas?: number }): void {
    this.#lostDeltas += deltas;
    this.lost.push({ file: recordName(this.#layout, id), what, ...rest });
  }

  result(): SalvagedRecords {
    const through = new Map(this.#root.serialThrough);
    const nonces = new Map(this.#root.serialNonces);
    for (const [stripe, highest] of this.#highest) {
      const last = this.#undecided.has(recordText({ stripe, number: highest })) ? highest - 1 : highest;
      const before = serialThrough(this.#root, stripe);
      if (last <= before) continue;
      const added: string[] = [];
      for (let number = Math.max(before, last - SERIAL_NONCES_KEPT) + 1; number <= last; number++) {
        added.push(this.#effective.get(recordText({ stripe, number }))?.nonce ?? '');
      }
      through.set(stripe, last);
      nonces.set(stripe, addSerialNonces(nonces.get(stripe), added));
    }
    return {
      records: [...this.#effective.values()],
      lost: this.lost,
      lostDeltas: this.#lostDeltas,
      serialThrough: through,
      serialNonces: nonces,
    };
  }
}
