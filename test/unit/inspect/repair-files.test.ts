/** Repairs where whole files are missing, or are another's. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../../src/inspect/finding.ts';
import { type RepairAction, repairStore } from '../../../src/inspect/repair.ts';
import { verifyStore } from '../../../src/inspect/verify.ts';
import { naiveValues } from '../../support/naive-read.ts';
import { Zoo } from '../../support/store-zoo.ts';

let zoo: Zoo;

const names = async (prefix: string): Promise<string[]> => (await zoo.medium.list(prefix)).map(({ name }) => name);
const keys = async (): Promise<string[]> => [...(await naiveValues(zoo)).keys()];

async function damage(): Promise<Finding[]> {
  const found: Finding[] = [];
  await verifyStore(zoo, { onFinding: (finding) => finding.severity === 'damage' && found.push(finding) });
  return found;
}

async function repair(): Promise<readonly RepairAction[]> {
  expect(await damage()).not.toEqual([]);
  const { actions } = await repairStore(zoo, { apply: true });
  expect(await damage()).toEqual([]);
  expect((await repairStore(zoo)).actions).toEqual([]);
  return actions;
}

beforeEach(async () => {
  zoo = new Zoo();
  await zoo.init();
});

describe('a repair', () => {
  it('takes nothing from a whole table file that is not the one that the root names', async () => {
    const writer = zoo.openWriter();
    await zoo.append(writer, { a: 'old', b: 'old' });
    await zoo.compact();
    const [old] = await names(zoo.layout.shard);
    const oldBytes = (await zoo.medium.get(old as string)) as Buffer;
    await zoo.append(writer, { a: 'new' });
    await zoo.compact();
    const named = (await names(zoo.layout.shard)).at(-1) as string;
    await zoo.medium.delete([named]);
    await zoo.medium.putIfAbsent(named, oldBytes);
    const actions = await repair();
    expect(actions).toMatchObject([{ file: named, what: expect.stringContaining('it is another file') as string }]);
    expect(actions[0]?.lost).toMatch(/^\d entries from "a" to /);
    expect(await names('quarantine/')).toContain(`quarantine/${named}`);
  });

  it('gives up an object that is missing before later ones, and says so', async () => {
    const writer = zoo.openWriter({ medium: zoo.framed });
    for (const key of ['a', 'b', 'c']) await zoo.append(writer, { [key]: 1 });
    await writer.seal();
    await zoo.adopt();
    const gone = (await names(zoo.layout.log))[0] as string;
    await zoo.medium.delete([gone]);
    expect(await repair()).toMatchObject([{ file: gone, what: expect.stringContaining('missing before later ones') as string }]);
    expect(await keys()).toEqual(['b', 'c']);
  });
});
