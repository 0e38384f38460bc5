/** A fresh read of a namespace in which nothing has changed asks the medium for next to nothing, and misses nothing where something has. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Key } from '../../../src/base/key.ts';
import { SeenTime } from '../../../src/base/stamp.ts';
import { decodeValue } from '../../../src/base/value.ts';
import { namespaceLayout } from '../../../src/format/layout.ts';
import { MemoryMedium, type Namespace, open, type Store } from '../../../src/index.ts';
import type { BlockingMedium, Medium } from '../../../src/medium/medium.ts';
import { NamespaceReader } from '../../../src/read/namespace-reader.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

const layout = namespaceLayout('items');

let system: VirtualSystem;
let inner: MemoryMedium;
let store: Store;
let items: Namespace<number>;
/** Calls of the reader's medium. */
let calls: string[];

beforeEach(async () => {
  system = new VirtualSystem(undefined, { seed: 1 });
  inner = new MemoryMedium({ system, canAppend: true });
  store = await open(inner, { system, autoCompact: false });
  items = store.namespace('items');
  await items.put('a', 1);
  calls = [];
});

function counting(): Medium {
  const blocking = inner.blocking as BlockingMedium;
  const note = <T>(call: string, result: T): T => {
    calls.push(call);
    return result;
  };
  const counted: BlockingMedium = {
    putIfAbsent: (name, bytes) => blocking.putIfAbsent(name, bytes),
    get: (name, range) => note('get', blocking.get(name, range)),
    list: (prefix, options) => note('list', blocking.list(prefix, options)),
    openAppend: (name) => blocking.openAppend(name),
    syncNames: (prefix) => blocking.syncNames(prefix),
    watermark: (prefix) => note('watermark', blocking.watermark(prefix)),
    endsAt: (name, offset) => note('endsAt', blocking.endsAt?.(name, offset) === true),
  };
  return new Proxy(inner, { get: (target, name) => (name === 'blocking' ? counted : Reflect.get(target, name, target)) });
}

class Reader {
  readonly #reader = new NamespaceReader(
    { medium: counting(), system, layout, seen: new SeenTime() },
    { cacheBytes: 1 << 20, emptyIfMissing: false, frozen: false, drainWaitMs: 0, finishDrain: undefined },
  );

  async get(key: string): Promise<unknown> {
    const value = (await this.#reader.get(key as Key))?.value;
    return value === undefined ? undefined : decodeValue(value);
  }
}

describe('a fresh read', () => {
  it('of what has not changed lists and reads nothing', async () => {
    const other = store.namespace<number>('items');
    await other.put('b', 2);
    const reader = new Reader();
    expect(await reader.get('a')).toBe(1);
    calls = [];
    expect(await reader.get('b')).toBe(2);
    expect(calls.sort()).toEqual(['endsAt', 'endsAt', 'watermark', 'watermark']);
  });

  it('sees what was appended, updated, deleted and compacted since the last one', async () => {
    const reader = new Reader();
    for (let i = 0; i < 30; i++) {
      await items.put('a', i);
      expect(await reader.get('a')).toBe(i);
      expect(await reader.get('a')).toBe(i);
      if (i % 3 === 0) await items.update('u', () => i);
      expect(await reader.get('u')).toBe(i - (i % 3));
      if (i % 5 === 0) await system.time.until(store.compact());
      expect(await reader.get('a')).toBe(i);
      await items.delete('a');
      expect(await reader.get('a')).toBeUndefined();
    }
  });

  it('sees the first write of another writer', async () => {
    const reader = new Reader();
    await reader.get('a');
    // Blind writes of two stores are ordered by their clocks.
    await system.advance(10);
    const other = await open(inner, { system, autoCompact: false });
    await other.namespace<number>('items').put('a', 7);
    expect(await reader.get('a')).toBe(7);
    await other.namespace<number>('items').put('a', 8);
    expect(await reader.get('a')).toBe(8);
    await other.close();
    expect(await reader.get('a')).toBe(8);
  });

  it('looks again at what is torn, which may be a frame that is being written', async () => {
    const reader = new Reader();
    await reader.get('a');
    const [segment] = await inner.list(layout.log);
    const whole = await inner.get(segment?.name ?? '');
    await items.put('a', 2);
    const grown = await inner.get(segment?.name ?? '');
    await inner.delete([segment?.name ?? '']);
    const half = await inner.openAppend(segment?.name ?? '');
    const cut = (whole?.length ?? 0) + 10;
    half.write((grown as Buffer).subarray(0, cut));
    expect(await reader.get('a')).toBe(1);
    calls = [];
    expect(await reader.get('a')).toBe(1);
    expect(calls).toContain('get');
    half.write((grown as Buffer).subarray(cut));
    expect(await reader.get('a')).toBe(2);
  });

  it('fails when the namespace was dropped', async () => {
    const reader = new Reader();
    await reader.get('a');
    await store.dropNamespace('items');
    await expect(reader.get('a')).rejects.toThrow('was dropped');
  });

  it('makes the whole look again where a minute has passed in the middle of it', async () => {
    const reader = new Reader();
    await reader.get('a');
    const ends = inner.blocking as BlockingMedium;
    const original = ends.endsAt?.bind(ends);
    ends.endsAt = (name, offset) => {
      system.sleepSync(61_000);
      return original?.(name, offset) === true;
    };
    calls = [];
    expect(await reader.get('a')).toBe(1);
    expect(calls).toContain('get');
  });
});
