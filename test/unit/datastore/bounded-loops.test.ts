/**
 * Calls that start over where others were quicker, or where something vanished, do so a bounded number of times, also where that happens at every
 * single try. Each medium here plays others that are always in the way.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';
import { namespaceLayout, padNumber, parseRootName } from '../../../src/format/layout.ts';
import { decodeRoot, rootToJson } from '../../../src/format/root-codec.ts';
import { isPeatError, type Namespace, nodeSystem, open, PeatError, type Store } from '../../../src/index.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { gated } from '../../support/gated-medium.ts';

const LAYOUT = namespaceLayout('items');
/** More than any call has a reason for. */
const CALLS_MAX = 200_000;
const WAIT = { maxWaitMs: 100 };

interface Scene {
  readonly store: Store;
  readonly items: Namespace<number>;
}

const increment = (n = 0): number => n + 1;

async function all(entries: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of entries);
}

const OPERATIONS: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  get: ({ items }) => items.get('a'),
  scan: ({ items }) => all(items.scan()),
  snapshot: async ({ items }) => (await items.snapshot()).get('a'),
  stats: ({ items }) => items.stats(),
  put: ({ items }) => items.put('a', 1),
  update: ({ items }) => items.update('a', increment, WAIT),
  updateMany: ({ items }) => items.updateMany(['a', 'b'], ([a = 0, b = 0]) => [a + 1, b + 1], WAIT),
  putIf: ({ items }) => items.putIf('new', 1, { ifAbsent: true }, WAIT),
  // In quiet it would wait for news.
  watch: async ({ items }) => {
    const signal = AbortSignal.timeout(300);
    await all(items.watch({ signal })).catch((error: unknown) => {
      if (error !== signal.reason) throw error;
    });
  },
  compact: ({ store }) => store.compact(WAIT),
  createNamespace: ({ store }) => store.createNamespace('items'),
  dropNamespace: ({ store }) => store.dropNamespace('items'),
  namespaces: ({ store }) => store.namespaces(),
  lock: async ({ store }) => (await store.lock('x', WAIT)).release(),
  exclusive: async ({ store }) => (await store.exclusive(WAIT)).release(),
  listLocks: ({ store }) => store.listLocks(),
};

/** Changes what calls of a medium give. */
type Trouble = (inner: Medium) => Partial<Medium>;

const TROUBLES: Readonly<Record<string, Trouble>> = {
  'whatever is listed is gone when it is read': (inner) => ({
    get: async (name, range) => (name.startsWith('ns/') ? undefined : await inner.get(name, range)),
  }),
  'there is a newer root at each look': (inner) => {
    let newer = 0;
    return {
      // Looks twice.
      isRemote: true,
      list: async (prefix, options) => {
        const listed = await inner.list(prefix, options);
        const last = listed.at(-1);
        if (prefix !== LAYOUT.root || last === undefined) return listed;
        const number = parseRootName(LAYOUT, last.name) as number;
        return [...listed, { ...last, name: LAYOUT.root + padNumber(number + ++newer) }];
      },
      get: async (name, range) => {
        const bytes = await inner.get(name, range);
        const number = parseRootName(LAYOUT, name);
        if (bytes !== undefined || number === undefined) return bytes;
        const newest = (await inner.list(LAYOUT.root)).at(-1)?.name as string;
        const root = decodeRoot((await inner.get(newest)) as Buffer, newest);
        return encodeCheckedJson(rootToJson({ ...root, number }));
      },
    };
  },
  'whoever puts something is too late': (inner) => ({
    putIfAbsent: async () => false,
    openAppend: async (name) => {
      const cause = Object.assign(new Error('EEXIST: file already exists'), { code: 'EEXIST' });
      throw new PeatError('STORAGE', `open of ${name} failed: ${cause.message}`, { cause, file: name });
    },
    get: (name, range) => inner.get(name, range),
  }),
  'nothing that is put is ever seen': (inner) => ({
    putIfAbsent: async () => true,
    get: (name, range) => inner.get(name, range),
  }),
};

async function sceneWith(trouble: Trouble): Promise<Scene & { calls: () => number }> {
  const inner = new MemoryMedium({ system: nodeSystem, canAppend: true, blocking: false });
  const made = await open(inner, { autoCompact: false });
  const items = made.namespace<number>('items');
  await items.put('a', 1);
  await made.compact();
  await items.put('a', 2);
  await items.update('b', increment);
  await made.close();

  let calls = 0;
  const changes = trouble(inner);
  const troubled = new Proxy<Medium>(inner, {
    get: (of, property) => {
      const value: unknown = Reflect.get(property in changes ? changes : of, property, of);
      return typeof value === 'function' ? (value.bind(of) as unknown) : value;
    },
  });
  const medium = gated(troubled, () => {
    // Not an error of the storage, which might be one more reason to try again.
    if (++calls > CALLS_MAX) throw new RangeError('there is no end to it');
    // As real storage does, it lets timers have their turn.
    return calls % 16 === 0 ? turn() : undefined;
  });
  const store = await open(medium, { autoCompact: false, drainWaitMs: 100 });
  return { store, items: store.namespace<number>('items'), calls: () => calls };
}

describe.each(Object.entries(TROUBLES))('where %s', (_what, trouble) => {
  it.each(Object.entries(OPERATIONS))('%s comes to an end', async (_name, operation) => {
    const scene = await sceneWith(trouble);
    const error: unknown = await operation(scene).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    if (error !== undefined) expect(isPeatError(error), String(error)).toBe(true);
    expect(scene.calls()).toBeLessThan(CALLS_MAX);
  });
});
