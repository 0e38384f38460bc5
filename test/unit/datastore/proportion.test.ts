/**
 * What calls cost in a small store and in one that is twenty times as large, in calls and bytes at the medium: in proportion to what is asked
 * for, and not to what is there.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Namespace, type Operation, open, type Store } from '../../../src/index.ts';
import { MeteredMedium, type Traffic } from '../../support/metered-medium.ts';
import { randomFrom } from '../../support/random.mjs';

interface Item {
  readonly count: number;
  readonly text: string;
}

const FOLDERS = 100;
const SMALL = 1000;
const LARGE = 20_000;
const KIB = 1024;

function keyOf(folder: number, i: number): string {
  return `f${String(folder).padStart(2, '0')}/${String(i).padStart(6, '0')}`;
}

/** A store that was filled and compacted: so many entries, as many in each folder. */
class FilledStore {
  readonly medium = new MeteredMedium();
  readonly #inFolder: number;
  readonly #random = randomFrom(1);
  /** Of the tables, after the filling. */
  tableBytes = 0;
  #open: { readonly store: Store; readonly items: Namespace<Item> } | undefined;

  constructor(entries: number) {
    this.#inFolder = entries / FOLDERS;
  }

  get items(): Namespace<Item> {
    return this.#opened.items;
  }

  get store(): Store {
    return this.#opened.store;
  }

  get #opened(): { readonly store: Store; readonly items: Namespace<Item> } {
    if (this.#open === undefined) throw new Error('it is not open');
    return this.#open;
  }

  async fill(): Promise<void> {
    await this.reopen();
    for (let folder = 0; folder < FOLDERS; folder++) await this.rewrite([folder]);
    this.tableBytes = (await this.medium.during(() => this.store.compact())).tables;
  }

  /** Closes the store and opens it: nothing is warm. */
  async reopen(): Promise<void> {
    await this.#open?.store.close();
    const store = await open(this.medium, { autoCompact: false });
    this.#open = { store, items: store.namespace<Item>('items') };
  }

  /** Puts all entries of some folders once more. */
  async rewrite(folders: readonly number[]): Promise<void> {
    const operations: Operation<Item>[] = [];
    for (const folder of folders) {
      for (let i = 0; i < this.#inFolder; i++) operations.push({ type: 'put', key: keyOf(folder, i), value: this.#newItem(i) });
    }
    await this.items.batch(operations);
  }

  /** Text that does not compress to nothing. */
  #newItem(count: number): Item {
    let text = '';
    while (text.length < 300) text += this.#random().toString(36).slice(2);
    return { count, text };
  }
}

const small = new FilledStore(SMALL);
const large = new FilledStore(LARGE);

/** The same in both stores. */
async function inBoth(work: (filled: FilledStore) => Promise<unknown>): Promise<readonly [Traffic, Traffic]> {
  return [await small.medium.during(() => work(small)), await large.medium.during(() => work(large))];
}

async function count(entries: AsyncIterable<unknown>, max = Number.POSITIVE_INFINITY): Promise<number> {
  let counted = 0;
  for await (const _ of entries) if (++counted >= max) break;
  return counted;
}

beforeAll(async () => {
  await small.fill();
  await large.fill();
});

describe('whatever else a store holds', () => {
  it('an append is one write of its own bytes', async () => {
    const item = { count: 1, text: 'new' };
    await inBoth(({ items }) => items.put(keyOf(3, 1), item));
    const [few, many] = await inBoth(({ items }) => items.put(keyOf(3, 2), item));
    expect(few).toEqual(many);
    expect(many).toMatchObject({ read: 0, tables: 0, calls: 1 });
    expect(many.written).toBeLessThan(100);
  });

  it('a get reads one block, and what it takes to find it', async () => {
    await Promise.all([small.reopen(), large.reopen()]);
    const [, cold] = await inBoth(({ items }) => items.get(keyOf(50, 5)));
    expect(cold.read).toBeGreaterThan(0);
    expect(cold.read).toBeLessThan(64 * KIB);
    expect(cold.read).toBeLessThan(large.tableBytes / 100);
  });

  it('an update makes the same calls, reads one block, and writes what it changes', async () => {
    const rise = (item: Item | undefined): Item => ({ count: (item?.count ?? 0) + 1, text: '' });
    await inBoth(({ items }) => items.update(keyOf(7, 1), rise));
    const [few, many] = await inBoth(({ items }) => items.update(keyOf(7, 2), rise));
    // In the larger one the key may lie in a table whose index was not read yet.
    expect(many.calls - few.calls).toBeLessThanOrEqual(2);
    expect(many.read).toBeLessThan(64 * KIB);
    expect(many.written).toBeLessThan(200);
    expect(many.tables).toBe(0);
  });

  it('the removal of seven entries writes seven keys, and its compaction seven tombstones and a root', async () => {
    await inBoth(({ store }) => store.compact());
    const keys = Array.from({ length: 7 }, (_, i) => keyOf(i * 13, 3));
    const [few, many] = await inBoth(({ items }) => items.batch(keys.map((key) => ({ type: 'delete', key }))));
    expect(many).toMatchObject({ read: 0, tables: 0 });
    expect(many.written).toBeLessThan(few.written + 100);
    const [, compacted] = await inBoth(({ store }) => store.compact());
    expect(compacted.tables).toBeGreaterThan(0);
    expect(compacted.tables).toBeLessThan(4 * KIB);
    expect(compacted.written).toBeLessThan(16 * KIB);
    expect(compacted.read).toBeLessThan(64 * KIB);
    expect(await large.items.get(keys[1] as string)).toBeUndefined();
  });

  it('a scan reads what it gives: one folder, ten, or the first entries of all', async () => {
    const scanned = async (prefix: string, max?: number): Promise<{ traffic: Traffic; found: number }> => {
      await large.reopen();
      let found = 0;
      const traffic = await large.medium.during(async () => {
        found = await count(large.items.scan({ prefix }), max);
      });
      return { traffic, found };
    };
    const folder = await scanned('f44/');
    const ten = await scanned('f4');
    const all = await scanned('f');
    expect([folder.found, ten.found]).toEqual([LARGE / FOLDERS, LARGE / 10]);
    expect(all.traffic.read).toBeGreaterThan(large.tableBytes * 0.9);
    // Blocks at either end, and the root, are more than what was asked for.
    expect(folder.traffic.read).toBeLessThan((all.traffic.read / FOLDERS) * 2 + 64 * KIB);
    expect(ten.traffic.read).toBeLessThan((all.traffic.read / 10) * 1.2 + 64 * KIB);
    // Nor does a reader run ahead of who takes the entries one by one.
    const first = await scanned('f', 10);
    expect(first.found).toBe(10);
    expect(first.traffic.read).toBeLessThan(all.traffic.read / 20);
  });
});

describe('a compaction', () => {
  it('writes in proportion to the shards that were touched', async () => {
    await large.reopen();
    const rewritten = async (folders: readonly number[]): Promise<number> => {
      await large.rewrite(folders);
      return (await large.medium.during(() => large.store.compact())).tables / folders.length;
    };
    const oneFolder = large.tableBytes / FOLDERS;
    // Folders far from each other lie in shards of their own. A stack may be merged on this occasion, with what it holds.
    for (const folders of [[11], [22, 77], [5, 35, 65, 95]]) {
      const each = await rewritten(folders);
      expect(each).toBeGreaterThan(oneFolder * 0.8);
      expect(each).toBeLessThan(oneFolder * 4);
    }
  });
});
