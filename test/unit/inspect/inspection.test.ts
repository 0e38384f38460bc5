import { beforeAll, describe, expect, it } from 'vitest';
import { hexDump } from '../../../src/inspect/hex-dump.ts';
import { inspectBytes } from '../../../src/inspect/inspection.ts';
import { inspectionText } from '../../../src/inspect/inspection-text.ts';
import { parseStoreName, storeNameOfPath } from '../../../src/inspect/store-names.ts';
import { FrozenMedium } from '../../support/frozen-medium.ts';
import { Zoo } from '../../support/store-zoo.ts';

let store: FrozenMedium;

beforeAll(async () => {
  const zoo = new Zoo();
  await zoo.build();
  store = await FrozenMedium.of(zoo.medium);
});

function inspectAll(values: boolean): string {
  const parts = [...store.files].map(([name, bytes]) => inspectionText(inspectBytes(bytes, { name, values })).join('\n'));
  return `${parts.join('\n\n')}\n`;
}

describe('inspecting', () => {
  it('shows every kind of file as text', async () => {
    await expect(inspectAll(false)).toMatchFileSnapshot('golden/store.txt');
  });

  it('shows values and the entries of blocks when asked to', async () => {
    await expect(inspectAll(true)).toMatchFileSnapshot('golden/store-with-values.txt');
  });

  it('shows the same as JSON', async () => {
    const lines = [...store.files].map(([name, bytes]) => JSON.stringify(inspectBytes(bytes, { name }), undefined, 1));
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('golden/store.jsonish.txt');
  });

  it('shows damaged files as far as they can be read', async () => {
    const parts: string[] = [];
    for (const [name, bytes] of store.files) {
      if (!['root', 'segment', 'segment-part', 'record', 'table-file', 'store-file', 'ticket'].includes(parseStoreName(name).kind))
        continue;
      for (const part of [0.1, 0.5, 0.95]) {
        const damaged = Buffer.from(bytes);
        const at = Math.floor(bytes.length * part);
        damaged.fill(0xa5, at, at + 2);
        parts.push([`--- bytes ${at} and ${at + 1} damaged`, ...inspectionText(inspectBytes(damaged, { name }))].join('\n'));
      }
    }
    await expect(`${parts.join('\n')}\n`).toMatchFileSnapshot('golden/damaged.txt');
  });

  it('never fails, whatever the bytes are', () => {
    const seed = Number(process.env['PEAT_SEED'] ?? Math.floor(Math.random() * 1e6));
    console.log(`PEAT_SEED=${seed}`);
    let random = seed;
    const next = (below: number): number => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return (random >>> 8) % below;
    };
    for (const [name, bytes] of store.files) {
      for (let i = 0; i < 60; i++) {
        const damaged = Buffer.from(bytes).subarray(0, bytes.length - (i % 3 === 0 ? next(bytes.length) : 0));
        for (let j = next(6); j >= 0 && damaged.length > 0; j--) damaged[next(damaged.length)] = next(256);
        inspectionText(inspectBytes(damaged, { name, values: i % 2 === 0 }));
        inspectionText(inspectBytes(damaged));
        hexDump(damaged, name);
      }
    }
  });

  it('puts a single wrong byte of checked JSON right for showing it', () => {
    const [name, bytes] = [...store.files].find(([file]) => parseStoreName(file).kind === 'root') as [string, Buffer];
    for (const at of [3, 200, bytes.length - 4]) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ 0x11;
      const inspection = inspectBytes(damaged, { name });
      expect(inspection).toMatchObject({ checksumOk: false, wrongByteAt: at });
      expect((inspection as { content: unknown }).content).toEqual((inspectBytes(bytes, { name }) as { content: unknown }).content);
    }
  });

  it('finds the name of a file in its path', () => {
    const root = 'ns/runs/root/00000000000000000001';
    expect(storeNameOfPath(`/data/ns/index/${root}`)).toBe(root);
    expect(storeNameOfPath(`/tmp/a/quarantine/${root}`)).toBe(`quarantine/${root}`);
    const record = 'ns/runs/log/s7-00000000000000000012';
    expect(storeNameOfPath(`/data/index/${record}`)).toBe(record);
    expect(storeNameOfPath('/data/ns/runs/log/s7-12')).toBeUndefined();
    expect(storeNameOfPath('/data/index/peat.json')).toBe('peat.json');
    expect(storeNameOfPath('/data/index/other.txt')).toBeUndefined();
  });
});
