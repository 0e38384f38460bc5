/**
 * A small store with a file of every kind, the same bytes each time: several roots, tables that share a file, dropped and unnamed
 * table files, segments sealed, unsealed, torn, synced or not, appended and framed, read-modify-write records absorbed, waiting, of several
 * stripes, and undecided, tickets with markers, beats and floors, temporary
 * and quarantined files, a dropped namespace.
 */
import { compactOnce } from '../../compactor/pass.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import type { Key } from '../../src/base/key.ts';
import { newWriterId } from '../../src/base/system.ts';
import { encodeValue } from '../../src/base/value.ts';
import { encodeBatch } from '../../src/format/batch.ts';
import { encodeCheckedJson } from '../../src/format/checked-json-encode.ts';
import type { Entry } from '../../src/format/entry.ts';
import {
  lockPrefix,
  type NamespaceLayout,
  namespaceLayout,
  type RecordId,
  recordName,
  STORE_FILE,
  segmentIdText,
} from '../../src/format/layout.ts';
import { encodeRecord, type SerialRecord, stripeOf } from '../../src/format/record.ts';
import type { Root, TableRef } from '../../src/format/root.ts';
import { DEFAULT_CONSTANTS, newStoreFile } from '../../src/format/store-file.ts';
import { TableBuilder } from '../../src/format/table/table-builder.ts';
import type { ProcessFacts } from '../../src/lock/process-facts.ts';
import { TicketQueue } from '../../src/lock/ticket-queue.ts';
import { listLog } from '../../src/log/log-listing.ts';
import { openSegmentWriter, type SegmentWriter } from '../../src/log/segment-writer.ts';
import { commitRoot, createNamespace, dropNamespace, nextRoot, readRootBase } from '../../src/manifest/commit-root.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { VirtualSystem } from './virtual-system.ts';

const IDENTITY = { host: 'zoo', bootId: 'boot-1', pidNamespace: 'pid:[1]', pid: 4711, startTime: 12345 };

/** Facts about processes that never change. */
export const ZOO_FACTS: ProcessFacts = { self: IDENTITY, stateOf: () => 'unknown' };

export interface RecordOptions {
  /** Default: the next number of the stripe of the first key. */
  readonly id?: RecordId;
  readonly root?: number;
  readonly nonce?: string;
  readonly kind?: SerialRecord['kind'];
  readonly links?: readonly RecordId[];
  readonly expiresInMs?: number;
}

export class Zoo {
  #nonces = 0;
  readonly system = new VirtualSystem(undefined, { seed: 7 });
  readonly medium: MemoryMedium = new MemoryMedium({ system: this.system, canAppend: true });
  /** Segments made of objects come from here; `adopt` copies them over. */
  readonly framed: MemoryMedium = new MemoryMedium({ system: this.system, canAppend: false });
  readonly layout: NamespaceLayout = namespaceLayout('zoo');

  async init(): Promise<void> {
    const { system } = this;
    const file = newStoreFile({
      storeId: '0123456789abcdefghij',
      segments: 'appended',
      constants: DEFAULT_CONSTANTS,
      probed: { description: 'memory' },
      createdAtMs: system.wallNowMs(),
    });
    await this.medium.putIfAbsent(STORE_FILE, encodeCheckedJson(file));
    await createNamespace({ medium: this.medium, system, layout: this.layout });
  }

  openWriter(options: { root?: number; medium?: Medium; layout?: NamespaceLayout } = {}): SegmentWriter {
    const { root = 0, medium = this.medium, layout = this.layout } = options;
    return openSegmentWriter(medium, layout, { root, writer: newWriterId(this.system), sequence: 0 });
  }

  /** Appends a group of one batch; a second later than the one before. */
  async append(
    writer: SegmentWriter,
    puts: Record<string, unknown>,
    options: { durable?: boolean; expiresInMs?: number } = {},
  ): Promise<void> {
    this.system.time.skip(1000);
    const { durable = true, expiresInMs = 0 } = options;
    const payload = new ByteWriter();
    encodeBatch(
      payload,
      Object.entries(puts).map(([key, value]) => ({
        key: key as Key,
        value: value === undefined ? undefined : encodeValue(value),
        expiresAtMs: expiresInMs === 0 || value === undefined ? 0 : this.system.wallNowMs() + expiresInMs,
      })),
    );
    await writer.append([{ time: this.system.wallNowMs() * 1024, payload: payload.copy() }], durable);
  }

  /** The stripe of a key. */
  stripeOf(key: string): number {
    return stripeOf(key as Key, DEFAULT_CONSTANTS.stripes);
  }

  /** The number that the next record of a stripe gets. */
  async nextRecord(stripe: number): Promise<RecordId> {
    const { medium, system, layout } = this;
    const { records } = await runAsync(listLog(layout), { medium, system });
    const base = await runAsync(readRootBase(layout, { medium, system }), { medium, system });
    const listed = records.get(stripe)?.at(-1)?.number ?? 0;
    return { stripe, number: Math.max(listed, base?.root.serialThrough.get(stripe) ?? 0) + 1 };
  }

  /** Puts the next record of the stripe of the first key, a second later than the one before; undefined deletes a key. */
  async putRecord(puts: Record<string, unknown>, options: RecordOptions = {}): Promise<SerialRecord> {
    const { system, layout } = this;
    system.time.skip(1000);
    const id = options.id ?? (await this.nextRecord(this.stripeOf(Object.keys(puts)[0] as string)));
    const expiresAtMs = options.expiresInMs === undefined ? 0 : system.wallNowMs() + options.expiresInMs;
    const stamp = { time: system.wallNowMs() * 1024, writer: 'zoozoozoozoozooz', sub: 1 };
    const entries = Object.entries(puts).map(
      ([key, value]): Entry => ({
        key: key as Key,
        stamp,
        value: value === undefined ? undefined : encodeValue(value),
        expiresAtMs: value === undefined ? 0 : expiresAtMs,
        absorbedAt: 0,
      }),
    );
    const nonce = options.nonce ?? `nonce${String(++this.#nonces).padStart(15, '0')}`;
    const { root = 0, kind = 'single', links = [] } = options;
    const record: SerialRecord = { id, nonce, root, kind, links, entries };
    const isPut = await this.medium.putIfAbsent(recordName(layout, id), encodeRecord(layout, record));
    if (!isPut) throw new Error(`${recordName(layout, id)} is there`);
    return record;
  }

  /** An update of keys of several stripes: its records in the order in which they are put, the primary last. */
  async putUpdate(puts: Record<string, unknown>, options: { root?: number; withoutPrimary?: boolean } = {}): Promise<SerialRecord[]> {
    const { root = 0, withoutPrimary = false } = options;
    const stripes = [...new Set(Object.keys(puts).map((key) => this.stripeOf(key)))].sort((a, b) => a - b);
    const ids = await Promise.all(stripes.map((stripe) => this.nextRecord(stripe)));
    const [primary, ...secondaries] = ids as [RecordId, ...RecordId[]];
    const nonce = `many${String(++this.#nonces).padStart(16, '0')}`;
    const of = ({ stripe }: RecordId): Record<string, unknown> =>
      Object.fromEntries(Object.entries(puts).filter(([key]) => this.stripeOf(key) === stripe));
    const put: SerialRecord[] = [];
    for (const id of secondaries) put.push(await this.putRecord(of(id), { id, root, nonce, kind: 'secondary', links: [primary] }));
    if (!withoutPrimary) put.push(await this.putRecord(of(primary), { id: primary, root, nonce, kind: 'primary', links: secondaries }));
    return put;
  }

  /** The root after the newest one, with changes. */
  async commit(changes: (root: Root) => Partial<Root>): Promise<Root> {
    const { medium, system, layout } = this;
    const base = await runAsync(readRootBase(layout, { medium, system }), { medium, system });
    if (base === undefined) throw new Error('no root');
    const root = nextRoot(base, system, changes(base.root));
    const { outcome } = await commitRoot({ medium, system, layout }, root);
    if (outcome !== 'committed') throw new Error(outcome);
    return root;
  }

  async compact(): Promise<void> {
    this.system.time.skip(1000);
    const { medium, system, layout } = this;
    await compactOnce({ medium, system, layout, constants: DEFAULT_CONSTANTS, log: () => {} });
  }

  /** Copies a framed segment into the store. */
  async adopt(): Promise<void> {
    for (const { name } of await this.framed.list(this.layout.log)) {
      await this.medium.putIfAbsent(name, (await this.framed.get(name)) as Buffer);
    }
  }

  /** The same bytes under a segment's name, without its last ones; or, where fewer than none are lost, with zeros behind them. */
  async tear(writer: SegmentWriter, lostBytes: number): Promise<void> {
    const name = this.layout.log + segmentIdText(writer.id);
    const bytes = (await this.medium.get(name)) as Buffer;
    writer.abandon();
    await this.medium.delete([name]);
    await this.medium.putIfAbsent(
      name,
      lostBytes < 0 ? Buffer.concat([bytes, Buffer.alloc(-lostBytes)]) : bytes.subarray(0, bytes.length - lostBytes),
    );
  }

  /** A root of two shards, three of whose tables share a file, as a pass over many shards would leave it. */
  async commitSharedTables(keys: readonly string[], changes: Partial<Root> = {}): Promise<void> {
    const { medium, system, layout } = this;
    const base = await runAsync(readRootBase(layout, { medium, system }), { medium, system });
    if (base === undefined) throw new Error('no root');
    const number = base.root.number + 1;
    const file = `${String(number).padStart(20, '0')}-sharedsharedsharedsh-0`;
    const thirds = [keys.slice(0, 6), keys.slice(6, 14), keys.slice(14)];
    const refs: TableRef[] = [];
    const parts: Buffer[] = [];
    for (const third of thirds) {
      const builder = new TableBuilder();
      for (const key of third) builder.add(this.#entry(key));
      const { bytes, ...facts } = builder.finish();
      refs.push({ ...facts, file, offset: parts.reduce((sum, part) => sum + part.length, 0) });
      parts.push(Buffer.from(bytes));
    }
    await medium.putIfAbsent(layout.shard + file, Buffer.concat(parts));
    const [a, b, c] = refs as [TableRef, TableRef, TableRef];
    const shards = [
      { from: '' as Key, tables: [a] },
      { from: b.first, tables: [b, c] },
    ];
    const dropped = new Map(base.root.dropped);
    for (const { tables } of base.root.shards) for (const table of tables) dropped.set(table.file, number);
    const entriesWritten = keys.length;
    const entriesRead = base.root.shards.flatMap(({ tables }) => tables).reduce((sum, { entries }) => sum + entries, 0);
    const counts = {
      ...base.root.counts,
      framesIn: 0,
      deltasIn: entriesWritten,
      logBytesIn: 0,
      entriesRead,
      entriesWritten,
      superseded: entriesRead,
    };
    const last = { time: c.maxTime, writer: 'zoozoozoozoozooz', sub: 0 };
    await this.commit(() => ({ shards, dropped, counts, maxStamp: last, ...changes }));
  }

  #entry(key: string): Entry {
    this.system.time.skip(1);
    const time = this.system.wallNowMs() * 1024;
    return {
      key: key as Key,
      stamp: { time, writer: 'zoozoozoozoozooz', sub: 0 },
      value: encodeValue(`value of ${key}`),
      expiresAtMs: 0,
      absorbedAt: 0,
    };
  }

  async makeLocks(): Promise<void> {
    const { medium, system } = this;
    const queue = new TicketQueue({ medium, system, facts: ZOO_FACTS, prefix: lockPrefix('user', 'nightly job') });
    for (let i = 0; i < 3; i++) {
      const number = await queue.enqueue(`nonce-of-ticket-000${i}`, { leaseMs: 10_000, purpose: `turn ${i}` });
      await queue.beat(number, 1);
      if (i === 0) {
        await queue.finish(number, 'released');
        await queue.sweep();
      } else if (i === 1) await queue.finish(number, 'stolen');
    }
  }

  /** Everything, as the header says. */
  async build(): Promise<void> {
    await this.init();
    const first = this.openWriter();
    await this.append(first, { alpha: 1, beta: { nested: [1, 2, 3] }, gamma: 'old' });
    await this.append(first, { gamma: 'new', delta: undefined });
    await first.seal();
    await this.compact();
    const second = this.openWriter({ root: 1 });
    await this.append(second, { epsilon: 'expires', zeta: 'expires' }, { expiresInMs: 3_600_000 });
    await this.append(second, { alpha: undefined });
    await this.compact();
    const absorbed = await this.putRecord({ 'key/000': 'an older version' });
    const { stripe } = absorbed.id;
    await this.commitSharedTables(
      Array.from({ length: 30 }, (_, i) => `key/${String(i).padStart(3, '0')}`),
      { serialThrough: new Map([[stripe, 1]]), serialNonces: new Map([[stripe, [absorbed.nonce]]]) },
    );
    // Beyond what the roots have absorbed.
    await this.append(second, { eta: 'after the root' });
    const third = this.openWriter({ root: 3 });
    await this.append(third, { 'key/001': 'changed' });
    await this.append(third, { 'key/002': undefined });
    await third.seal();
    const unsynced = this.openWriter({ root: 3 });
    await this.append(unsynced, { theta: 1 }, { durable: false });
    await this.append(unsynced, { iota: 2 }, { durable: false });
    await unsynced.seal();
    const torn = this.openWriter({ root: 3 });
    await this.append(torn, { kappa: 'kept' });
    await this.append(torn, { lambda: 'torn' });
    await this.tear(torn, 5);
    const allocated = this.openWriter({ root: 3 });
    await this.append(allocated, { pi: 'zeros follow' });
    await this.tear(allocated, -40);
    const objects = this.openWriter({ root: 3, medium: this.framed });
    await this.append(objects, { mu: 'object 0' });
    await this.append(objects, { nu: 'object 1' });
    await objects.seal();
    const open = this.openWriter({ root: 3, medium: this.framed });
    await this.append(open, { xi: 'object of an unsealed segment' });
    await this.adopt();
    await this.#makeRecords();
    await this.makeLocks();
    await this.#makeStrays();
    const gone = namespaceLayout('gone');
    await createNamespace({ medium: this.medium, system: this.system, layout: gone });
    await dropNamespace({ medium: this.medium, system: this.system, layout: gone });
  }

  /** Beyond what the roots have absorbed. */
  async #makeRecords(): Promise<void> {
    const root = 3;
    await this.putRecord({ 'key/000': 'updated' }, { root });
    await this.putRecord({ 'key/000': { updated: 'again' } }, { root, expiresInMs: 3_600_000 });
    await this.putRecord({ 'key/003': undefined }, { root });
    await this.putUpdate({ 'key/004': 'of an update', 'key/005': 'of several', 'key/006': 'stripes' }, { root });
    // A secondary whose primary's number another record has taken; and one that waits for its primary.
    const [left] = (await this.putUpdate({ 'key/007': 'not', 'key/008': 'made' }, { root, withoutPrimary: true })) as [SerialRecord];
    await this.putRecord({}, { id: left.links[0] as RecordId, root });
    await this.putUpdate({ 'key/009': 'undecided', 'key/010': 'undecided' }, { root, withoutPrimary: true });
  }

  async #makeStrays(): Promise<void> {
    const { medium, layout } = this;
    const builder = new TableBuilder();
    builder.add(this.#entry('lost/pass'));
    await medium.putIfAbsent(`${layout.shard}00000000000000000002-failedfailedfailedfa-0`, builder.finish().bytes);
    await medium.putIfAbsent('tmp/0123456789abcdefghij', Buffer.from('half a file'));
    await medium.putIfAbsent(`quarantine/${layout.root}00000000000000000000`, Buffer.from('what was damaged'));
    const record = (await medium.get(recordName(layout, { stripe: this.stripeOf('key/000'), number: 1 }))) as Buffer;
    for (const almost of ['s01-00000000000000000001', 's1-5']) await medium.putIfAbsent(layout.log + almost, record);
    await medium.putIfAbsent('notes.txt', Buffer.from('who put this here?'));
  }
}
