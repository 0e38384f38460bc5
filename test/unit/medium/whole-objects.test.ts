/**
 * Objects appear whole. The directory is looked at before each call of the operating system that a store makes: whatever others could see of an
 * object, at any moment of its making, has the bytes that it keeps for ever.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { open } from '../../../src/index.ts';
import { FileMedium, type FileMediumOptions } from '../../../src/medium/file-medium.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** What was seen of each file below `root`; a file that appears again must have another name. */
class Looker {
  readonly seen = new Map<string, Buffer>();
  readonly wrong: string[] = [];
  looks = 0;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  look(): void {
    this.looks++;
    if (!existsSync(this.#root)) return;
    for (const entry of readdirSync(this.#root, { recursive: true, encoding: 'utf8' })) {
      const path = join(this.#root, entry);
      if (!statSync(path).isFile()) continue;
      const bytes = readFileSync(path);
      const before = this.seen.get(entry);
      if (bytes.length === 0) this.wrong.push(`${entry} is empty`);
      if (before !== undefined && !before.equals(bytes)) this.wrong.push(`${entry} has changed`);
      this.seen.set(entry, bytes);
    }
  }
}

const FORMS: readonly (readonly [string, FileMediumOptions])[] = [
  ['of the process', {}],
  ['of a shared store', { fileMode: 0o660, directoryMode: 0o770 }],
];

describe.each(FORMS)('with the modes %s', (_, options) => {
  it('lock files are never seen empty, or in part', async () => {
    const directory = temporaryDirectory();
    const looker = new Looker(join(directory, 'lock'));
    const openLooked = () => open(FileMedium.open(directory, { ...options, create: true, beforeCall: () => looker.look() }));
    const [store, other] = [await openLooked(), await openLooked()];
    const held = await store.lock('x');
    const waiting = other.lock('x');
    const shared = await other.lock('y', { mode: 'shared' });
    while (!(await other.listLocks()).some(({ tickets }) => tickets.length === 2)) await turn();
    await held.release();
    await (await waiting).release();
    await shared.release();
    await (await store.exclusive()).release();
    await store.namespace('items').put('k', 1);
    await store.compact();
    const raise = (n = 0): number => n + 1;
    await Promise.all([store, other].map((one) => one.namespace<number>('items').update('n', raise)));
    await Promise.all([store.close(), other.close()]);
    looker.look();
    expect(looker.wrong).toEqual([]);
    const kinds = new Set([...looker.seen.keys()].map((name) => name.split('/')[0]));
    expect([...kinds]).toEqual(expect.arrayContaining(['user', 'structural', 'compactor']));
    expect(looker.looks).toBeGreaterThan(100);
  });

  it('roots and tables are not, either', async () => {
    const directory = temporaryDirectory();
    const lookers = ['root', 'shard'].map((part) => new Looker(join(directory, 'ns/items', part)));
    const look = (): void => {
      for (const looker of lookers) looker.look();
    };
    const store = await open(FileMedium.open(directory, { ...options, create: true, beforeCall: look }), { autoCompact: false });
    for (let round = 0; round < 3; round++) {
      await store.namespace('items').put(`k${round}`, 'x'.repeat(2000));
      await store.compact();
    }
    await store.close();
    look();
    expect(lookers.flatMap(({ wrong }) => wrong)).toEqual([]);
    expect(lookers.map(({ seen }) => seen.size)).toEqual([4, 3]);
  });
});

it.each(['EPERM', 'ENOTSUP', 'ENOSYS'])(
  'where files can not have a second name (%s) no store is made, and nothing is left',
  async (code) => {
    const directory = temporaryDirectory();
    const beforeCall = (operation: string): void => {
      if (operation === 'link') throw Object.assign(new Error(`${code}: injected`), { code, errno: -1 });
    };
    const medium = FileMedium.open(directory, { create: true, beforeCall });
    await expect(open(medium)).rejects.toThrow(/^link of .* failed: /);
    expect(readdirSync(directory, { recursive: true })).toEqual(['tmp']);
    await medium.close();
  },
);
