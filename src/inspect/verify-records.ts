/**
 * Verifies the read-modify-write records of a namespace: each one's bytes, that a stripe's follow each other without a gap from the root's
 * `serialThrough` on, that updates of several stripes are there whole, and that stamps and stripes are what they should be.
 *
 * Order of the steps: list the log → newest root → contents (rule B1). What is missing then may have been absorbed and deleted meanwhile, or
 * have come while the listing was made: so it counts as missing only if a second round finds the same under the same root.
 * At or below `serialThrough` nobody reads any more: what is wrong there is a warning.
 */
import { isPeatError, type PeatError } from '../base/errors.ts';
import { fromKey, show } from '../base/key.ts';
import { compareStamps, type Stamp } from '../base/stamp.ts';
import { type NamespaceLayout, type RecordId, recordName, recordText } from '../format/layout.ts';
import { decodeRecord, type SerialRecord, stripeOf } from '../format/record.ts';
import { type Root, serialNonce, serialThrough } from '../format/root.ts';
import { listLog } from '../log/log-listing.ts';
import { fateOfRecord } from '../log/record-log.ts';
import { runAsync } from '../medium/steps.ts';
import type { Finding } from './finding.ts';
import { readObject, type VerifyContext } from './verify-context.ts';

export interface RecordCensus {
  /** Files. */
  records: number;
  /** Of these, those that the root has not absorbed, and their deltas. */
  tailRecords: number;
  recordDeltas: number;
}

/** The newest root that can be read, and the number of the newest one that is there. */
export interface NewestRoot {
  readonly root: Root;
  readonly highest: number;
}

const ROUNDS_MAX = 20;

export class RecordsVerifier {
  readonly #context: VerifyContext;
  readonly #layout: NamespaceLayout;

  constructor(context: VerifyContext, layout: NamespaceLayout) {
    this.#context = context;
    this.#layout = layout;
  }

  /** @param newest asked after each listing */
  async verify(newest: () => Promise<NewestRoot>): Promise<RecordCensus> {
    let known: Round | undefined;
    for (let count = 1; ; count++) {
      const { records } = await runAsync(listLog(this.#layout), this.#context);
      const round = new Round(this.#layout, await newest(), this.#context.constants.stripes);
      for (const [stripe, listed] of records) {
        for (const { number } of listed) await this.#read(round, { stripe, number });
      }
      round.judge();
      const isSettled = round.missing === 0 || (known?.root.number === round.root.number && known.missing === round.missing);
      if (!isSettled && count < ROUNDS_MAX) {
        known = round;
        continue;
      }
      for (const finding of round.findings) this.#context.findings.add(finding);
      return round.census;
    }
  }

  async #read(round: Round, id: RecordId): Promise<void> {
    const bytes = await readObject(this.#context, recordName(this.#layout, id));
    // Where it was absorbed and deleted since it was listed, the next round shows that.
    if (bytes === 'absent') return;
    round.take(id, bytes === 'unreadable' ? undefined : bytes);
  }
}

/** One look at all records, with what is wrong by it. */
class Round {
  readonly root: Root;
  readonly findings: Finding[] = [];
  readonly census: RecordCensus = { records: 0, tailRecords: 0, recordDeltas: 0 };
  /** Records that should be there and are not. */
  missing = 0;
  readonly #newest: number;
  readonly #layout: NamespaceLayout;
  readonly #stripes: number;
  /** Above `serialThrough`; undefined for those that can't be read. */
  readonly #tail = new Map<number, Map<number, SerialRecord | undefined>>();
  /** By stripe, the number of the last record that is known to have been there. */
  readonly #ends = new Map<number, number>();

  constructor(layout: NamespaceLayout, { root, highest }: NewestRoot, stripes: number) {
    this.#layout = layout;
    this.root = root;
    this.#newest = highest;
    this.#stripes = stripes;
  }

  /** @param bytes undefined if the medium can't read them, which was reported */
  take(id: RecordId, bytes: Buffer | undefined): void {
    this.census.records++;
    const isCovered = id.number <= serialThrough(this.root, id.stripe);
    const record = bytes === undefined ? undefined : this.#decode(id, bytes, isCovered);
    if (isCovered) {
      if (record !== undefined) this.#checkLate(record);
      return;
    }
    this.census.tailRecords++;
    this.census.recordDeltas += record?.entries.length ?? 0;
    const stripe = this.#tail.get(id.stripe);
    if (stripe === undefined) this.#tail.set(id.stripe, new Map([[id.number, record]]));
    else stripe.set(id.number, record);
  }

  #decode(id: RecordId, bytes: Buffer, isCovered: boolean): SerialRecord | undefined {
    try {
      return decodeRecord(this.#layout, id, bytes);
    } catch (error) {
      if (!isPeatError(error, 'CORRUPT')) throw error;
      this.#reportDamage(error, { id, bytes: bytes.length, isCovered });
      return undefined;
    }
  }

  /** Once all records were taken. */
  judge(): void {
    this.#findEnds();
    for (const stripe of this.#ends.keys()) this.#checkGaps(stripe);
    for (const records of this.#tail.values()) {
      const stamps = new Map<string, Stamp>();
      for (const record of records.values()) {
        if (record === undefined) continue;
        this.#checkContents(record);
        this.#checkLinks(record);
        if (fateOfRecord(record, this.root, this.#find) === 'effective') this.#checkStamps(record, stamps);
      }
    }
  }

  readonly #find = ({ stripe, number }: RecordId): SerialRecord | undefined => this.#tail.get(stripe)?.get(number);

  #isThere({ stripe, number }: RecordId): boolean {
    return number <= serialThrough(this.root, stripe) || this.#tail.get(stripe)?.has(number) === true;
  }

  #highest(stripe: number): number {
    return this.#ends.get(stripe) ?? serialThrough(this.root, stripe);
  }

  /** Who links to a number has seen the one before it, even where nothing is left of that. */
  #findEnds(): void {
    const note = (stripe: number, number: number): void => {
      if (number > this.#highest(stripe)) this.#ends.set(stripe, number);
    };
    for (const [stripe, records] of this.#tail) {
      for (const [number, record] of records) {
        note(stripe, number);
        for (const link of record?.links ?? []) note(link.stripe, link.number - 1);
      }
    }
  }

  // ---- what is missing

  #checkGaps(stripe: number): void {
    const highest = this.#highest(stripe);
    let next = serialThrough(this.root, stripe) + 1;
    for (const number of [...(this.#tail.get(stripe)?.keys() ?? []), highest + 1]) {
      if (number > next) this.#reportMissing({ stripe, number: next }, { until: number - 1, highest });
      next = number + 1;
    }
  }

  #reportMissing(id: RecordId, { until, highest }: { until: number; highest: number }): void {
    const count = until - id.number + 1;
    this.missing += count;
    const isAtEnd = until === highest;
    const what = `${count === 1 ? 'this record is' : `${count} records from this one on are`} missing`;
    this.#add(id, {
      severity: 'damage',
      code: 'record-missing',
      what: isAtEnd
        ? `${what}; an update of several stripes tells of ${recordText({ ...id, number: until })}`
        : `${what}; stripe ${id.stripe} goes on to ${highest}`,
      meaning: isAtEnd
        ? 'what it changed is lost; until it is given up, updates may take its number again, or be stuck behind the gap'
        : 'what it changed is lost, and until it is given up the namespace can be neither read nor updated',
      action: 'restore the file from a backup, or peat repair: it goes on with the records that are there',
    });
  }

  // ---- updates of several stripes

  #checkLinks(record: SerialRecord): void {
    const { id, kind, links } = record;
    const isRight =
      kind === 'single'
        ? links.length === 0
        : kind === 'secondary'
          ? links.length === 1
          : links.length > 0 && links.every(({ stripe }) => stripe > id.stripe);
    const isPossible = links.every(({ stripe, number }) => number > 0 && stripe !== id.stripe);
    if (!isRight || !isPossible) {
      this.#reportContents(id, `its links point nowhere: ${kind}, [${links.map(recordText).join(', ')}]`);
      return;
    }
    if (record.root < this.root.horizon) return;
    if (kind === 'primary') for (const link of links) this.#checkPart(record, link);
    else if (kind === 'secondary') this.#checkDecided(record, links[0] as RecordId);
  }

  #checkPart(primary: SerialRecord, link: RecordId): void {
    const part = this.#find(link);
    if (part === undefined) {
      if (link.number <= serialThrough(this.root, link.stripe)) this.#reportSplit(primary.id, link);
      // A gap that is reported as such, or a damaged file.
      if (link.number <= this.#highest(link.stripe)) return;
      this.missing++;
      this.#reportPart(primary.id, `of its update ${recordText(link)} is missing`);
    } else if (
      part.nonce !== primary.nonce ||
      part.kind !== 'secondary' ||
      recordText(part.links[0] ?? part.id) !== recordText(primary.id)
    ) {
      this.#reportPart(primary.id, `of its update ${recordText(link)} is another's record`);
    }
  }

  #reportSplit(id: RecordId, link: RecordId): void {
    this.#add(id, {
      severity: 'warning',
      code: 'update-split',
      what: `of its update ${recordText(link)} is absorbed, but not this part`,
      meaning: 'it is read and absorbed like any other; a repair after several roots were lost leaves that, and nothing else should',
      action: 'nothing after such a repair; else report it',
    });
  }

  /** A record is put behind one of an update of several stripes only once that is decided. */
  #checkDecided(secondary: SerialRecord, link: RecordId): void {
    const { id } = secondary;
    if (this.#isThere(link) || id.number === this.#highest(id.stripe)) return;
    this.missing++;
    this.#reportPart(id, `records follow it, but ${recordText(link)}, which decides whether it counts, is missing`);
  }

  #reportPart(id: RecordId, what: string): void {
    this.#add(id, {
      severity: 'damage',
      code: 'update-in-part',
      what,
      meaning: 'an update of several stripes is there in part; until that is given up, the namespace can be neither read nor updated',
      action: 'restore the missing file from a backup, or peat repair: it keeps what can be read of an update that was decided',
    });
  }

  // ---- what stands in a record

  #checkContents({ id, root, entries }: SerialRecord): void {
    if (id.stripe >= this.#stripes) this.#reportContents(id, `there are ${this.#stripes} stripes only`);
    if (root > this.#newest) this.#reportRootGone(id, root);
    const keys = new Set<string>();
    for (const { key } of entries) {
      const stripe = stripeOf(key, this.#stripes);
      if (stripe !== id.stripe) this.#reportContents(id, `key ${show(fromKey(key))} belongs to stripe ${stripe}`);
      if (keys.has(key)) this.#reportContents(id, `key ${show(fromKey(key))} stands in it twice`);
      keys.add(key);
    }
  }

  /** What was read has an older stamp than what was made of it (rule B7). */
  #checkStamps({ id, entries }: SerialRecord, stamps: Map<string, Stamp>): void {
    for (const { key, stamp } of entries) {
      const before = stamps.get(key);
      if (before !== undefined && compareStamps(stamp, before) <= 0) {
        this.#reportContents(id, `the stamp of ${show(fromKey(key))} is not above that of the record before`);
      }
      stamps.set(key, stamp);
    }
  }

  /** A root can be seen before its name is durable, and a record that rests on it is durable at once. */
  #reportRootGone(id: RecordId, root: number): void {
    this.#add(id, {
      severity: 'warning',
      code: 'root-gone',
      what: `it rests on root ${root}, but the newest one is ${this.#newest}`,
      meaning: 'a power cut took that root before it was durable, and then nothing is lost; or someone has deleted it',
      action: 'if nobody cut the power: restore a backup, or see that nothing else was deleted',
    });
  }

  #reportContents(id: RecordId, what: string): void {
    this.#add(id, {
      severity: 'damage',
      code: 'record-contents',
      what,
      meaning: 'its checksum is right, so it was written like this: a defect of the release that wrote it, or tampering',
      action: 'report it; restore a backup, or import an export',
    });
  }

  #reportDamage(error: PeatError, { id, bytes, isCovered }: { id: RecordId; bytes: number; isCovered: boolean }): void {
    const file = recordName(this.#layout, id);
    this.#add(id, {
      severity: isCovered ? 'warning' : 'damage',
      code: 'record-damaged',
      ...(error.offset === undefined ? {} : { offset: error.offset }),
      bytes,
      what: error.message.replace(`${file}: `, ''),
      meaning: isCovered
        ? 'nobody reads it any more: the newest root has absorbed the stripe beyond it'
        : 'what it changed is lost, and until it is given up the namespace can be neither read nor updated',
      action: isCovered ? 'nothing; the compactor deletes it' : 'peat repair: it keeps every other record',
    });
  }

  /** A root that still knows the nonce tells whether it absorbed this very record. */
  #checkLate({ id, nonce }: SerialRecord): void {
    const absorbed = serialNonce(this.root, id);
    if (absorbed === undefined || absorbed === '' || absorbed === nonce) return;
    this.#add(id, {
      severity: 'info',
      code: 'record-late',
      what: 'it is whole, but not the record that was absorbed under its number',
      meaning: 'an update that had stalled put it again after the other was deleted; nobody reads it, and its caller was told',
      action: 'nothing; the compactor deletes it',
    });
  }

  #add(id: RecordId, finding: Omit<Finding, 'file'>): void {
    this.findings.push({ ...finding, file: recordName(this.#layout, id) });
  }
}
