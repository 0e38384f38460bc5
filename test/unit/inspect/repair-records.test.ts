/** Repairs of random logs of records with random damage: what can be read of what was decided is kept, and nothing else comes up. */
import { describe, expect, it } from 'vitest';
import { compareStamps } from '../../../src/base/stamp.ts';
import type { Entry } from '../../../src/format/entry.ts';
import { type RecordId, recordName, recordText } from '../../../src/format/layout.ts';
import type { SerialRecord } from '../../../src/format/record.ts';
import { type Root, serialThrough } from '../../../src/format/root.ts';
import { repairStore } from '../../../src/inspect/repair.ts';
import { verifyStore } from '../../../src/inspect/verify.ts';
import { listLog } from '../../../src/log/log-listing.ts';
import { runAsync } from '../../../src/medium/steps.ts';
import { naiveRead } from '../../support/naive-read.ts';
import { RecordWorld } from '../../support/record-world.ts';

const KEYS = Array.from({ length: 6 }, (_, i) => `key/00${i}`);
const ROUNDS = 40;

type Random = (below: number) => number;

function randomOf(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
}

/**
 * Puts records of all kinds, and now and then lets the compactor take in what it may. A stripe that ends undecided takes no others, since they
 * would have to decide first.
 */
async function fill(world: RecordWorld, random: Random): Promise<Map<string, SerialRecord>> {
  const records = new Map<string, SerialRecord>();
  const undecided = new Set<number>();
  for (let n = 1 + random(14); n > 0; n--) {
    if (random(12) === 0) await world.compact();
    const keys = KEYS.filter((key) => !undecided.has(world.stripeOf(key)) && random(3) === 0);
    if (keys.length === 0) continue;
    const puts = Object.fromEntries(keys.map((key) => [key, random(5) === 0 ? undefined : n]));
    const isOne = new Set(keys.map((key) => world.stripeOf(key))).size === 1;
    const withoutPrimary = !isOne && random(4) === 0;
    const put = isOne ? [await world.putRecord(puts)] : await world.putUpdate(puts, { withoutPrimary });
    for (const record of put) records.set(recordText(record.id), record);
    if (!withoutPrimary) continue;
    for (const { id } of put) undecided.add(id.stripe);
    if (random(2) === 0) continue;
    const resolver = await world.putRecord({}, { id: (put[0] as SerialRecord).links[0] as RecordId });
    records.set(recordText(resolver.id), resolver);
    for (const { id } of put) undecided.delete(id.stripe);
  }
  return records;
}

/** What is to be read afterwards: all that is whole and was decided by a record that is whole. */
function expected(records: ReadonlyMap<string, SerialRecord>): Map<string, string | undefined> {
  const newest = new Map<string, Entry>();
  for (const { kind, links, nonce, entries } of records.values()) {
    if (kind === 'secondary' && records.get(recordText(links[0] as RecordId))?.nonce !== nonce) continue;
    for (const entry of entries) {
      const other = newest.get(entry.key);
      if (other === undefined || compareStamps(entry.stamp, other.stamp) > 0) newest.set(entry.key, entry);
    }
  }
  return textOf(newest);
}

function textOf(newest: ReadonlyMap<string, Entry>): Map<string, string | undefined> {
  const keys = [...newest.keys()].sort();
  return new Map(keys.map((key) => [key, newest.get(key)?.value && Buffer.from(newest.get(key)?.value ?? []).toString('hex')]));
}

async function harm(
  world: RecordWorld,
  records: Map<string, SerialRecord>,
  { root, random }: { root: Root; random: Random },
): Promise<void> {
  const share = 2 + random(6);
  for (const [text, record] of records) {
    if (random(share) !== 0 || record.id.number <= serialThrough(root, record.id.stripe)) continue;
    records.delete(text);
    const name = recordName(world.layout, record.id);
    const bytes = (await world.medium.get(name)) as Buffer;
    await world.remove(record);
    if (random(2) === 0) continue;
    const at = random(bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 + random(255));
    await world.medium.putIfAbsent(name, bytes);
  }
}

it(`keeps exactly what is whole and decided, and leaves a store without damage`, async () => {
  const seed = Number(process.env['PEAT_SEED'] ?? Math.floor(Math.random() * 1e6));
  console.log(`PEAT_SEED=${seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const random = randomOf(seed + round);
    const world = await RecordWorld.create();
    const records = await fill(world, random);
    const { root } = await naiveRead(world);
    // Not that of `records` alone: a compactor decides what was left undecided for long by a record of its own.
    const highest = new Map(root.serialThrough);
    for (const [stripe, listed] of (await runAsync(listLog(world.layout), world)).records) {
      highest.set(stripe, Math.max(listed.at(-1)?.number ?? 0, serialThrough(root, stripe)));
    }
    await harm(world, records, { root, random });
    const what = `seed ${seed + round}`;
    const wasClean = (await verifyStore(world)).clean;
    const { actions } = await repairStore(world, { apply: true });
    expect(actions.length === 0, what).toBe(wasClean);
    expect((await verifyStore(world)).clean, what).toBe(true);
    expect((await repairStore(world)).actions, what).toEqual([]);
    const after = await naiveRead(world);
    expect(textOf(after.newest), what).toEqual(expected(records));
    for (const [stripe, through] of after.root.serialThrough) {
      expect(through, what).toBeLessThanOrEqual(highest.get(stripe) ?? 0);
      expect(after.root.serialNonces.get(stripe)?.length, what).toBe(Math.min(through, 16));
    }
    expect(after.root.number, what).toBe(root.number + (wasClean ? 0 : 1));
  }
});

describe('records that are gone from the end of their stripe', () => {
  /** Changes of the lowest stripe, which has every update's primary, and of another. */
  const [low, high] = ['key/004', 'key/005'] as const;

  it('are given up where an undecided update tells of them, so that it can be decided without leaving a gap', async () => {
    const world = await RecordWorld.create();
    const gone = await world.putRecord({ [low]: 1 });
    const [left] = (await world.putUpdate({ [low]: 2, [high]: 2 }, { withoutPrimary: true })) as [SerialRecord];
    await world.remove(gone);
    const { actions } = await repairStore(world, { apply: true });
    expect(actions.map(({ file }) => file)).toEqual([recordName(world.layout, gone.id)]);
    expect((await naiveRead(world)).root.serialThrough).toEqual(new Map([[gone.id.stripe, 1]]));
    await world.putRecord({}, { id: left.links[0] as RecordId });
    await world.putRecord({ [high]: 3 });
    expect((await verifyStore(world)).clean).toBe(true);
    const { newest } = await naiveRead(world);
    expect([...newest.keys()]).toEqual([high]);
  });

  it('are all counted as lost where a part of an update is gone with what stood before it', async () => {
    const world = await RecordWorld.create();
    const before = await world.putRecord({ [high]: 1 });
    const [part] = (await world.putUpdate({ [low]: 2, [high]: 2 })) as [SerialRecord];
    await world.remove(before, part);
    const { actions } = await repairStore(world, { apply: true });
    expect(actions.map(({ file }) => file)).toEqual([before, part].map(({ id }) => recordName(world.layout, id)));
    const { root } = await naiveRead(world);
    expect(root.counts.salvageLost).toBe(2);
    expect(root.serialThrough.get(part.id.stripe)).toBe(2);
  });

  it('are given up together with a part that others follow, so that what decided about it had been there', async () => {
    const world = await RecordWorld.create();
    const [part, primary] = (await world.putUpdate({ [low]: 1, [high]: 1 })) as [SerialRecord, SerialRecord];
    const behind = await world.putRecord({ [high]: 2 });
    await world.remove(primary);
    const { actions } = await repairStore(world, { apply: true });
    expect(new Set(actions.map(({ file }) => file))).toEqual(new Set([part, primary].map(({ id }) => recordName(world.layout, id))));
    const { root, newest } = await naiveRead(world);
    expect(root.serialThrough.get(primary.id.stripe)).toBe(1);
    expect(root.serialNonces.get(part.id.stripe)).toEqual(['', behind.nonce]);
    expect([...newest.keys()]).toEqual([high]);
    expect((await verifyStore(world)).clean).toBe(true);
  });

  it('are not taken for gone where only the listing lacked them', async () => {
    const world = await RecordWorld.create();
    const late = await world.putRecord({ [low]: 1 });
    const [part] = (await world.putUpdate({ [low]: 2, [high]: 2 })) as [SerialRecord];
    const damaged = await world.putRecord({ 'key/006': 1 });
    await world.remove(damaged);
    await world.medium.putIfAbsent(recordName(world.layout, damaged.id), Buffer.from('nothing'));
    const unlisted = [late, part].map(({ id }) => recordName(world.layout, id));
    const list = world.medium.list.bind(world.medium);
    world.medium.list = async (prefix, options) => (await list(prefix, options)).filter(({ name }) => !unlisted.includes(name));
    const { actions } = await repairStore(world, { apply: true });
    expect(actions.map(({ file }) => file)).toEqual([recordName(world.layout, damaged.id)]);
    world.medium.list = list;
    expect([...(await naiveRead(world)).newest.keys()].sort()).toEqual([low, high]);
  });
});
