/** That a sweep can fail: media that break one promise each, and are found out. */
import { describe, expect, test } from 'vitest';
import type { AppendFile, Medium } from '../../src/medium/medium.ts';
import { put } from '../support/ledger.ts';
import { FORMS, KINDS, type SweptOperation, sweep } from '../support/sweep.ts';

/** Passes everything on, but for what is planted. */
function planted(inner: Medium, changes: (inner: Medium) => Partial<Medium>): Medium {
  const passedOn: Medium = {
    description: inner.description,
    canAppend: inner.canAppend,
    isRemote: inner.isRemote,
    localDirectory: undefined,
    blocking: undefined,
    putIfAbsent: (name, bytes, options) => inner.putIfAbsent(name, bytes, options),
    get: (name, range) => inner.get(name, range),
    list: (prefix, options) => inner.list(prefix, options),
    listFolders: (prefix) => inner.listFolders(prefix),
    delete: (names) => inner.delete(names),
    openAppend: (name) => inner.openAppend(name),
    syncNames: (prefix) => inner.syncNames(prefix),
    nowMs: () => inner.nowMs(),
    lastAnsweredAtMs: () => inner.lastAnsweredAtMs(),
    close: () => inner.close(),
  };
  return { ...passedOn, ...changes(inner) };
}

/** Acknowledges what a writer appends, and keeps nothing of it. */
function forgetful(inner: Medium): Medium {
  const isAppend = (name: string): boolean => /\/log\/\d+-/.test(name);
  const lost = (file: AppendFile): AppendFile => ({
    write: () => {},
    sync: () => file.sync(),
    syncBlocking: () => file.syncBlocking(),
    close: () => file.close(),
  });
  return planted(inner, () => ({
    putIfAbsent: async (name, bytes, options) => isAppend(name) || (await inner.putIfAbsent(name, bytes, options)),
    openAppend: async (name) => lost(await inner.openAppend(name)),
  }));
}

/** Says that a table is not there, where another one reads it again. */
function hidesTables(inner: Medium): Medium {
  return planted(inner, () => ({
    get: async (name, range) => (name.includes('/shard/') ? undefined : await inner.get(name, range)),
  }));
}

const PUT: SweptOperation = { name: 'put', run: (w) => w.write('put', put('x', 1), () => w.runs.put('x', 1)) };

/** Writes, and takes a failure that says "perhaps" for one that says "no". */
const HASTY: SweptOperation = {
  name: 'a put whose failure is taken for certain',
  run: async (w) => {
    const end = w.ledger.begin(put('x', 1));
    await w.runs.put('x', 1).then(
      () => end('acknowledged'),
      () => end('failed'),
    );
  },
};

/** Makes the same change again where the first attempt has failed. */
const TWICE: SweptOperation = {
  name: 'an update that is made again whatever its failure says',
  run: (w) =>
    w.write('update', put('silent', 2), async () => {
      const add = (): Promise<unknown> => w.runs.update('silent', (n) => Number(n) + 1);
      await add().catch(add);
    }),
};

describe.each(FORMS)('on a medium of the form "$name"', (form) => {
  test('a medium that acknowledges a put without its effect is found', async () => {
    const found = sweep(PUT, form, { wrap: forgetful });
    await expect(found).rejects.toThrow('put fails without a fault: beside the handle: x: 1 may be there, nothing is read');
  });

  test('a medium that hides what is there is found', async () => {
    const get: SweptOperation = { name: 'get', run: (w) => w.read('get', () => w.runs.get('k1'), w.value('k1')) };
    await expect(sweep(get, form, { wrap: hidesTables })).rejects.toThrow('CORRUPT');
  });

  test('a failure that is taken for certain, though it is not, is found, and can be run again by its name', async () => {
    const { failures } = await sweep(HASTY, form, { kinds: KINDS.filter(({ name }) => name === 'answer lost') });
    const call = form.canAppend ? 'write of' : 'putIfAbsent of';
    const shown = failures.find((failure) => failure.includes(call));
    expect(shown).toContain(`PEAT_SWEEP_ONLY='${HASTY.name}/${form.name}/answer lost/once/`);
    expect(shown).toContain('ns/runs/log/');
    expect(shown).toContain('x: nothing may be there, 1 is read');
  });

  test('an update that is made twice is found', async () => {
    const { failures } = await sweep(TWICE, form);
    expect(failures.join('\n')).toContain('silent: 2 may be there, 3 is read');
  });

  test('nothing is found where nothing is wrong', async () => {
    const { failures, trials } = await sweep(PUT, form, { kinds: KINDS.slice(0, 1) });
    expect(failures).toEqual([]);
    expect(trials).toBeGreaterThan(4);
  });
});
