/**
 * A small store with a file of every kind, the same bytes each time: several roots, tables that share a file, dropped and unnamed
 * table files, segments sealed, unsealed, torn, synced or not, appended and framed, tickets with markers, beats and floors, temporary
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
import { lockPrefix, type NamespaceLayout, namespaceLayout, STORE_FILE, segmentIdText } from '../../src/format/layout.ts';
import type { TableRef } from '../../src/format/root.ts';
import { DEFAULT_CONSTANTS, newStoreFile } from '../../src/format/store-file.ts';
import { TableBuilder } from '../../src/format/table/table-builder.ts';
import type { ProcessFacts } from '../../src/lock/process-facts.ts';
import { TicketQueue } from '../../src/lock/ticket-queue.ts';
import { openSegmentWriter, type SegmentWriter } from '../../src/log/segment-writer.ts';
import { commitRoot, createNamespace, dropNamespace, nextRoot, readRootBase } from '../../src/manifest/commit-root.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { VirtualSystem } from './virtual-system.ts';

const IDENTITY = { host: 'zoo', bootId: 'boot-1', pidNamespace: 'pid:[1]', pid: 4711, startTime: 12345 };

/** Facts about processes that never change. */
export const ZOO_FACTS: ProcessFacts = { self: IDENTITY, stateOf: () => 'unknown' };

export class Zoo {
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
  async commitSharedTables(keys: readonly string[]): Promise<void> {
    const { medium, system, layout } = this;
    const base = await runAsync(readRootBase(layout, system), { medium, system });
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
    const root = nextRoot(base, system, { shards, dropped, counts, maxStamp: last });
    const { outcome } = await commitRoot({ medium, system, layout }, root);
    if (outcome !== 'committed') throw new Error(outcome);
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
    await this.commitSharedTables(Array.from({ length: 30 }, (_, i) => `key/${String(i).padStart(3, '0')}`));
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
    await this.makeLocks();
    await this.#makeStrays();
    const gone = namespaceLayout('gone');
    await createNamespace({ medium: this.medium, system: this.system, layout: gone });
    await dropNamespace({ medium: this.medium, system: this.system, layout: gone });
  }

  async #makeStrays(): Promise<void> {
    const { medium, layout } = this;
    const builder = new TableBuilder();
    builder.add(this.#entry('lost/pass'));
    await medium.putIfAbsent(`${layout.shard}00000000000000000002-failedfailedfailedfa-0`, builder.finish().bytes);
    await medium.putIfAbsent('tmp/0123456789abcdefghij', Buffer.from('half a file'));
    await medium.putIfAbsent(`quarantine/${layout.root}00000000000000000000`, Buffer.from('what was damaged'));
    await medium.putIfAbsent('notes.txt', Buffer.from('who put this here?'));
  }
}
