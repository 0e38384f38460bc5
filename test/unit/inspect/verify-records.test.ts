/** What `verify` says of read-modify-write records. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type RecordId, recordName, recordText } from '../../../src/format/layout.ts';
import { encodeRecord, type SerialRecord } from '../../../src/format/record.ts';
import type { Finding } from '../../../src/inspect/finding.ts';
import { verifyStore } from '../../../src/inspect/verify.ts';
import type { NamespaceCensus } from '../../../src/inspect/verify-context.ts';
import { RecordWorld } from '../../support/record-world.ts';

let world: RecordWorld;

beforeEach(async () => {
  world = await RecordWorld.create();
});

async function verify(): Promise<{ found: Finding[]; census: NamespaceCensus }> {
  const found: Finding[] = [];
  const { namespaces } = await verifyStore(world, { onFinding: (finding) => found.push(finding) });
  return { found, census: namespaces[0] as NamespaceCensus };
}

const findings = async (): Promise<Finding[]> => (await verify()).found;
const fileOf = ({ id }: Pick<SerialRecord, 'id'>): string => recordName(world.layout, id);
const at = (key: string, number: number): RecordId => ({ stripe: world.stripeOf(key), number });

async function damage(record: SerialRecord): Promise<void> {
  const bytes = (await world.medium.get(fileOf(record))) as Buffer;
  bytes[30] = (bytes[30] as number) ^ 4;
  await world.remove(record);
  await world.medium.putIfAbsent(fileOf(record), bytes);
}

async function replace(record: SerialRecord, changes: Partial<SerialRecord>): Promise<void> {
  await world.remove(record);
  await world.medium.putIfAbsent(fileOf(record), encodeRecord(world.layout, { ...record, ...changes }));
}

describe('verifying records', () => {
  it('finds nothing wrong in those of any fate, and counts them and their deltas', async () => {
    const absorbed = await world.putRecord({ a: 1 });
    await world.putRecord({ a: 2 });
    await world.putUpdate({ 'key/004': 1, 'key/005': 2, 'key/006': undefined });
    const [left] = (await world.putUpdate({ 'key/007': 1, 'key/008': 1 }, { withoutPrimary: true })) as [SerialRecord];
    await world.putRecord({}, { id: left.links[0] as RecordId });
    await world.putUpdate({ 'key/009': 1, 'key/010': 1 }, { withoutPrimary: true });
    await world.absorb(absorbed);
    const { found, census } = await verify();
    expect(found).toEqual([]);
    expect(census).toMatchObject({ records: 8, tailRecords: 7, recordDeltas: 6 });
  });

  it('calls a damaged one damage, and one that is absorbed a warning', async () => {
    const [one, two] = [await world.putRecord({ a: 1 }), await world.putRecord({ a: 2 })];
    await damage(one);
    await damage(two);
    expect(await findings()).toMatchObject([
      { severity: 'damage', code: 'record-damaged', file: fileOf(one), offset: 12 },
      { severity: 'damage', code: 'record-damaged', file: fileOf(two), offset: 12 },
    ]);
    await world.absorb(one);
    expect((await findings()).map(({ severity, file }) => [severity, file])).toEqual([
      ['warning', fileOf(one)],
      ['damage', fileOf(two)],
    ]);
  });

  it('names one that is missing before others, once, however many are', async () => {
    const records = [1, 2, 3, 4, 5].map(async (n) => await world.putRecord({ a: n }, { id: at('a', n) }));
    const [one, , three] = (await Promise.all(records)) as [SerialRecord, SerialRecord, SerialRecord];
    await world.absorb(one);
    await world.remove(one);
    expect(await findings()).toEqual([]);
    await world.remove(three, { id: at('a', 4) });
    const found = await findings();
    expect(found).toMatchObject([{ severity: 'damage', code: 'record-missing', file: fileOf(three) }]);
    expect(found[0]?.what).toContain('2 records from this one on are missing');
  });

  it('does not call missing what a listing lacked because it came meanwhile', async () => {
    const one = await world.putRecord({ a: 1 });
    await world.putRecord({ a: 2 });
    const { blocking } = world.medium;
    const list = world.medium.list.bind(world.medium);
    let listings = 0;
    expect(blocking).toBeDefined();
    world.medium.list = async (prefix, options) => {
      const listed = await list(prefix, options);
      // The second listing of the log is the one for the records; the one after it is made again.
      return prefix === world.layout.log && ++listings === 2 ? listed.filter(({ name }) => name !== fileOf(one)) : listed;
    };
    expect(await findings()).toEqual([]);
    expect(listings).toBe(3);
  });

  it('finds an update of several stripes of which a part is missing', async () => {
    const [b, primary] = (await world.putUpdate({ 'key/004': 1, 'key/005': 1 })) as [SerialRecord, SerialRecord];
    await world.remove(b);
    expect(await findings()).toMatchObject([{ severity: 'damage', code: 'update-in-part', file: fileOf(primary) }]);
  });

  it('warns of an update of which one part is absorbed and another is not, which readers can live with', async () => {
    const [b, primary] = (await world.putUpdate({ 'key/004': 1, 'key/005': 1 })) as [SerialRecord, SerialRecord];
    await world.absorb(b);
    expect(await findings()).toMatchObject([{ severity: 'warning', code: 'update-split', file: fileOf(primary) }]);
  });

  it('finds a record that others follow, although what decides about it is missing', async () => {
    const [b, primary] = (await world.putUpdate({ 'key/004': 1, 'key/005': 1 })) as [SerialRecord, SerialRecord];
    await world.putRecord({ 'key/005': 2 });
    await world.remove(primary);
    expect(await findings()).toMatchObject([{ severity: 'damage', code: 'update-in-part', file: fileOf(b) }]);
  });

  it('finds records that are missing at the end of a stripe, where an update that is left undecided tells of them', async () => {
    const [one, two] = [await world.putRecord({ 'key/004': 1 }), await world.putRecord({ 'key/004': 2 })];
    await world.putUpdate({ 'key/004': 3, 'key/005': 3 }, { withoutPrimary: true });
    expect(await findings()).toEqual([]);
    await world.remove(one, two);
    const found = await findings();
    expect(found).toMatchObject([{ severity: 'damage', code: 'record-missing', file: fileOf(one) }]);
    expect(found[0]?.what).toBe(`2 records from this one on are missing; an update of several stripes tells of ${recordText(two.id)}`);
    await world.putRecord({ 'key/004': 1 }, { id: one.id });
    expect(await findings()).toMatchObject([{ code: 'record-missing', file: fileOf(two) }]);
  });

  it('names what is missing before a part that is missing, too', async () => {
    const before = await world.putRecord({ 'key/005': 1 });
    const [b, primary] = (await world.putUpdate({ 'key/004': 1, 'key/005': 2 })) as [SerialRecord, SerialRecord];
    await world.remove(before, b);
    expect((await findings()).map(({ code, file }) => [code, file])).toEqual([
      ['record-missing', fileOf(before)],
      ['update-in-part', fileOf(primary)],
    ]);
  });

  it('finds a part that another one took the place of', async () => {
    const [b, primary] = (await world.putUpdate({ 'key/004': 1, 'key/005': 1 })) as [SerialRecord, SerialRecord];
    await replace(b, { kind: 'single', links: [] });
    expect(await findings()).toMatchObject([{ code: 'update-in-part', file: fileOf(primary) }]);
  });

  it('finds links that point nowhere', async () => {
    const [b, primary] = (await world.putUpdate({ 'key/004': 1, 'key/005': 1 })) as [SerialRecord, SerialRecord];
    for (const links of [[], [{ ...primary.id, number: 0 }], [b.id]]) {
      await replace(b, { links });
      const found = await findings();
      expect(found.map(({ code, file }) => [code, file])).toContainEqual(['record-contents', fileOf(b)]);
      expect(found.every(({ severity }) => severity === 'damage')).toBe(true);
    }
  });

  it('finds a key of another stripe, a key that stands twice, and a root that there is not', async () => {
    const record = await world.putRecord({ a: 1 });
    const [entry] = record.entries;
    if (entry === undefined) throw new Error('no entry');
    const other = { ...entry, key: 'key/004' as typeof entry.key };
    for (const [changes, what] of [
      [{ entries: [other] }, `key "key/004" belongs to stripe ${world.stripeOf('key/004')}`],
      [{ entries: [entry, entry] }, 'key "a" stands in it twice'],
      [{ root: 9 }, 'it rests on root 9, but the newest one is 0'],
    ] as const) {
      await replace(record, changes);
      expect((await findings()).map((finding) => finding.what)).toContain(what);
    }
  });

  it('finds a stamp that is not above that of the record before', async () => {
    const one = await world.putRecord({ a: 1 });
    const two = await world.putRecord({ a: 2 });
    await replace(two, { entries: one.entries });
    expect(await findings()).toMatchObject([{ severity: 'damage', code: 'record-contents', file: fileOf(two) }]);
  });

  it('notes a record that was put late, under a number that was absorbed', async () => {
    const one = await world.putRecord({ a: 1 });
    await world.absorb(one);
    await replace(one, { nonce: 'somebody else who is' });
    expect(await findings()).toMatchObject([{ severity: 'info', code: 'record-late', file: fileOf(one) }]);
  });

  it('finds a root whose numbers went back, and nonces that can be nobody’s', async () => {
    const one = await world.putRecord({ a: 1 });
    await world.absorb(one);
    await world.commit(() => ({ serialThrough: new Map(), serialNonces: new Map([[3, ['short']]]) }));
    const found = await findings();
    expect(found.map(({ what }) => what)).toEqual(
      expect.arrayContaining([
        `its serialThrough of stripe ${one.id.stripe} went back from 1 to 0`,
        "the nonces of stripe 3 are none of its records'",
      ]),
    );
  });

  it('reports names that are almost those of records as no files of a store', async () => {
    for (const name of ['s01-00000000000000000001', 's1-5']) await world.medium.putIfAbsent(world.layout.log + name, Buffer.from('x'));
    expect((await findings()).map(({ severity, code }) => `${severity} ${code}`)).toEqual(['warning unknown-file', 'warning unknown-file']);
  });
});
