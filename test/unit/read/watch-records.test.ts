/** Watching what updates change, across absorption, deletion, horizons, and records that do not count yet or never will. */
import { beforeEach, describe, expect, it } from 'vitest';
import { recordName } from '../../../src/format/layout.ts';
import { encodeRecord, type SerialRecord } from '../../../src/format/record.ts';
import { type Namespace, open } from '../../../src/index.ts';
// Loaded lazily by the library; here it must be there before virtual time goes on.
import '../../../src/medium/waker.ts';
import '../../../src/read/watcher.ts';
import { RecordWorld } from '../../support/record-world.ts';
import { Watch } from '../../support/watch-events.ts';

let world: RecordWorld;
let items: Namespace;
let watches: Watch[];

beforeEach(async () => {
  world = await RecordWorld.create();
  items = (await open(world.medium, { system: world.system, autoCompact: false })).namespace('zoo');
  watches = [];
});

/** A watch that has begun. */
async function watch(from?: string): Promise<Watch> {
  const begun = new Watch(items, from);
  watches.push(begun);
  await turn();
  return begun;
}

/** Lets watches look. */
const turn = async (): Promise<void> => await world.system.advance(300);

async function stopAll(): Promise<void> {
  for (const begun of watches) await begun.stop(world.system);
}

/** A token from before everything that follows. */
async function tokenNow(): Promise<string> {
  const first = await watch();
  await world.append(world.openWriter(), { start: 1 });
  await turn();
  const { token } = first;
  await first.stop(world.system);
  return token;
}

/** The root after which a minute has passed, so that files may go. */
async function age(): Promise<void> {
  await world.system.advance(61_000);
  await world.commit(() => ({}));
}

describe('a watch', () => {
  it('tells each change that records make while it keeps up, absorbed and deleted or not', async () => {
    const told = await watch();
    for (let n = 1; n <= 12; n++) {
      const record = await world.putRecord({ a: n === 7 ? undefined : n });
      await turn();
      if (n % 3 === 0) await world.absorb(record);
      if (n % 6 === 0) await world.remove(record);
    }
    expect(told.texts).toEqual([1, 2, 3, 4, 5, 6, 0, 8, 9, 10, 11, 12].map((n) => (n === 0 ? '-a' : `a=${n}`)));
    await stopAll();
  });

  it('tells changes that were absorbed before it looked, each of them, as long as their files are there', async () => {
    const told = await watch();
    const records: SerialRecord[] = [];
    // More than the root has nonces of.
    for (let n = 1; n <= 30; n++) records.push(await world.putRecord({ a: n }));
    await world.absorb(...records);
    await turn();
    expect(told.texts.slice(0, 30)).toEqual(Array.from({ length: 30 }, (_, i) => `a=${i + 1}`));
    expect(told.texts.at(-1)).toBe('a=30');
    await stopAll();
  });

  it('does not tell what was absorbed without effect', async () => {
    const told = await watch();
    const lost = await world.putRecord({ a: 'aborted' });
    const kept = await world.putRecord({ a: 'kept' });
    await world.absorb({ ...lost, nonce: '' }, kept);
    await turn();
    expect(told.texts).toEqual(['a=kept']);
    await stopAll();
  });

  it('does not tell a record that was put late under a number that was absorbed', async () => {
    const token = await tokenNow();
    const absorbed = await world.putRecord({ a: 'absorbed' });
    await world.absorb(absorbed);
    await age();
    await world.remove(absorbed);
    await world.putRecord({ a: 'never happened' }, { id: absorbed.id });
    const told = await watch(token);
    expect(told.texts.filter((text) => text.startsWith('a='))).toEqual(['a=absorbed']);
    await stopAll();
  });

  it('does not tell such a record either when the root no longer knows who had the number', async () => {
    const token = await tokenNow();
    const records: SerialRecord[] = [];
    for (let n = 1; n <= 20; n++) records.push(await world.putRecord({ a: n }));
    await world.absorb(...records);
    await age();
    await world.remove(records[0] as SerialRecord);
    await world.putRecord({ a: 'never happened' }, { id: { stripe: world.stripeOf('a'), number: 1 } });
    const told = await watch(token);
    expect(told.texts).not.toContain('a=never happened');
    expect(told.texts.at(-1)).toBe('a=20');
    await stopAll();
  });

  it('that was away while records were absorbed and deleted is told the last change of each key', async () => {
    const token = await tokenNow();
    const records = [
      await world.putRecord({ a: 1 }),
      await world.putRecord({ a: 2 }),
      await world.putRecord({ b: 1 }),
      await world.putRecord({ b: undefined }),
    ];
    await world.absorb(...records);
    await age();
    await world.remove(...records);
    const told = await watch(token);
    expect(told.texts).toContain('a=2');
    expect(told.texts.findLast((text) => /^-?b/.test(text))).toBe('-b');
    await world.putRecord({ c: 1 }, { root: 2 });
    await turn();
    expect(told.texts.at(-1)).toBe('c=1');
    await stopAll();
  });

  it('that was away is not told again what its token has', async () => {
    const first = await watch();
    await world.putRecord({ a: 1 });
    await turn();
    const { token } = first;
    expect(first.texts).toEqual(['a=1']);
    await world.putRecord({ a: 2 });
    const second = await watch(token);
    expect(second.texts).toEqual(['a=2']);
    await stopAll();
  });

  it('goes on from a token of a release that knew no updates, with all that they have changed', async () => {
    const token = await tokenNow();
    const content = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[];
    expect(content).toHaveLength(6);
    const old = Buffer.from(JSON.stringify(content.slice(0, 5))).toString('base64url');
    const absorbed = await world.putRecord({ a: 1 });
    await world.absorb(absorbed);
    await world.remove(absorbed);
    await world.putRecord({ b: 1 }, { root: 1 });
    const told = await watch(old);
    expect(told.texts).toEqual(expect.arrayContaining(['a=1', 'b=1']));
    expect(told.texts).not.toContain('resync');
    await stopAll();
  });

  it('tells an update of several stripes once it was decided, and never one that was not', async () => {
    const told = await watch();
    const [b] = (await world.putUpdate({ 'key/004': 1, 'key/005': 1 }, { withoutPrimary: true })) as [SerialRecord];
    const [other] = (await world.putUpdate({ 'key/007': 1, 'key/008': 1 }, { withoutPrimary: true })) as [SerialRecord];
    await turn();
    expect(told.texts).toEqual([]);
    await world.putRecord({ 'key/004': 1 }, { nonce: b.nonce, kind: 'primary', links: [b.id] });
    await world.putRecord({}, { id: other.links[0] as SerialRecord['id'] });
    await world.putRecord({ 'key/008': 'later' });
    await turn();
    expect(told.texts).toEqual(['key/005=1', 'key/004=1', 'key/008=later']);
    await stopAll();
  });

  it('tells the other parts of an update whose primary it saw first', async () => {
    const told = await watch();
    const [b] = (await world.putUpdate({ 'key/004': 1, 'key/005': 1 })) as [SerialRecord];
    const { medium } = world;
    const list = medium.list.bind(medium);
    let isHidden = false;
    medium.list = async (prefix, options) => {
      const listed = await list(prefix, options);
      if (prefix !== world.layout.log || isHidden) return listed;
      // One listing may show the later of two files only.
      isHidden = true;
      return listed.filter(({ name }) => name !== recordName(world.layout, b.id));
    };
    await turn();
    expect(told.texts).toEqual(['key/004=1', 'key/005=1']);
    await stopAll();
  });

  it('leaves a record that a drain may yet void for later, and tells it once a root has it', async () => {
    const told = await watch();
    const record = await world.putRecord({ a: 1 });
    await world.commit(() => ({ drain: 1 }));
    await turn();
    expect(told.texts).toEqual([]);
    await world.absorb(record);
    await turn();
    expect(told.texts).toEqual(['a=1']);
    await stopAll();
  });

  it('never tells a record below a drain that the next horizon voided', async () => {
    const told = await watch();
    await world.putRecord({ a: 'put after the log was listed' });
    await world.commit(() => ({ drain: 1 }));
    await turn();
    await world.commit(() => ({ horizon: 1 }));
    await world.putRecord({ a: 'counts' }, { root: 2 });
    await turn();
    // A horizon was passed, but the watch was there all the time.
    expect(told.texts.filter((text) => text !== 'resync')).toEqual(['a=counts']);
    await stopAll();
  });

  it('never tells a record below the horizon, and goes on behind it', async () => {
    await world.commit(() => ({ horizon: 1, drain: 1 }));
    const told = await watch();
    await world.putRecord({ a: 'void' });
    await world.putRecord({ a: 'counts' }, { root: 1 });
    await turn();
    expect(told.texts).toEqual(['a=counts']);
    await stopAll();
  });

  it('tells what updates, blind writes and passes made together', async () => {
    const told = await watch();
    for (let n = 1; n <= 6; n++) {
      const update = (): Promise<unknown> => items.update('a', (value) => Number(value ?? 0) + 1);
      await world.system.time.until<unknown>(n % 2 === 0 ? items.put('a', n) : update());
      if (n % 3 === 0) await world.compact();
      await turn();
    }
    expect(told.texts).toEqual([1, 2, 3, 4, 5, 6].map((n) => `a=${n}`));
    expect((await items.stats()).root).toBeGreaterThan(0);
    await stopAll();
  });

  it('follows the change of an update with the blind write that it lost against', async () => {
    const told = await watch();
    await world.append(world.openWriter(), { a: 'blind' });
    const { entries, ...record } = await world.putRecord({ z: 0 });
    await turn();
    const [entry] = entries as [SerialRecord['entries'][number]];
    const older = { ...entry, key: 'a' as typeof entry.key, stamp: { ...entry.stamp, time: 1024 } };
    const next = { ...record, id: { ...record.id, number: 2 }, entries: [older] };
    await world.medium.putIfAbsent(recordName(world.layout, next.id), encodeRecord(world.layout, next));
    await turn();
    expect(told.texts).toEqual(['a=blind', 'z=0', 'a=0', 'a=blind']);
    await stopAll();
  });

  it('does not tell a record that was absorbed, deleted, and put again by one that had stalled while it looked (B2)', async () => {
    const told = await watch();
    const { medium } = world;
    const get = medium.get.bind(medium);
    const absorbed = await world.putRecord({ a: 'absorbed' });
    let isSwapped = false;
    medium.get = async (name, range) => {
      if (name === recordName(world.layout, absorbed.id) && !isSwapped) {
        isSwapped = true;
        await world.absorb(absorbed);
        await world.remove(absorbed);
        await world.putRecord({ a: 'never happened' }, { id: absorbed.id });
      }
      return await get(name, range);
    };
    await turn();
    expect(isSwapped).toBe(true);
    expect(told.texts).toEqual(['a=absorbed']);
    await stopAll();
  });
});

describe('waiting for the token of an update', () => {
  const token = (n: number): string => `zoo:s${world.stripeOf('a')}-${String(n).padStart(20, '0')}`;

  it('ends once the record is there, or absorbed and gone', async () => {
    const waiting = items.waitFor(token(1));
    await world.system.advance(100);
    const record = await world.putRecord({ a: 1 });
    await world.system.time.until(waiting);
    await world.absorb(record);
    await world.remove(record);
    await items.waitFor(token(1));
  });

  it('gives up where it does not come', async () => {
    await world.putRecord({ a: 1 });
    const waiting = items.waitFor(token(2), { timeoutMs: 500 }).catch((error: unknown) => error);
    expect(await world.system.time.until(waiting)).toMatchObject({ code: 'TEMPORARY' });
  });

  it('refuses what is none, and that of another namespace', async () => {
    for (const none of ['zoo:s01-00000000000000000001', 'zoo:s1-1', 'zoo:s1-00000000000000000001@4', 'nonsense'])
      await expect(items.waitFor(none), none).rejects.toThrow(TypeError);
    await expect(items.waitFor('other:s1-00000000000000000001')).rejects.toThrow(RangeError);
  });
});

describe('stats', () => {
  it('count the records that no root has absorbed', async () => {
    const record = await world.putRecord({ a: 1 });
    const bytes = encodeRecord(world.layout, record).length;
    expect((await items.stats()).tail).toMatchObject({ records: 1, recordBytes: bytes, keys: 1, frames: 0 });
    await world.absorb(record);
    expect((await items.stats()).tail).toMatchObject({ records: 0, recordBytes: 0, keys: 0 });
  });
});
