/** A namespace whose read-modify-write records are put by hand, and a view of it. */
import { compareKeys, type Key } from '../../src/base/key.ts';
import { compareStamps, maxStamp, SeenTime, type Stamp } from '../../src/base/stamp.ts';
import { decodeValue } from '../../src/base/value.ts';
import type { Entry } from '../../src/format/entry.ts';
import { recordName, tableFileText } from '../../src/format/layout.ts';
import type { SerialRecord } from '../../src/format/record.ts';
import { addSerialNonces, NO_COUNTS, type Root, type TableRef } from '../../src/format/root.ts';
import { TableBuilder } from '../../src/format/table/table-builder.ts';
import { highestRootNumber } from '../../src/manifest/newest-root.ts';
import { runAsync, runBlocking } from '../../src/medium/steps.ts';
import { TableStore } from '../../src/read/table-store.ts';
import { View } from '../../src/read/view.ts';
import { Zoo } from './store-zoo.ts';

export class RecordWorld extends Zoo {
  static async create(): Promise<RecordWorld> {
    const world = new RecordWorld();
    await world.init();
    return world;
  }

  #passes = 0;

  /** Takes records in as a compactor would, in the order of their stripes' numbers; one whose nonce is "" has no effect. */
  async absorb(...records: readonly SerialRecord[]): Promise<Root> {
    const newest = new Map<string, Entry>();
    for (const { nonce, entries } of records) {
      for (const entry of nonce === '' ? [] : entries) {
        const other = newest.get(entry.key);
        if (other === undefined || compareStamps(entry.stamp, other.stamp) > 0) newest.set(entry.key, entry);
      }
    }
    const sorted = [...newest.values()].sort((a, b) => compareKeys(a.key, b.key));
    const pass = `${String(++this.#passes).padStart(20, '0')}`;
    const tables = sorted.length === 0 ? undefined : await this.#putTable(sorted, pass);
    return await this.commit((root) => {
      const serialThrough = new Map(root.serialThrough);
      const serialNonces = new Map(root.serialNonces);
      for (const { id, nonce } of records) {
        serialThrough.set(id.stripe, id.number);
        serialNonces.set(id.stripe, addSerialNonces(serialNonces.get(id.stripe), [nonce]));
      }
      const stack = root.shards[0]?.tables ?? [];
      return {
        serialThrough,
        serialNonces,
        shards: tables === undefined ? root.shards : [{ from: '' as Key, tables: [...stack, tables] }],
        maxStamp: sorted.reduce<Stamp | undefined>((last, { stamp }) => maxStamp(last, stamp), root.maxStamp),
        counts: { ...NO_COUNTS, deltasIn: sorted.length, entriesWritten: sorted.length },
      };
    });
  }

  async #putTable(entries: readonly Entry[], pass: string): Promise<TableRef> {
    const { medium, system, layout } = this;
    const next = ((await runAsync(highestRootNumber(layout), { medium, system })) ?? -1) + 1;
    const file = tableFileText({ root: next, pass, index: 0 });
    const builder = new TableBuilder();
    for (const entry of entries) builder.add(entry.value === undefined ? { ...entry, absorbedAt: next } : entry);
    const { bytes, ...facts } = builder.finish();
    await medium.putIfAbsent(layout.shard + file, bytes);
    return { ...facts, file, offset: 0 };
  }

  async remove(...records: readonly Pick<SerialRecord, 'id'>[]): Promise<void> {
    await this.medium.delete(records.map(({ id }) => recordName(this.layout, id)));
  }

  newView(): View {
    const { medium, system, layout } = this;
    return new View({ medium, system, layout, tables: new TableStore(medium, layout, { cacheBytes: 0 }), seen: new SeenTime() });
  }
}

/** What the tail of a view says of a key. */
export function tailValue(view: View, key: string): unknown {
  const value = view.state.tail.get(key as Key)?.value;
  return value === undefined ? undefined : decodeValue(value);
}

export function refresh(view: View, { medium, system }: Zoo): 'fresh' | 'draining' {
  return runBlocking(view.refresh(), { medium, system });
}
