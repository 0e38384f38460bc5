import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';
import { open } from '../../../src/index.ts';
import { FileMedium } from '../../../src/medium/file-medium.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'peat-open-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Every file with its bytes, and every directory with the time of its last change. */
function tree(): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return entry.isFile() ? `${path} ${readFileSync(path).toString('base64')}` : `${path}/ ${statSync(path).mtimeMs}`;
    })
    .sort();
}

function rewriteStoreFile(changes: object): void {
  const path = join(directory, 'peat.json');
  const json = JSON.parse(readFileSync(path, 'utf8').split('\n')[0] as string) as object;
  writeFileSync(path, encodeCheckedJson({ ...json, ...changes }));
}

describe('opening a store', () => {
  it('creates it, or says that it is not there', async () => {
    await expect(open(directory, { create: false })).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    await expect(open(directory, { readOnly: true })).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    expect(tree()).toEqual([]);
    const stores = await Promise.all(Array.from({ length: 5 }, () => open(directory)));
    expect(new Set(stores.map(({ file }) => file.storeId)).size).toBe(1);
    for (const store of stores) await store.close();
  });

  it('and reading from it writes not a byte', async () => {
    const writer = await open(directory, { autoCompact: false });
    for (let i = 0; i < 10; i++) await writer.namespace('items').put(`k${i}`, i);
    await writer.compact();
    await writer.namespace('items').put('tail', 1);
    await writer.close();
    const before = tree();
    for (const readOnly of [true, false]) {
      const store = await open(directory, { readOnly });
      const items = store.namespace('items');
      expect(await items.get('k1')).toBe(1);
      expect(await items.get('tail')).toBe(1);
      for await (const { key } of items.scan()) expect(key).toBeTypeOf('string');
      await items.stats();
      (await items.snapshot()).close();
      await store.close();
    }
    expect(tree()).toEqual(before);
  });

  it('of a newer release fails by name of the feature, before it writes a byte', async () => {
    const store = await open(directory);
    await store.namespace('items').put('a', 1);
    await store.close();
    rewriteStoreFile({ writerFeatures: ['holographic-log'] });
    const before = tree();
    await expect(open(directory)).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      message: expect.stringContaining('holographic-log'),
    });
    const reader = await open(directory, { readOnly: true });
    expect(await reader.namespace('items').get('a')).toBe(1);
    await reader.close();
    rewriteStoreFile({ readerFeatures: ['holographic-tables'] });
    await expect(open(directory, { readOnly: true })).rejects.toMatchObject({ code: 'UNSUPPORTED_VERSION' });
    rewriteStoreFile({ readerFeatures: [], writerFeatures: [] });
    expect(tree().filter((line) => !line.includes('peat.json'))).toEqual(before.filter((line) => !line.includes('peat.json')));
  });

  it('with a damaged description says which file is damaged', async () => {
    await (await open(directory)).close();
    const path = join(directory, 'peat.json');
    const bytes = readFileSync(path);
    bytes[10] = (bytes[10] as number) ^ 1;
    writeFileSync(path, bytes);
    await expect(open(directory)).rejects.toMatchObject({ code: 'CORRUPT', file: 'peat.json' });
  });

  it('refuses a compactor pauses that are none, before it does anything', async () => {
    await using store = await open(directory);
    const { signal } = new AbortController();
    await expect(store.runCompactor({ signal, gatherMs: -5 })).rejects.toThrow(/gatherMs .*-5/);
    await expect(store.runCompactor({ signal, pollMs: 0 })).rejects.toThrow(/pollMs .*0/);
    await expect(store.runCompactor({ signal, concurrency: Number.NaN })).rejects.toThrow(/concurrency .*NaN/);
  });

  it('refuses options that make no sense, and shows them', async () => {
    await expect(open('')).rejects.toThrow(TypeError);
    await expect(open('gs://bucket/prefix')).rejects.toThrow(/gs:\/\//);
    await expect(open('s3://bucket/prefix', { fileMode: 0o600 })).rejects.toThrow(/fileMode/);
    await expect(open('s3://bucket/prefix', { segments: 'appended' })).rejects.toThrow(/framed/);
    await expect(open(directory, { durability: 'maybe' as never })).rejects.toThrow(/maybe/);
    await expect(open(directory, { cacheBytes: -1 })).rejects.toThrow(/-1/);
    await expect(open(directory, { frozen: true })).rejects.toThrow(/readOnly/);
    await expect(open(directory, { fileMode: 0o100_644 })).rejects.toThrow(/fileMode .*33188/);
    await expect(open(directory, { fileMode: 0o040 })).rejects.toThrow(/fileMode .*32/);
    await expect(open(directory, { directoryMode: 1.5 })).rejects.toThrow(/directoryMode .*1\.5/);
    await expect(open(directory, { group: -1 })).rejects.toThrow(/group .*-1/);
    await expect(open(directory, { readOnly: true, create: true })).rejects.toThrow(RangeError);
    expect(tree()).toEqual([]);
  });

  it('over a medium of the caller leaves that open when the store is closed', async () => {
    const medium = FileMedium.open(directory);
    const first = await open(medium);
    const second = await open(medium);
    await first.namespace('items').put('a', 1);
    await first.close();
    expect(await second.namespace('items').get('a')).toBe(1);
    await second.close();
    await medium.close();
  });
});
