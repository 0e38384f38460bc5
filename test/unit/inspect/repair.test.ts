import { beforeEach, describe, expect, it } from 'vitest';
import type { Key } from '../../../src/base/key.ts';
import { encodeValue } from '../../../src/base/value.ts';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';
import { recordName, rootName, STORE_FILE } from '../../../src/format/layout.ts';
import type { SerialRecord } from '../../../src/format/record.ts';
import { decodeStoreFile } from '../../../src/format/store-file.ts';
import type { Finding } from '../../../src/inspect/finding.ts';
import { type RepairAction, type RepairReport, repairStore } from '../../../src/inspect/repair.ts';
import { verifyStore } from '../../../src/inspect/verify.ts';
import { naiveRead, naiveValues } from '../../support/naive-read.ts';
import { Zoo } from '../../support/store-zoo.ts';

let zoo: Zoo;

/** Puts other bytes under a name. */
async function rewrite(name: string, change: (bytes: Buffer) => void): Promise<void> {
  const bytes = (await zoo.medium.get(name)) as Buffer;
  change(bytes);
  await zoo.medium.delete([name]);
  await zoo.medium.putIfAbsent(name, bytes);
}

const flip =
  (...offsets: number[]) =>
  (bytes: Buffer): void => {
    for (const offset of offsets) bytes[offset] = (bytes[offset] as number) ^ 0x20;
  };

/** Far beyond what a checksum can put right. */
const destroy = (bytes: Buffer): void => {
  bytes.fill(0x55, 10, bytes.length - 30);
};

async function damage(): Promise<Finding[]> {
  const found: Finding[] = [];
  await verifyStore(zoo, { onFinding: (finding) => finding.severity === 'damage' && found.push(finding) });
  return found;
}

const values = (): Promise<Map<string, string>> => naiveValues(zoo);
const names = async (prefix = ''): Promise<string[]> => (await zoo.medium.list(prefix)).map(({ name }) => name);
const segmentOf = async (index: number): Promise<string> => (await names(zoo.layout.log))[index] as string;

/** First what would be done, which must change nothing; then the same is done, and must leave nothing to do. */
async function repair(): Promise<{ report: RepairReport; actions: readonly RepairAction[] }> {
  expect(await damage()).not.toEqual([]);
  const before = await names();
  const plan = await repairStore(zoo);
  expect(await names()).toEqual(before);
  const report = await repairStore(zoo, { apply: true });
  const strip = (actions: readonly RepairAction[]): unknown[] => actions.map(({ file, what, lost }) => ({ file, what, lost }));
  expect(strip(report.actions)).toEqual(strip(plan.actions));
  for (const { file, what } of report.actions) {
    if (!what.includes('gone') && !what.includes('not there')) expect(await names('quarantine/')).toContain(`quarantine/${file}`);
  }
  expect(await damage()).toEqual([]);
  expect((await repairStore(zoo)).actions).toEqual([]);
  return { report, actions: report.actions };
}

describe('repairing', () => {
  beforeEach(async () => {
    zoo = new Zoo();
    await zoo.init();
  });

  it('does nothing to a store without damage', async () => {
    await zoo.build();
    const before = await names();
    expect(await repairStore(zoo, { apply: true })).toMatchObject({ actions: [], roots: [] });
    expect(await names()).toEqual(before);
  });

  it('takes in what stands before and behind damage in a segment, and loses only that', async () => {
    const writer = zoo.openWriter();
    for (const [key, value] of Object.entries({ a: 1, b: 2, c: 3, d: 4 })) await zoo.append(writer, { [key]: value });
    const file = await segmentOf(0);
    await rewrite(file, flip(60));
    const { actions, report } = await repair();
    expect(actions).toMatchObject([{ file, lost: 'the batches in these 30 bytes' }]);
    expect(report.roots).toEqual([{ namespace: 'zoo', root: 1 }]);
    expect([...(await values()).keys()]).toEqual(['a', 'c', 'd']);
    // The writer goes on as if nothing had happened.
    await zoo.append(zoo.openWriter({ root: 1 }), { e: 5 });
    expect([...(await values()).keys()]).toEqual(['a', 'c', 'd', 'e']);
  });

  it('reads past damage before a seal where no group was ever synced', async () => {
    const writer = zoo.openWriter();
    for (const key of ['a', 'b', 'c']) await zoo.append(writer, { [key]: key }, { durable: false });
    await writer.seal();
    await rewrite(await segmentOf(0), flip(60));
    await repair();
    expect([...(await values()).keys()]).toEqual(['a', 'c']);
  });

  it('passes over a damaged object of a framed segment', async () => {
    const writer = zoo.openWriter({ medium: zoo.framed });
    for (const key of ['a', 'b', 'c']) await zoo.append(writer, { [key]: key });
    await writer.seal();
    await zoo.adopt();
    const file = await segmentOf(1);
    await rewrite(file, flip(30));
    const { actions } = await repair();
    expect(actions.map((action) => action.file)).toEqual([file]);
    expect([...(await values()).keys()]).toEqual(['a', 'c']);
  });

  it('keeps the tombstones that it takes in', async () => {
    const first = zoo.openWriter();
    await zoo.append(first, { a: 1, b: 2 });
    await first.seal();
    await zoo.compact();
    const second = zoo.openWriter({ root: 1 });
    await zoo.append(second, { lost: 1 });
    await zoo.append(second, { a: undefined });
    await rewrite(await segmentOf(1), flip(20));
    await repair();
    expect([...(await values()).keys()]).toEqual(['b']);
  });

  describe('a record', () => {
    const fileOf = ({ id }: Pick<SerialRecord, 'id'>): string => recordName(zoo.layout, id);
    const serial = async (key: string): Promise<{ through: number; nonces: readonly string[] }> => {
      const { root } = await naiveRead(zoo);
      const stripe = zoo.stripeOf(key);
      return { through: root.serialThrough.get(stripe) ?? 0, nonces: root.serialNonces.get(stripe) ?? [] };
    };
    /** Keys of three stripes, in their order. */
    const [first, second, third] = ['key/004', 'key/005', 'key/006'] as const;

    it('that is damaged is given up, and everything else is kept', async () => {
      const [one, two, three] = [await zoo.putRecord({ a: 1 }), await zoo.putRecord({ a: 2 }), await zoo.putRecord({ a: 3, 'key/008': 3 })];
      const other = await zoo.putRecord({ c: 1 });
      await zoo.append(zoo.openWriter(), { d: 1 });
      await rewrite(fileOf(two), flip(30));
      const { actions, report } = await repair();
      expect(actions).toMatchObject([{ file: fileOf(two), lost: 'what it changed' }]);
      expect(report.roots).toEqual([{ namespace: 'zoo', root: 1 }]);
      expect([...(await values()).keys()]).toEqual(['a', 'c', 'd', 'key/008']);
      expect(await serial('a')).toEqual({ through: 3, nonces: [one.nonce, '', three.nonce] });
      expect(await serial('c')).toEqual({ through: 1, nonces: [other.nonce] });
      expect((await naiveRead(zoo)).root.counts).toMatchObject({ deltasIn: 5, entriesWritten: 3, superseded: 1, salvageLost: 1 });
      // Updates go on, with numbers that nobody had.
      await zoo.putRecord({ a: 4 }, { root: 1 });
      expect((await naiveRead(zoo)).newest.get('a' as Key)?.value).toEqual(encodeValue(4));
      expect(await damage()).toEqual([]);
    });

    it('that is missing is given up, and its number is not used again', async () => {
      const [, two, three] = [await zoo.putRecord({ a: 1 }), await zoo.putRecord({ 'key/008': 2 }), await zoo.putRecord({ a: 3 })] as [
        SerialRecord,
        SerialRecord,
        SerialRecord,
      ];
      await zoo.medium.delete([fileOf(two)]);
      const { actions } = await repair();
      expect(actions).toMatchObject([{ file: fileOf(two), what: 'the record is gone', lost: 'what it changed' }]);
      expect((await serial('a')).through).toBe(three.id.number);
      expect([...(await values()).keys()]).toEqual(['a']);
    });

    it('that is damaged at the end of its stripe keeps its number', async () => {
      await zoo.putRecord({ a: 1 });
      const two = await zoo.putRecord({ a: 2 });
      await rewrite(fileOf(two), flip(13));
      await repair();
      expect((await serial('a')).through).toBe(2);
      expect((await zoo.nextRecord(zoo.stripeOf('a'))).number).toBe(3);
      expect((await naiveRead(zoo)).newest.get('a' as Key)?.value).toEqual(encodeValue(1));
    });

    it('keeps the deletes and expiries that it takes in', async () => {
      const writer = zoo.openWriter();
      await zoo.append(writer, { a: 1, b: 1 });
      await writer.seal();
      await zoo.compact();
      await zoo.putRecord({ a: undefined }, { root: 1 });
      const lost = await zoo.putRecord({ c: 1 }, { root: 1 });
      await rewrite(fileOf(lost), flip(30));
      await repair();
      expect([...(await values()).keys()]).toEqual(['b']);
      expect((await naiveRead(zoo)).newest.get('a' as Key)?.absorbedAt).toBe(2);
    });

    it('of an update that was decided is lost alone, at the end of its stripe, too', async () => {
      const [b, c] = (await zoo.putUpdate({ [first]: 1, [second]: 1, [third]: 1 })) as [SerialRecord, SerialRecord];
      await rewrite(fileOf(b), flip(30));
      await zoo.medium.delete([fileOf(c)]);
      const { actions } = await repair();
      expect(actions.map(({ file }) => file).sort()).toEqual([fileOf(b), fileOf(c)].sort());
      expect([...(await values()).keys()]).toEqual([first]);
      expect(await serial(third)).toEqual({ through: 1, nonces: [''] });
    });

    it('of an update whose primary is lost is given up with it', async () => {
      const [b, primary] = (await zoo.putUpdate({ [first]: 1, [second]: 1 })) as [SerialRecord, SerialRecord];
      await zoo.putRecord({ [second]: 'later' });
      await rewrite(fileOf(primary), flip(30));
      const { actions } = await repair();
      expect(actions.map(({ file, lost }) => [file, lost])).toEqual(
        expect.arrayContaining([
          [fileOf(primary), 'what it changed'],
          [fileOf(b), 'an update of several stripes, of which this part had 1 changes'],
        ]),
      );
      expect((await naiveRead(zoo)).newest.get(second as Key)?.value).toEqual(encodeValue('later'));
      expect([...(await values()).keys()]).toEqual([second]);
      expect((await naiveRead(zoo)).root.counts.salvageLost).toBe(2);
    });

    it('of an update whose primary is gone is given up once records follow it', async () => {
      const [b, primary] = (await zoo.putUpdate({ [first]: 1, [second]: 1 })) as [SerialRecord, SerialRecord];
      await zoo.putRecord({ [second]: 'later' });
      await zoo.medium.delete([fileOf(primary)]);
      const { actions } = await repair();
      expect(actions.map(({ file }) => file).sort()).toEqual([fileOf(b), fileOf(primary)].sort());
      expect(await serial(first)).toEqual({ through: 1, nonces: [''] });
    });

    it('that nothing decides yet is left as it is, beside damage elsewhere', async () => {
      const [b] = (await zoo.putUpdate({ [first]: 1, [second]: 1 }, { withoutPrimary: true })) as [SerialRecord];
      const lost = await zoo.putRecord({ a: 1 });
      await rewrite(fileOf(lost), flip(30));
      const { actions } = await repair();
      expect(actions.map(({ file }) => file)).toEqual([fileOf(lost)]);
      expect((await serial(second)).through).toBe(0);
      await zoo.putRecord({ [first]: 1 }, { nonce: b.nonce, kind: 'primary', links: [b.id] });
      expect([...(await values()).keys()]).toEqual([first, second]);
    });

    it('below the horizon takes its number, and has no effect', async () => {
      await zoo.putRecord({ a: 'void' });
      await zoo.commit(() => ({ horizon: 1, drain: 1 }));
      const lost = await zoo.putRecord({ b: 1 }, { root: 1 });
      await rewrite(fileOf(lost), flip(30));
      await repair();
      expect(await serial('a')).toEqual({ through: 1, nonces: [''] });
      expect([...(await values()).keys()]).toEqual([]);
    });
  });

  describe('the numbers of records', () => {
    it('go on where the root before the damaged one, and the files, were', async () => {
      const one = await zoo.putRecord({ a: 1 });
      await zoo.commit(() => ({ serialThrough: new Map([[one.id.stripe, 1]]), serialNonces: new Map([[one.id.stripe, [one.nonce]]]) }));
      await zoo.putRecord({ a: 2 }, { root: 1 });
      await zoo.commit(() => ({ serialThrough: new Map([[one.id.stripe, 2]]) }));
      await rewrite(rootName(zoo.layout, 2), destroy);
      const { actions } = await repair();
      expect(actions).toMatchObject([{ lost: undefined }]);
      const { root, newest } = await naiveRead(zoo);
      expect(root.serialThrough.get(one.id.stripe)).toBe(1);
      expect(newest.get('a' as Key)?.value).toEqual(encodeValue(2));
    });

    it('and what they say: that a record may be void by the damaged root is reported', async () => {
      await zoo.putRecord({ a: 'perhaps void' });
      await zoo.commit(() => ({ drain: 1 }));
      await zoo.commit(() => ({ horizon: 1 }));
      await rewrite(rootName(zoo.layout, 2), destroy);
      const { actions } = await repair();
      expect(actions).toMatchObject([{ lost: expect.stringContaining('may count, although its caller was told') }]);
    });

    it('go on behind the last one that is gone, where several roots are damaged', async () => {
      const stripe = zoo.stripeOf('a');
      const records = [];
      for (const n of [1, 2, 3, 4, 5]) records.push(await zoo.putRecord({ a: n }));
      for (const through of [2, 3]) await zoo.commit(() => ({ serialThrough: new Map([[stripe, through]]) }));
      // In any order: the second one is still there.
      for (const n of [1, 3]) await zoo.medium.delete([recordName(zoo.layout, { stripe, number: n })]);
      for (const n of [1, 2]) await rewrite(rootName(zoo.layout, n), destroy);
      const { actions } = await repair();
      expect(actions.map(({ lost }) => lost)).toContainEqual(expect.stringContaining('start processes anew'));
      const { root, newest } = await naiveRead(zoo);
      expect([root.serialThrough.get(stripe), root.serialNonces.get(stripe)]).toEqual([3, undefined]);
      expect(newest.get('a' as Key)?.value).toEqual(encodeValue(5));
    });
  });

  describe('a table', () => {
    const keys = Array.from({ length: 1200 }, (_, i) => `key/${String(i).padStart(6, '0')}`);
    let file: string;
    let length: number;

    beforeEach(async () => {
      await zoo.commitSharedTables(keys);
      file = (await names(zoo.layout.shard))[0] as string;
      length = (await zoo.medium.get(file))?.length as number;
    });

    it('loses one block, and says which keys', async () => {
      await rewrite(file, flip(20_000));
      const { actions } = await repair();
      expect(actions).toHaveLength(1);
      const left = await values();
      const lost = keys.filter((key) => !left.has(key));
      expect(lost.length).toBeGreaterThan(50);
      expect(lost.length).toBeLessThan(400);
      const at = keys.indexOf(lost[0] as string);
      expect(actions[0]?.lost).toBe(
        `${lost.length} entries with keys above "${keys[at - 1]}" below "${keys[at + lost.length]}"; older versions of them may show again`,
      );
    });

    it.each([
      ['footer', 20],
      ['index', 100],
      ['filter', 600],
    ])('loses nothing where only its %s is damaged', async (_part, fromEnd) => {
      await rewrite(file, flip(length - fromEnd));
      const { actions } = await repair();
      expect(actions).toMatchObject([{ file, lost: undefined }]);
      expect((await values()).size).toBe(keys.length);
    });

    it('loses one block where the index is damaged, too', async () => {
      await rewrite(file, flip(20_000, length - 100));
      await repair();
      const left = await values();
      expect(left.size).toBeGreaterThan(keys.length - 400);
      expect(left.size).toBeLessThan(keys.length);
    });

    it('lets go of a file that is gone', async () => {
      await zoo.medium.delete([file]);
      const { actions } = await repair();
      expect(actions).toHaveLength(3);
      expect((await values()).size).toBe(0);
    });
  });

  describe('a root', () => {
    beforeEach(async () => {
      const writer = zoo.openWriter();
      await zoo.append(writer, { a: 1, b: 2 });
      await zoo.compact();
      await zoo.append(writer, { a: undefined, c: 3 });
      await zoo.compact();
      await zoo.append(writer, { d: 4 });
      await writer.seal();
      await zoo.compact();
      await zoo.append(zoo.openWriter({ root: 3 }), { e: 5 });
    });

    it('is put right where a single byte of it is wrong', async () => {
      const before = await values();
      await rewrite(rootName(zoo.layout, 3), flip(321));
      const { actions } = await repair();
      expect(actions).toMatchObject([{ file: rootName(zoo.layout, 3), lost: undefined }]);
      expect(actions[0]?.does).toContain('byte 321');
      expect(await values()).toEqual(before);
    });

    it('is rebuilt from the one before and the log, without loss', async () => {
      const before = await values();
      await rewrite(rootName(zoo.layout, 3), destroy);
      const { actions, report } = await repair();
      expect(actions).toMatchObject([{ lost: undefined }]);
      expect(report.roots).toEqual([{ namespace: 'zoo', root: 4 }]);
      expect(await values()).toEqual(before);
      await zoo.compact();
      expect(await values()).toEqual(before);
      expect(await damage()).toEqual([]);
    });

    it('is rebuilt from an older one, the tables made since, and the log, also where segments are gone', async () => {
      const before = await values();
      await rewrite(rootName(zoo.layout, 3), destroy);
      await rewrite(rootName(zoo.layout, 2), destroy);
      await zoo.medium.delete([await segmentOf(0)]);
      await repair();
      expect(await values()).toEqual(before);
    });

    it('is rebuilt from the tables alone where no root can be read', async () => {
      const before = await values();
      for (const number of [0, 1, 2, 3]) await rewrite(rootName(zoo.layout, number), destroy);
      const { actions } = await repair();
      expect(actions.at(-1)?.lost).toContain('deleted keys may show an old value again');
      expect(await values()).toEqual(before);
    });

    it('that is old and damaged is taken out', async () => {
      await rewrite(rootName(zoo.layout, 1), destroy);
      const { report } = await repair();
      expect(report.roots).toEqual([]);
      expect(await names(zoo.layout.root)).not.toContain(rootName(zoo.layout, 1));
    });

    it('and everything else at once', async () => {
      await rewrite(rootName(zoo.layout, 3), destroy);
      await rewrite(await segmentOf(1), flip(20));
      await rewrite(STORE_FILE, flip(40));
      await repair();
      // The only batch of the last segment was hit, and nothing stands behind it: a torn tail, which is no damage.
      expect([...(await values()).keys()]).toEqual(['b', 'c', 'd']);
    });
  });

  describe('peat.json', () => {
    it('is put right where a single byte of it is wrong', async () => {
      const before = await zoo.medium.get(STORE_FILE);
      await rewrite(STORE_FILE, flip(40));
      await repair();
      expect(await zoo.medium.get(STORE_FILE)).toEqual(before);
    });

    it('is made anew where more is wrong, or it is gone', async () => {
      await rewrite(STORE_FILE, destroy);
      await repair();
      await zoo.medium.delete([STORE_FILE]);
      const { actions } = await repair();
      expect(actions[0]?.what).toBe('it is not there');
      expect(actions[0]?.lost).toContain('those that run lock in that directory, and new ones in the store');
    });

    describe('of a store whose locks are in a directory of their own', () => {
      const lockDir = '/var/lib/"locks"';

      beforeEach(async () => {
        const facts = decodeStoreFile((await zoo.medium.get(STORE_FILE)) as Buffer);
        await zoo.medium.delete([STORE_FILE]);
        await zoo.medium.putIfAbsent(STORE_FILE, encodeCheckedJson({ ...facts, writerFeatures: ['lock-dir'], singleHost: true, lockDir }));
      });

      it('keeps that where a single byte is wrong', async () => {
        await rewrite(STORE_FILE, flip(40));
        await repair();
        expect(decodeStoreFile((await zoo.medium.get(STORE_FILE)) as Buffer).lockDir).toBe(lockDir);
      });

      it('is not made anew while it still shows that, since processes would lock in two places', async () => {
        const text = ((await zoo.medium.get(STORE_FILE)) as Buffer).toString('utf8');
        for (const left of [`"lockDir":${JSON.stringify(lockDir)}`, '"lockDir', '"lock-dir"']) {
          const at = text.indexOf(left);
          expect(at).toBeGreaterThan(0);
          const damaged = Buffer.from('?'.repeat(at) + text.slice(at, at + left.length).padEnd(text.length - at, '?'));
          await zoo.medium.delete([STORE_FILE]);
          await zoo.medium.putIfAbsent(STORE_FILE, damaged);
          const { actions } = await repairStore(zoo, { apply: true });
          expect(actions).toMatchObject([{ file: STORE_FILE, isRefused: true, does: expect.stringContaining('in two places') }]);
          expect(actions[0]?.what).toContain(left.includes(':') ? JSON.stringify(lockDir) : 'in another place');
          expect(await zoo.medium.get(STORE_FILE)).toEqual(damaged);
        }
      });

      it('is made anew once it was taken away', async () => {
        await rewrite(STORE_FILE, flip(40, 41, 42));
        expect((await repairStore(zoo, { apply: true })).actions).toMatchObject([{ isRefused: true }]);
        await zoo.medium.delete([STORE_FILE]);
        await repair();
        expect(decodeStoreFile((await zoo.medium.get(STORE_FILE)) as Buffer).lockDir).toBeUndefined();
      });
    });
  });
});
