/** Objects of a segment are read several at once, as long as they are small. */
import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';
import { open } from '../../../src/datastore/open.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';

/** Counts the objects of segments that are being read. */
class CountingMedium extends MemoryMedium {
  underWay = 0;
  most = 0;

  override async get(name: string): Promise<Buffer | undefined> {
    const isPart = /\/log\/.*\//.test(name);
    if (isPart) this.underWay++;
    this.most = Math.max(this.most, this.underWay);
    await nodeSystem.turn();
    if (isPart) this.underWay--;
    return await super.get(name);
  }
}

async function mostAtOnce(value: string): Promise<number> {
  const medium = new CountingMedium({ system: nodeSystem, canAppend: false, blocking: false, isRemote: true });
  const writer = await open(medium, { autoCompact: false });
  const items = writer.namespace('items');
  for (let i = 0; i < 60; i++) await items.put(`k${i % 7}`, `${i} ${value}`);
  const reader = await open(medium, { readOnly: true });
  for (let i = 53; i < 60; i++) expect(await reader.namespace('items').get(`k${i % 7}`)).toBe(`${i} ${value}`);
  await reader.close();
  await writer.close();
  return medium.most;
}

describe('the objects of a segment', () => {
  it('are read several at once where they are small', async () => {
    expect(await mostAtOnce('small')).toBe(16);
  });

  it('are read few at once where they are large', async () => {
    expect(await mostAtOnce('large'.repeat(100_000))).toBe(1);
  });
});
