import { describe, expect, test } from 'vitest';
import { compactOnce, type PassContext } from '../../../compactor/pass.ts';
import type { Delta } from '../../../src/format/batch.ts';
import { type RecordId, recordName, recordText } from '../../../src/format/layout.ts';
import { decodeRecord, type SerialRecord } from '../../../src/format/record.ts';
import { serialNonce, serialThrough } from '../../../src/format/root.ts';
import { createNamespace, dropNamespace } from '../../../src/manifest/commit-root.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { CompactorWorld, del, put } from '../../support/compactor-world.ts';
import { naiveRead } from '../../support/naive-read.ts';

async function world(options: ConstructorParameters<typeof CompactorWorld>[0] = {}): Promise<CompactorWorld> {
  const made = new CompactorWorld(options);
  await createNamespace(made.plain);
  return made;
}

function id(stripe: number, number: number): RecordId {
  return { stripe, number };
}

async function through(w: CompactorWorld, stripe: number): Promise<number> {
  return serialThrough(await w.root(), stripe);
}

async function read(w: CompactorWorld, key: string): Promise<string | undefined> {
  const { newest } = await naiveRead(w.plain);
  const value = [...newest].find(([other]) => other === key)?.[1].value;
  return value === undefined ? undefined : Buffer.from(value).toString();
}

async function records(w: CompactorWorld): Promise<string[]> {
  return (await w.names('log')).filter((name) => name.startsWith('s'));
}

/** Publishes roots, a minute apart, until one says that a drain is under way. @param context the compactor's */
async function publishUntilDraining(w: CompactorWorld, context: PassContext = w.plain): Promise<void> {
  // What only a horizon can clear away.
  await w.write([put('silent', '1')], { seal: false });
  for (let i = 0; i < 30; i++) {
    await w.system.advance(61_000);
    await w.write([put('tick', String(i))]);
    await compactOnce(context);
    const { drain, horizon } = await w.root();
    if (drain > horizon) return;
  }
  expect.unreachable('no drain was started');
}

/** Drains until the horizon has passed `number`. */
async function passHorizon(w: CompactorWorld, number: number): Promise<void> {
  for (let i = 0; i < 60 && (await w.root()).horizon <= number; i++) {
    await w.system.advance(61_000);
    await w.write([put('tick', String(i))], { seal: false });
    await w.pass();
  }
  expect((await w.root()).horizon).toBeGreaterThan(number);
}

async function rest(w: CompactorWorld): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await w.system.advance(61_000);
    await w.pass();
  }
  expect(await w.names('log')).toEqual([]);
  expect((await w.pass()).outcome).toBe('nothing');
}

/** The medium, with listings that leave out some names. */
function hiding(inner: Medium, hidden: () => readonly string[]): Medium {
  const list: Medium['list'] = async (prefix, options) =>
    (await inner.list(prefix, options)).filter(({ name }) => !hidden().includes(name.slice(name.lastIndexOf('/') + 1)));
  return Object.assign(Object.create(inner) as Medium, bound(inner), { list });
}

function bound(inner: Medium): Partial<Medium> {
  return {
    canAppend: inner.canAppend,
    isRemote: inner.isRemote,
    putIfAbsent: inner.putIfAbsent.bind(inner),
    get: inner.get.bind(inner),
    list: inner.list.bind(inner),
    delete: inner.delete.bind(inner),
    syncNames: inner.syncNames.bind(inner),
    nowMs: inner.nowMs.bind(inner),
    lastAnsweredAtMs: inner.lastAnsweredAtMs.bind(inner),
  };
}

describe('records', () => {
  test('are taken in once, with their deltas and beside the frames of segments', async () => {
    const w = await world();
    await w.write([put('a', '1'), put('b', '1')]);
    await w.system.advance(5000);
    const putAtMs = w.system.wallNowMs();
    await w.committed(id(3, 1), [put('a', '2'), del('b')]);
    const last = await w.committed(id(3, 2), [put('a', '3')]);
    const empty = await w.committed(id(7, 1), []);
    const result = await w.pass();
    expect(result).toMatchObject({ outcome: 'committed', framesIn: 4, entriesIn: 5, more: false, warnings: [] });
    expect(result.root.counts).toMatchObject({ framesIn: 4, deltasIn: 5, entriesWritten: 2, superseded: 3 });
    expect(result.root.counts.logBytesIn).toBe(result.logBytesIn);
    expect(result.root.maxStamp).toEqual(last.entries[0]?.stamp);
    expect([...result.root.serialThrough]).toEqual([
      [3, 2],
      [7, 1],
    ]);
    expect(serialNonce(result.root, id(3, 2))).toBe(last.nonce);
    expect(serialNonce(result.root, id(7, 1))).toBe(empty.nonce);
    expect(await w.differences()).toEqual([]);
    expect((await w.pass()).outcome).toBe('nothing');
    await w.committed(id(3, 3), [put('a', '4')]);
    expect(await w.pass()).toMatchObject({ framesIn: 1, oldestFrameMs: putAtMs });
    expect(await w.differences()).toEqual([]);
  });

  test('are taken up to a gap, which is reported, and on from there when it is filled', async () => {
    const w = await world();
    for (const number of [1, 2, 4]) await w.committed(id(0, number), [put(`k${number}`, 'x')]);
    await w.committed(id(1, 1), [put('other', 'x')]);
    const result = await w.pass();
    expect(result).toMatchObject({ framesIn: 3, more: false });
    expect(result.warnings).toEqual([expect.stringContaining(recordText(id(0, 3)))]);
    expect([await through(w, 0), await through(w, 1)]).toEqual([2, 1]);
    expect((await w.pass()).outcome).toBe('nothing');
    await w.committed(id(0, 3), [put('k3', 'x')]);
    expect(await w.pass()).toMatchObject({ framesIn: 2, warnings: [] });
    expect(await through(w, 0)).toBe(4);
    expect(await w.differences()).toEqual([]);
  });

  test('that a listing lacks are asked for, before an update counts as undecided or a number as missing', async () => {
    const w = await world();
    await w.committed(id(0, 1), []);
    await w.committed(id(0, 2), []);
    await w.updateMany([
      [id(1, 1), [put('a', '1')]],
      [id(2, 1), [put('b', '1')]],
    ]);
    const medium = hiding(w.inner, () => [recordText(id(0, 1)), recordText(id(1, 1))]);
    expect(await compactOnce({ ...w.context, medium })).toMatchObject({ framesIn: 4, warnings: [] });
    expect([...(await w.root()).serialThrough.values()]).toEqual([2, 1, 1]);
    expect(await w.differences()).toEqual([]);
  });

  test('that vanish while they are read mean that the pass is outdated', async () => {
    const w = await world();
    await w.committed(id(0, 1), [put('a', '1')]);
    let isOvertaken = false;
    const get: Medium['get'] = async (name, range) => {
      if (name.startsWith(w.context.layout.log) && !isOvertaken) {
        isOvertaken = true;
        await compactOnce(w.plain);
        await w.write([put('b', '1')]);
        await compactOnce(w.plain);
      }
      return await w.inner.get(name, range);
    };
    const medium = Object.assign(Object.create(w.inner) as Medium, bound(w.inner), { get });
    expect(await compactOnce({ ...w.context, medium })).toMatchObject({ outcome: 'lost', more: true });
    expect(isOvertaken).toBe(true);
    expect(await w.differences()).toEqual([]);
  });

  test('take turns with segments where a pass is bounded, so that neither waits for the other', async () => {
    const w = await world();
    for (let i = 1; i <= 3; i++) {
      await w.committed(id(0, i), [put(`r${i}`, 'x'.repeat(1000))]);
      await w.write([put(`s${i}`, 'x'.repeat(1000))]);
    }
    for (let i = 1; i <= 3; i++) {
      expect(await w.pass({ bytesMax: 1 })).toMatchObject({ framesIn: 2, more: i < 3 });
      expect(await through(w, 0)).toBe(i);
    }
    expect(await w.differences()).toEqual([]);
  });
});

describe('an update of several stripes', () => {
  test('is taken in whole, whatever the bound of a pass, with all that stands before its parts', async () => {
    const w = await world();
    const filler = (): Delta[] => [put(`f${w.nextTime()}`, 'x'.repeat(500))];
    for (const [stripe, count] of [
      [0, 3],
      [1, 5],
      [2, 1],
    ] as const) {
      for (let n = 1; n <= count; n++) await w.committed(id(stripe, n), filler());
    }
    // Two that are entangled: the first has a part behind one of the second's.
    await w.updateMany([
      [id(1, 6), [put('a', '1')]],
      [id(2, 2), [put('b', '1')]],
    ]);
    await w.updateMany([
      [id(0, 4), [put('c', '1')]],
      [id(2, 3), [put('d', '1')]],
    ]);
    let passes = 0;
    for (let more = true; more; passes++) {
      ({ more } = await w.pass({ bytesMax: 1 }));
      const { serialThrough: ends } = await w.root();
      expect((ends.get(1) ?? 0) >= 6).toBe((ends.get(2) ?? 0) >= 2);
      expect((ends.get(0) ?? 0) >= 4).toBe((ends.get(2) ?? 0) >= 3);
      expect(await w.differences()).toEqual([]);
      expect(passes).toBeLessThan(12);
    }
    // One pass for each of the three before the primary that is listed first, and one for all the rest that this one brings along.
    expect(passes).toBe(4);
    expect([...(await w.root()).serialThrough.values()]).toEqual([4, 6, 3]);
  });

  test('that is not decided ends its stripe, and is taken in whole when it is decided', async () => {
    const w = await world();
    await w.committed(id(2, 1), [put('a', '1')]);
    const [secondary] = (await w.updateMany(
      [
        [id(1, 1), []],
        [id(2, 2), [put('a', '2')]],
      ],
      { decided: false },
    )) as [SerialRecord];
    expect(await w.pass()).toMatchObject({ framesIn: 1, more: false, warnings: [] });
    await w.system.advance(9000);
    expect(await w.pass()).toMatchObject({ outcome: 'nothing', more: false });
    expect(await through(w, 2)).toBe(1);
    await w.committed(id(1, 1), [put('b', '2')], { kind: 'primary', nonce: secondary.nonce, links: [secondary.id] });
    w.expect([put('a', '2')], secondary.entries[0]?.stamp as never);
    expect(await w.pass()).toMatchObject({ framesIn: 2 });
    expect(serialNonce(await w.root(), secondary.id)).toBe(secondary.nonce);
    expect(await w.differences()).toEqual([]);
  });

  test('that nobody decides for long is decided by an empty record, and then passed over', async () => {
    const w = await world();
    await w.write([put('a', '1')]);
    await w.pass();
    const [secondary] = await w.updateMany(
      [
        [id(1, 1), []],
        [id(2, 1), [put('a', '2')]],
      ],
      { decided: false },
    );
    await w.system.advance(11_000);
    expect(await w.pass({ upkeep: false })).toMatchObject({ outcome: 'nothing', more: false });
    expect(await records(w)).toHaveLength(1);
    expect(await w.pass()).toMatchObject({ outcome: 'nothing', more: true });
    const name = recordName(w.context.layout, id(1, 1));
    const empty = decodeRecord(w.context.layout, id(1, 1), (await w.inner.get(name)) as Buffer);
    expect(empty).toMatchObject({ kind: 'single', root: (await w.root()).number, entries: [] });
    const result = await w.pass();
    expect(result).toMatchObject({ outcome: 'committed', framesIn: 1, entriesIn: 0, more: false });
    expect(serialNonce(result.root, id(1, 1))).toBe(empty.nonce);
    expect(serialNonce(result.root, secondary?.id as RecordId)).toBe('');
    expect(await w.differences()).toEqual([]);
    await rest(w);
  });

  test('whose deciding number another record took did not happen, also when that one was absorbed first', async () => {
    const w = await world();
    const [one] = await w.updateMany(
      [
        [id(0, 1), []],
        [id(2, 1), [put('a', 'never')]],
      ],
      { decided: false },
    );
    await w.committed(id(0, 1), [put('b', '1')]);
    expect(await w.pass({ bytesMax: 1 })).toMatchObject({ framesIn: 1, more: true });
    expect(await w.pass({ bytesMax: 1 })).toMatchObject({ framesIn: 0, more: false, outcome: 'committed' });
    expect(serialNonce(await w.root(), one?.id as RecordId)).toBe('');
    const [two] = await w.updateMany(
      [
        [id(3, 1), []],
        [id(1, 1), [put('a', 'never')]],
      ],
      { decided: false },
    );
    await w.committed(id(3, 1), [put('c', '1')]);
    expect(await w.pass()).toMatchObject({ framesIn: 1, entriesIn: 1 });
    expect(serialNonce(await w.root(), two?.id as RecordId)).toBe('');
    expect(await read(w, 'a')).toBeUndefined();
    expect(await w.differences()).toEqual([]);
  });
});

describe('nonces', () => {
  test('are kept of the last sixteen records of a stripe', async () => {
    const w = await world();
    const made: SerialRecord[] = [];
    for (let n = 1; n <= 20; n++) made.push(await w.committed(id(5, n), [put('a', String(n))]));
    await w.pass();
    const kept = (await w.root()).serialNonces.get(5);
    expect(kept).toEqual(made.slice(4).map(({ nonce }) => nonce));
    made.push(await w.committed(id(5, 21), [put('a', '21')]));
    await w.pass();
    expect((await w.root()).serialNonces.get(5)).toEqual(made.slice(5).map(({ nonce }) => nonce));
    expect(serialNonce(await w.root(), id(5, 6))).toBe(made[5]?.nonce);
    expect(serialNonce(await w.root(), id(5, 5))).toBeUndefined();
  });
});

describe('files of records', () => {
  test('go when the root after the one that absorbed them is there', async () => {
    const w = await world();
    await w.committed(id(0, 1), [put('a', '1')]);
    expect(await w.pass()).toMatchObject({ outcome: 'committed', deleted: { records: 0 } });
    expect(await records(w)).toHaveLength(1);
    await w.committed(id(0, 2), [put('a', '2')]);
    expect(await w.pass()).toMatchObject({ outcome: 'committed', deleted: { records: 1 } });
    expect(await records(w)).toEqual([recordText(id(0, 2))]);
    expect(await w.differences()).toEqual([]);
  });

  test('leave an idle store, and those that are put again under a number long gone count for nothing and leave it too', async () => {
    const w = await world();
    const first = await w.committed(id(0, 1), [put('a', '1')]);
    await w.committed(id(0, 2), [put('a', '2')]);
    await rest(w);
    await w.record(id(0, 1), [put('a', 'late')], { nonce: first.nonce, root: first.root });
    expect(await w.pass()).toMatchObject({ outcome: 'committed', framesIn: 0, deleted: { records: 1 } });
    await rest(w);
    expect(await w.differences()).toEqual([]);
  });
});

describe('horizons', () => {
  test('make older records void: these are passed over, and their nonces are not kept', async () => {
    const w = await world();
    await w.committed(id(0, 1), [put('a', '1')]);
    await passHorizon(w, 0);
    const late = await w.record(id(0, 2), [put('a', 'late')], { root: 0 });
    await w.committed(id(0, 3), [put('b', '1')]);
    const result = await w.pass();
    expect(result).toMatchObject({ framesIn: 1, entriesIn: 1 });
    expect(serialNonce(result.root, late.id)).toBe('');
    expect(await w.differences()).toEqual([]);
    await rest(w);
  });

  test('wait until all records below a drain were taken in', async () => {
    const w = await world();
    for (let n = 1; n <= 3; n++) await w.committed(id(n, 1), [put(`early${n}`, 'x')]);
    await w.pass();
    await publishUntilDraining(w);
    const { drain, horizon } = await w.root();
    for (let n = 1; n <= 3; n++) await w.committed(id(n, 2), [put(`late${n}`, 'x')], { root: 0 });
    for (let n = 1; n <= 2; n++) expect(await w.pass({ bytesMax: 1 })).toMatchObject({ more: true, draining: true, root: { horizon } });
    expect(await w.pass({ bytesMax: 1 })).toMatchObject({ more: false, horizonMovedTo: drain });
    expect(await w.differences()).toEqual([]);
  });

  test('pass an update that nobody has decided, and make it void, with its deciding record that comes late', async () => {
    const w = await world();
    await w.committed(id(2, 1), [put('a', '1')]);
    await publishUntilDraining(w);
    const { drain } = await w.root();
    const nonce = '0'.repeat(20);
    const secondary = await w.record(id(2, 2), [put('a', '2')], { root: 0, kind: 'secondary', links: [id(1, 1)], nonce });
    expect(await w.pass()).toMatchObject({ more: false, draining: false, horizonMovedTo: drain });
    expect([await through(w, 1), await through(w, 2)]).toEqual([0, 1]);
    const primary = await w.record(id(1, 1), [put('b', '2')], { root: 0, kind: 'primary', links: [secondary.id], nonce });
    expect(await w.differences()).toEqual([]);
    const result = await w.pass();
    expect(result).toMatchObject({ outcome: 'committed', framesIn: 0, more: false });
    for (const record of [primary, secondary]) expect(serialNonce(result.root, record.id)).toBe('');
    expect(await w.differences()).toEqual([]);
    await rest(w);
  });

  test('wait where a record stands behind an undecided one, as nobody has looked when it was made', async () => {
    const w = await world();
    await publishUntilDraining(w);
    await w.record(id(2, 1), [], { root: 0, kind: 'secondary', links: [id(1, 1)] });
    await w.record(id(2, 2), [], { root: 0 });
    expect(await w.pass()).toMatchObject({ draining: true, horizonMovedTo: undefined });
    await w.record(id(1, 1), []);
    expect(await w.pass()).toMatchObject({ draining: false });
    expect(await through(w, 2)).toBe(2);
  });

  test('let a tombstone of a record go only once they have passed the root that absorbed it', async () => {
    const w = await world();
    await w.committed(id(0, 1), [put('a', '1'), put('b', '1')]);
    await w.pass();
    await w.committed(id(0, 2), [del('a')]);
    const absorbedAt = (await w.pass()).root.number;
    for (let i = 0; i < 30; i++) {
      await w.system.advance(61_000);
      const { root } = await w.pass();
      const tombstones = root.shards.flatMap(({ tables }) => tables).reduce((sum, table) => sum + table.tombstones, 0);
      expect(await w.differences()).toEqual([]);
      if (tombstones > 0) continue;
      expect(root.horizon).toBeGreaterThanOrEqual(absorbedAt);
      expect(root.dropFloor).toBeDefined();
      return;
    }
    expect.unreachable('the tombstone is still there');
  });
});

test('a dropped namespace clears its records away, and those of its former life are void in the next', async () => {
  const w = await world();
  await w.committed(id(0, 1), [put('a', '1')]);
  await w.pass();
  const former = await w.record(id(0, 2), [put('a', '2')]);
  await w.record(id(4, 1), [put('a', '2')]);
  expect(await dropNamespace(w.plain)).toBe('dropped');
  expect((await w.root()).serialNonces.size).toBe(0);
  expect(await w.pass()).toMatchObject({ outcome: 'committed', framesIn: 0 });
  await rest(w);
  expect([await through(w, 0), await through(w, 4)]).toEqual([2, 1]);
  expect(await createNamespace(w.plain)).toBe('created');
  w.expected.clear();
  const stalled = await w.record(id(0, 3), [put('a', 'late')], { root: former.root });
  await w.committed(id(0, 4), [put('b', '1')]);
  const result = await w.pass();
  expect(result).toMatchObject({ framesIn: 1 });
  expect(serialNonce(result.root, stalled.id)).toBe('');
  expect(await w.differences()).toEqual([]);
  await rest(w);
});

describe('a damaged record', () => {
  async function damaged(w: CompactorWorld, record: RecordId): Promise<PassContext> {
    const name = recordName(w.context.layout, record);
    const get: Medium['get'] = async (wanted, range) => {
      const bytes = await w.inner.get(wanted, range);
      if (wanted === name && bytes !== undefined) bytes[20] = (bytes[20] as number) ^ 0x55;
      return bytes;
    };
    return { ...w.context, medium: Object.assign(Object.create(w.inner) as Medium, bound(w.inner), { get }) };
  }

  test('ends its stripe, is reported, stops no other, and holds every horizon back', async () => {
    const w = await world();
    for (let n = 1; n <= 3; n++) await w.committed(id(0, n), [put(`a${n}`, 'x')]);
    await w.committed(id(1, 1), [put('b', 'x')]);
    const context = await damaged(w, id(0, 2));
    const result = await compactOnce(context);
    expect(result).toMatchObject({ outcome: 'committed', framesIn: 2, more: false });
    expect(result.warnings).toEqual([expect.stringMatching(/s0-0*2: .*damaged.*no drain/)]);
    expect((await compactOnce(context)).outcome).toBe('nothing');
    await publishUntilDraining(w, context);
    const { drain } = await w.root();
    expect(await compactOnce(context)).toMatchObject({ draining: true, more: false, root: { horizon: 0, drain } });
    expect(await compactOnce(w.plain)).toMatchObject({ horizonMovedTo: drain, warnings: [] });
    expect(await through(w, 0)).toBe(3);
    expect(await w.differences()).toEqual([]);
  });

  test('that decides an update keeps its other parts from being taken in', async () => {
    const w = await world();
    await w.updateMany([
      [id(1, 1), [put('a', '1')]],
      [id(2, 1), [put('b', '1')]],
    ]);
    await w.system.advance(60_000);
    const context = await damaged(w, id(1, 1));
    expect(await compactOnce(context)).toMatchObject({ outcome: 'nothing', more: false, warnings: [expect.stringContaining('damaged')] });
    expect(await compactOnce(w.plain)).toMatchObject({ framesIn: 2 });
    expect(await w.differences()).toEqual([]);
  });
});
