/** Records that a root has not absorbed: which are read, which count, and what a view does that looks while others write and absorb. */
import { beforeEach, describe, expect, it } from 'vitest';
import { isPeatError } from '../../../src/base/errors.ts';
import { type RecordId, recordName, recordText, segmentIdText } from '../../../src/format/layout.ts';
import { encodeRecord, type SerialRecord } from '../../../src/format/record.ts';
import type { Root } from '../../../src/format/root.ts';
import { listLog } from '../../../src/log/log-listing.ts';
import { fateOfRecord, RecordLog } from '../../../src/log/record-log.ts';
import { newestRoot } from '../../../src/manifest/newest-root.ts';
import { runBlocking } from '../../../src/medium/steps.ts';
import { RecordWorld, refresh, tailValue } from '../../support/record-world.ts';

let world: RecordWorld;

beforeEach(async () => {
  world = await RecordWorld.create();
});

function root(): Root {
  const reading = runBlocking(newestRoot(world.layout, world), world);
  if (reading === undefined) throw new Error('no root');
  return reading.root;
}

/** What reading the log as it stands finds: how many records were new, and which of them count. */
function read(log: RecordLog): { count: number | undefined; effective: string[] } {
  const now = root();
  const count = runBlocking(log.read(runBlocking(listLog(world.layout), world), now), world);
  return { count, effective: count === undefined ? [] : [...log.takeEffective(now)].map(({ id }) => recordText(id)) };
}

const at = (key: string, number: number): RecordId => ({ stripe: world.stripeOf(key), number });
const text = (key: string, number: number): string => recordText(at(key, number));
/** Keys of three stripes, in their order. */
const [first, second, third] = ['key/004', 'key/005', 'key/006'] as const;

describe('a log of records', () => {
  it('hands out each record once, in the order of its stripe', async () => {
    const log = new RecordLog(world.layout);
    for (const value of [1, 2, 3]) await world.putRecord({ a: value });
    expect(read(log)).toEqual({ count: 3, effective: [text('a', 1), text('a', 2), text('a', 3)] });
    expect(read(log)).toEqual({ count: 0, effective: [] });
    await world.putRecord({ a: 4 });
    expect(read(log)).toEqual({ count: 1, effective: [text('a', 4)] });
    expect(log.tails().highest).toEqual(new Map([[world.stripeOf('a'), 4]]));
  });

  it('starts over where a record is missing before others, and goes on when it is there', async () => {
    const log = new RecordLog(world.layout);
    await world.putRecord({ a: 2 }, { id: at('a', 2) });
    expect(read(log).count).toBeUndefined();
    await world.putRecord({ a: 1 }, { id: at('a', 1) });
    expect(read(log)).toEqual({ count: 2, effective: [text('a', 1), text('a', 2)] });
  });

  it('passes over what the root has absorbed, in whatever order that is deleted', async () => {
    const records = [await world.putRecord({ a: 1 }), await world.putRecord({ a: 2 }), await world.putRecord({ a: 3 })];
    await world.absorb(...records.slice(0, 2));
    await world.remove(records[1] as SerialRecord);
    expect(read(new RecordLog(world.layout))).toEqual({ count: 1, effective: [text('a', 3)] });
  });

  it('forgets what a newer root has absorbed, and hands out the rest once more', async () => {
    const log = new RecordLog(world.layout);
    const one = await world.putRecord({ a: 1 });
    await world.putRecord({ a: 2 });
    await world.putRecord({ b: 1 });
    read(log);
    log.adopt(await world.absorb(one));
    expect([...log.all()].map(({ id }) => recordText(id)).sort()).toEqual([text('a', 2), text('b', 1)].sort());
    expect(read(log).effective.sort()).toEqual([text('a', 2), text('b', 1)].sort());
    expect(log.tails().highest.get(world.stripeOf('a'))).toBe(2);
  });

  it('knows no end of a stripe that was absorbed whole', async () => {
    const log = new RecordLog(world.layout);
    const one = await world.putRecord({ a: 1 });
    read(log);
    log.adopt(await world.absorb(one));
    expect(log.tails().highest).toEqual(new Map());
  });

  it('ignores names that are almost those of records', async () => {
    for (const name of ['s01-00000000000000000001', 's1-5', 's1-00000000000000000001.tmp', 's1-00000000000000000001/x'])
      await world.medium.putIfAbsent(world.layout.log + name, Buffer.from('x'));
    expect(runBlocking(listLog(world.layout), world).records.size).toBe(0);
    expect(read(new RecordLog(world.layout))).toEqual({ count: 0, effective: [] });
  });

  it('fails on a damaged record, and names it', async () => {
    const { id } = await world.putRecord({ a: 1 });
    const name = recordName(world.layout, id);
    const bytes = (await world.medium.get(name)) as Buffer;
    await world.medium.delete([name]);
    await world.medium.putIfAbsent(name, bytes.fill(0, 20, 21));
    expect(() => read(new RecordLog(world.layout))).toThrow(expect.objectContaining({ code: 'CORRUPT', file: name }));
  });
});

describe('an update of several stripes', () => {
  it('counts in all its stripes from the moment that its primary is there', async () => {
    const log = new RecordLog(world.layout);
    const [b, c] = (await world.putUpdate({ [first]: 1, [second]: 1, [third]: 1 }, { withoutPrimary: true })) as [
      SerialRecord,
      SerialRecord,
    ];
    expect(read(log)).toEqual({ count: 2, effective: [] });
    expect([...log.tails().undecided.values()].map(({ id }) => recordText(id))).toEqual([recordText(b.id), recordText(c.id)]);
    await world.putRecord({ [first]: 1 }, { nonce: b.nonce, kind: 'primary', links: [b.id, c.id] });
    expect(read(log).effective.sort()).toEqual([text(first, 1), recordText(b.id), recordText(c.id)].sort());
    expect(log.tails().undecided.size).toBe(0);
  });

  it('did not happen once another record has its number of its first stripe', async () => {
    const log = new RecordLog(world.layout);
    const [b] = (await world.putUpdate({ [first]: 1, [second]: 1 }, { withoutPrimary: true })) as [SerialRecord];
    await world.putRecord({ [first]: 2 });
    expect(read(log).effective).toEqual([text(first, 1)]);
    expect(fateOfRecord(b, root(), (id) => [...log.all()].find((some) => recordText(some.id) === recordText(id)))).toBe('aborted');
  });

  it('did not happen if the root has absorbed another record under the number of its primary', async () => {
    const [b] = (await world.putUpdate({ [first]: 1, [second]: 1 }, { withoutPrimary: true })) as [SerialRecord];
    const resolver = await world.putRecord({}, { id: b.links[0] as RecordId });
    await world.absorb(resolver);
    await world.remove(resolver);
    expect(fateOfRecord(b, root(), () => undefined)).toBe('aborted');
    expect(read(new RecordLog(world.layout))).toEqual({ count: 1, effective: [] });
  });

  it('of which a listing shows the primary and not a secondary is read over again', async () => {
    const log = new RecordLog(world.layout);
    const [b, primary] = (await world.putUpdate({ [first]: 1, [second]: 1 })) as [SerialRecord, SerialRecord];
    const bytes = (await world.medium.get(recordName(world.layout, b.id))) as Buffer;
    await world.remove(b);
    expect(read(log).count).toBeUndefined();
    await world.medium.putIfAbsent(recordName(world.layout, b.id), bytes);
    expect(read(log)).toEqual({ count: 1, effective: [recordText(primary.id), recordText(b.id)] });
  });

  it('of which a listing shows a record behind a secondary, and not what decided that, is read over again', async () => {
    const [b] = (await world.putUpdate({ [first]: 1, [second]: 1 }, { withoutPrimary: true })) as [SerialRecord];
    await world.putRecord({ [second]: 2 }, { id: { ...b.id, number: 2 } });
    expect(read(new RecordLog(world.layout)).count).toBeUndefined();
  });

  it('whose parts lie below the horizon is void in all of them', async () => {
    const records = await world.putUpdate({ [first]: 1, [second]: 1 });
    await world.commit(() => ({ horizon: 1, drain: 1 }));
    expect(records.map((record) => fateOfRecord(record, root(), () => undefined))).toEqual(['void', 'void']);
    expect(read(new RecordLog(world.layout))).toEqual({ count: 2, effective: [] });
  });
});

describe('a view', () => {
  it('shows what records say, over tables and segments, by stamp', async () => {
    const view = world.newView();
    const writer = world.openWriter();
    await world.append(writer, { a: 'blind', b: 'blind' });
    await world.putRecord({ a: 'updated' });
    expect(refresh(view, world)).toBe('fresh');
    expect([tailValue(view, 'a'), tailValue(view, 'b')]).toEqual(['updated', 'blind']);
    await world.append(writer, { a: 'blind again' });
    await world.putRecord({ b: undefined });
    refresh(view, world);
    expect([tailValue(view, 'a'), tailValue(view, 'b')]).toEqual(['blind again', undefined]);
    expect(view.state.stripes.highest.get(world.stripeOf('b'))).toBe(world.stripeOf('b') === world.stripeOf('a') ? 2 : 1);
  });

  it('does not return a record that was absorbed and deleted, and put again by one that had stalled (B2)', async () => {
    const absorbed = await world.putRecord({ a: 'absorbed' });
    const view = world.newView();
    const { medium } = world;
    const steps = view.refresh();
    let next = steps.next();
    let isSwapped = false;
    while (next.done !== true) {
      const call = next.value;
      if (call.op === 'get' && call.name === recordName(world.layout, absorbed.id) && !isSwapped) {
        // Between the look at the root and the look at the contents.
        isSwapped = true;
        await world.absorb(absorbed);
        await world.remove(absorbed);
        await world.putRecord({ a: 'never happened' }, { id: absorbed.id });
      }
      if (call.op === 'sleep') throw new Error('it need not wait');
      if (call.op === 'getMany') throw new Error('there are no segments');
      next = steps.next(call.op === 'get' ? await medium.get(call.name, call.range) : await medium.list(call.prefix, call.options));
    }
    expect(isSwapped).toBe(true);
    expect(next.value).toBe('fresh');
    expect(view.state.root.serialThrough.get(world.stripeOf('a'))).toBe(1);
    expect(tailValue(view, 'a')).toBeUndefined();
    expect(view.counters.startedOver).toBe(1);
  });

  it('ignores a record that was put again after it was absorbed, in later looks as well', async () => {
    const view = world.newView();
    const absorbed = await world.putRecord({ a: 'absorbed' });
    refresh(view, world);
    expect(tailValue(view, 'a')).toBe('absorbed');
    await world.absorb(absorbed);
    await world.remove(absorbed);
    await world.putRecord({ a: 'never happened' }, { id: absorbed.id });
    refresh(view, world);
    expect(tailValue(view, 'a')).toBeUndefined();
  });

  it('leaves out a record below the horizon, and takes what follows it in its stripe', async () => {
    await world.putRecord({ a: 'void' });
    await world.commit(() => ({ horizon: 1, drain: 1 }));
    await world.putRecord({ b: 'void, too' }, { id: at('a', 2), root: 0 });
    await world.putRecord({ a: 'counts' }, { root: 1 });
    const view = world.newView();
    refresh(view, world);
    expect([tailValue(view, 'a'), tailValue(view, 'b')]).toEqual(['counts', undefined]);
    expect(view.state.stripes.highest.get(world.stripeOf('a'))).toBe(3);
  });

  it('is draining while a record that counts lies below the drain', async () => {
    const record = await world.putRecord({ a: 1 });
    await world.commit(() => ({ drain: 1 }));
    const view = world.newView();
    expect(refresh(view, world)).toBe('draining');
    await world.absorb(record);
    expect(refresh(view, world)).toBe('fresh');
  });

  it('is not draining for records that are void already', async () => {
    await world.putRecord({ a: 1 });
    await world.commit(() => ({ horizon: 1, drain: 2 }));
    expect(refresh(world.newView(), world)).toBe('fresh');
  });

  it('gives up on a record that stays missing, and names it', async () => {
    await world.putRecord({ a: 2 }, { id: at('a', 2) });
    const view = world.newView();
    let failure: unknown;
    try {
      refresh(view, world);
    } catch (error) {
      failure = error;
    }
    expect(isPeatError(failure, 'CORRUPT')).toBe(true);
    const file = recordName(world.layout, at('a', 1));
    expect(failure).toMatchObject({
      file,
      message: expect.stringContaining(`${file} is missing`),
    });
  });

  it('names the part of an update, or what decides about it, where that stays missing', async () => {
    const [b, primary] = (await world.putUpdate({ [first]: 1, [second]: 1 })) as [SerialRecord, SerialRecord];
    await world.remove(b);
    expect(() => refresh(world.newView(), world)).toThrow(`${recordName(world.layout, b.id)} is missing`);
    await world.medium.putIfAbsent(recordName(world.layout, b.id), encodeRecord(world.layout, b));
    await world.putRecord({ [second]: 2 });
    await world.remove(primary);
    expect(() => refresh(world.newView(), world)).toThrow(`${recordName(world.layout, primary.id)} is missing`);
  });

  it('names no record where segments vanish again and again', async () => {
    await world.putRecord({ a: 2 }, { id: at('a', 2) });
    const writer = world.openWriter();
    await world.append(writer, { b: 1 });
    const name = world.layout.log + segmentIdText(writer.id);
    const view = world.newView();
    const { blocking } = world.medium;
    if (blocking === undefined) throw new Error('a memory medium blocks');
    const list = blocking.list.bind(blocking);
    let listings = 0;
    // Gone as soon as it was listed; the first time, the record is what stands in the way.
    blocking.list = (prefix, options) => {
      const listed = list(prefix, options);
      if (prefix !== world.layout.log) return listed;
      const [some] = listed;
      return ++listings === 1 || some === undefined ? listed : [...listed, { ...some, name: `${name}1` }];
    };
    let failure: unknown;
    try {
      refresh(view, world);
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: 'TEMPORARY', message: expect.not.stringContaining('missing') });
  });

  it('tells how many records no root has absorbed, and their bytes', async () => {
    const one = await world.putRecord({ a: 1 });
    await world.putRecord({ a: 2 });
    const view = world.newView();
    refresh(view, world);
    const size = (await world.medium.get(recordName(world.layout, one.id)))?.length as number;
    expect(view.tailFacts).toMatchObject({ records: 2, recordBytes: 2 * size });
    await world.absorb(one);
    refresh(view, world);
    expect(view.tailFacts).toMatchObject({ records: 1, recordBytes: size });
  });
});
