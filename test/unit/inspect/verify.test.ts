import { beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../../src/inspect/finding.ts';
import { parseStoreName } from '../../../src/inspect/store-names.ts';
import { verifyStore } from '../../../src/inspect/verify.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { FrozenMedium } from '../../support/frozen-medium.ts';
import { naiveRead } from '../../support/naive-read.ts';
import { Zoo } from '../../support/store-zoo.ts';

/** Bytes a file of which every one is flipped; of longer files a sample. */
const EVERY_BYTE_OF = 2000;

const zoo = new Zoo();
let store: FrozenMedium;

async function findings(medium: Medium): Promise<Finding[]> {
  const found: Finding[] = [];
  await verifyStore({ medium, system: zoo.system }, { onFinding: (finding) => found.push(finding) });
  return found;
}

/** All that a reader of the store can get to see. */
async function fullState(medium: Medium): Promise<string> {
  const { root, newest } = await naiveRead({ medium, system: zoo.system, layout: zoo.layout });
  return JSON.stringify([root, ...[...newest.keys()].sort().map((key) => newest.get(key))], (_name, value: unknown) =>
    value instanceof Map ? [...value] : value,
  );
}

const identity = ({ severity, code, file, offset, bytes }: Finding): string => `${severity} ${code} ${file} ${offset ?? ''} ${bytes ?? ''}`;

beforeAll(async () => {
  await zoo.build();
  store = await FrozenMedium.of(zoo.medium);
});

describe('verifying a store', () => {
  it('finds nothing wrong in a store that has a file of every kind, and says what is there', async () => {
    const found = await findings(store);
    expect(found.filter(({ severity }) => severity === 'damage')).toEqual([]);
    expect(found.map(({ severity, code }) => `${severity} ${code}`).sort()).toMatchSnapshot();
    const kinds = new Set([...store.files.keys()].map((name) => parseStoreName(name).kind));
    expect([...kinds].sort()).toEqual([
      'beat', 'floor', 'marker', 'quarantine', 'record', 'root', 'segment', 'segment-part', 'store-file', 'table-file', 'ticket', 'tmp', 'unknown',
    ]); // biome-ignore format: a list of words
  });

  it('finds and names each file of which any byte was flipped, or the flip is provably harmless', async () => {
    const found = await findings(store);
    const before = new Set(found.map(identity));
    const torn = found.filter(({ code }) => code === 'torn-tail');
    const stateBefore = await fullState(store);
    const seed = Number(process.env['PEAT_SEED'] ?? Math.floor(Math.random() * 1e6));
    console.log(`PEAT_SEED=${seed}`);
    let random = seed;
    const harmless = new Map<string, number>();
    let flips = 0;
    for (const [name, bytes] of store.files) {
      const step = Math.max(1, Math.floor(bytes.length / EVERY_BYTE_OF));
      for (let offset = step === 1 ? 0 : seed % step; offset < bytes.length; offset += step) {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        const bits = 1 + ((random >>> 8) % 255);
        flips++;
        store.flip(name, offset, bits);
        const fresh = (await findings(store)).filter((finding) => !before.has(identity(finding)));
        const isNamed = fresh.some(({ file }) => file === name);
        if (!isNamed) {
          const { kind } = parseStoreName(name);
          expect(await fullState(store), `${name} byte ${offset}, bits ${bits}`).toBe(stateBefore);
          const isTorn = torn.some(({ file, offset: from = 0, bytes = 0 }) => file === name && offset >= from && offset < from + bytes);
          if (!isTorn) expect(['tmp', 'beat', 'floor', 'quarantine', 'unknown'], `${name} byte ${offset}, bits ${bits}`).toContain(kind);
          harmless.set(kind, (harmless.get(kind) ?? 0) + 1);
        }
        store.flip(name, offset, bits);
      }
    }
    console.log(`${flips} flips in ${store.files.size} files; harmless: ${JSON.stringify([...harmless])}`);
    expect((await findings(store)).filter((finding) => !before.has(identity(finding)))).toEqual([]);
  });
});
