/** Updates that meet what can go wrong at each step: stalls, deaths, lost answers, failures, and locks that are held. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PeatError } from '../../../src/base/errors.ts';
import { toKey } from '../../../src/base/key.ts';
import { lockPrefix } from '../../../src/format/layout.ts';
import { stripeOf } from '../../../src/format/record.ts';
import { MemoryMedium, type Namespace, nodeSystem, open, type Store, type UpdateResult } from '../../../src/index.ts';
import { LOCK_SITES } from '../../../src/lock/lock-sites.ts';
import { nodeProcessFacts } from '../../../src/lock/process-facts.ts';
import { type LockHandle, TicketLock } from '../../../src/lock/ticket-lock.ts';
import { HookedMedium } from '../../support/lock-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const RECORD = /\/log\/s\d+-/;
const STRIPES = 64;

/** Keys of three stripes, the lowest first. */
const [LOW, MIDDLE, HIGH] = Array.from({ length: 40 }, (_, i) => `key${i}`)
  .filter((key, i, all) => all.findIndex((other) => stripe(other) === stripe(key)) === i)
  .sort((a, b) => stripe(a) - stripe(b))
  .slice(0, 3) as [string, string, string];

function stripe(key: string): number {
  return stripeOf(toKey(key), STRIPES);
}

interface Process {
  readonly hooks: HookedMedium;
  readonly store: Store;
  readonly items: Namespace<number>;
}

class World {
  readonly inner = new MemoryMedium({ system: nodeSystem, canAppend: true });

  async process(): Promise<Process> {
    const hooks = new HookedMedium(this.inner);
    const store = await open(hooks.medium, { autoCompact: false });
    onTestFinished(() => store.close());
    return { hooks, store, items: store.namespace<number>('items') };
  }

  async records(): Promise<string[]> {
    return (await this.inner.list('ns/items/log/')).map(({ name }) => name).filter((name) => RECORD.test(name));
  }
}

/** Holds up the next put of a record that `matches`, before it is made. `reached` resolves when it is held up. */
function stall({ hooks }: Process, matches: (name: string) => boolean): { reached: Promise<void>; go: () => void } {
  let go = (): void => {};
  let arrive = (): void => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  let isUsed = false;
  hooks.before = (call, name) => {
    if (isUsed || call !== 'put' || !RECORD.test(name) || !matches(name)) return undefined;
    isUsed = true;
    arrive();
    return gate;
  };
  return { reached, go };
}

const LOCK_PREFIX = lockPrefix('stripe', `items/${stripe(LOW)}`);

/** As somebody would who holds up the updates of LOW. */
async function lockStripe(world: World): Promise<LockHandle> {
  const lock = new TicketLock({ medium: world.inner, system: nodeSystem, facts: nodeProcessFacts(), prefix: LOCK_PREFIX });
  return await lock.acquire({ site: LOCK_SITES.stripeUpdate, leaseMs: 60_000, purpose: 'a long look' });
}

/** One that began after another one stalls before its put, until others have made so many, and all are absorbed. */
async function overtake(
  world: World,
  times: number,
): Promise<{ slow: Process; quick: Process; late: Promise<UpdateResult<number>>; go: () => void }> {
  const [slow, quick] = [await world.process(), await world.process()];
  await slow.items.update(LOW, increment);
  const stalled = stall(slow, isOf(LOW));
  const late = slow.items.update(LOW, increment);
  await stalled.reached;
  for (let i = 0; i < times; i++) await quick.items.update(LOW, increment);
  await absorbAll(quick);
  return { slow, quick, late, go: stalled.go };
}

/** As another process would: what runs in there is not inside of the function that calls it. */
const outside = AsyncLocalStorage.snapshot();

const increment = (n = 0): number => n + 1;
const isOf = (key: string) => (name: string) => name.includes(`/s${stripe(key)}-`);

/** Absorbs all records, and deletes them. */
async function absorbAll({ store, items }: Process): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await store.compact({ namespace: 'items' });
    await items.put('other', i);
  }
  await store.compact({ namespace: 'items' });
}

describe('an update', () => {
  it('that stalls while its number is used, absorbed and deleted counts once', async () => {
    const world = new World();
    const { quick, late, go } = await overtake(world, 3);
    expect(await world.records()).toEqual([]);
    go();
    expect((await late).value).toBe(5);
    expect(await quick.items.get(LOW)).toBe(5);
    await absorbAll(quick);
    expect(await quick.items.get(LOW)).toBe(5);
  });

  it('that stalls for longer than the root can tell has an unknown outcome, and did not happen twice', async () => {
    const world = new World();
    const { slow, quick, late, go } = await overtake(world, 20);
    go();
    await expect(late).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(await quick.items.get(LOW)).toBe(21);
    expect(await slow.items.update(LOW, increment)).toMatchObject({ value: 22 });
  });

  it('whose answer is lost has an unknown outcome', async () => {
    const world = new World();
    const { hooks, items } = await world.process();
    await items.update(LOW, increment);
    hooks.after = (_, name) => {
      if (!RECORD.test(name)) return;
      hooks.after = () => {};
      throw new PeatError('OUTCOME_UNKNOWN', 'the answer was lost');
    };
    await expect(items.update(LOW, increment)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect((await items.update(LOW, increment)).value).toBe(3);
  });

  it('whose outcome can not be read has an unknown one', async () => {
    const world = new World();
    const { hooks, items } = await world.process();
    await items.update(LOW, increment);
    hooks.after = (_, name) => {
      if (!RECORD.test(name)) return;
      hooks.before = (call, prefix) => {
        if (call === 'list' && prefix.endsWith('/root/')) throw new PeatError('STORAGE', 'no');
      };
    };
    await expect(items.update(LOW, increment)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    hooks.before = () => {};
    hooks.after = () => {};
    expect((await items.update(LOW, increment)).value).toBe(3);
  });

  it('that the medium refuses fails with its error, and was not made', async () => {
    const world = new World();
    const { hooks, items } = await world.process();
    await items.update(LOW, increment);
    hooks.before = (call, name) => {
      if (call === 'put' && RECORD.test(name)) throw new PeatError('STORAGE', 'no space left');
    };
    const failed = await Promise.allSettled([items.update(LOW, increment), items.update(LOW, increment)]);
    expect(failed.map((result) => (result.status === 'rejected' ? (result.reason as PeatError).code : result.status))).toEqual([
      'STORAGE',
      'STORAGE',
    ]);
    hooks.before = () => {};
    expect((await items.update(LOW, increment)).value).toBe(2);
  });

  it('that is given up while it is being put ends with its outcome', async () => {
    const world = new World();
    const process = await world.process();
    await process.items.update(LOW, increment);
    const stalled = stall(process, isOf(LOW));
    const abort = new AbortController();
    const update = process.items.update(LOW, increment, { signal: abort.signal });
    await stalled.reached;
    abort.abort(new Error('too late'));
    stalled.go();
    expect((await update).value).toBe(2);
  });

  it('runs its function no more often than it may', async () => {
    const world = new World();
    const [unlucky, rival] = [await world.process(), await world.process()];
    let runs = 0;
    const update = unlucky.items.update(
      LOW,
      async (n) => {
        runs++;
        await outside(() => rival.items.putIf(LOW, 100 + runs, n === undefined ? { ifAbsent: true } : { ifValue: n }));
        return (n ?? 0) + 1;
      },
      { attemptsMax: 3 },
    );
    await expect(update).rejects.toMatchObject({ code: 'TEMPORARY', key: LOW });
    expect(runs).toBe(3);
  });

  it('of several keys of one stripe sees them as they were at one moment', async () => {
    const world = new World();
    const [one, two, reader] = [await world.process(), await world.process(), await world.process()];
    const other = Array.from({ length: 1000 }, (_, i) => `other${i}`).find((key) => stripe(key) === stripe(LOW)) as string;
    const segments = async (): Promise<string[]> => (await world.inner.list('ns/items/log/')).map(({ name }) => name);
    await one.items.put('begin', 1);
    const [segment] = await segments();
    await two.items.put('begin', 2);
    const later = (await segments()).find((name) => name !== segment) as string;
    // Who is read first writes first; between the two, both write.
    const [first, second, read] = (segment as string) < later ? [one, two, later] : [two, one, segment as string];
    reader.hooks.before = async (call, name) => {
      if (call !== 'get' || name !== read) return;
      reader.hooks.before = () => {};
      await first.items.put(LOW, 1);
      await second.items.put(other, 1);
    };
    let seen: readonly (number | undefined)[] = [];
    await reader.items.updateMany([LOW, other], (values) => {
      seen = values;
      return [5, 5];
    });
    expect(seen).toEqual([1, 1]);
  });

  it('goes on once its directory for locks is back', async () => {
    const directory = temporaryDirectory();
    const lockDir = join(directory, 'locks');
    mkdirSync(lockDir);
    const first = await open(join(directory, 'store'), { singleHost: true, lockDir });
    await first.createNamespace('items');
    await first.close();
    rmSync(lockDir, { recursive: true });
    const store = await open(join(directory, 'store'));
    const items = store.namespace<number>('items');
    await expect(items.update(LOW, increment)).rejects.toMatchObject({ code: 'MEDIUM_UNSUITABLE' });
    mkdirSync(lockDir);
    expect((await items.update(LOW, increment)).value).toBe(1);
    await store.close();
  });

  it('waits behind a ticket, and says who holds it when it has waited for too long; appends, reads and putIf do not wait', async () => {
    const world = new World();
    const { items } = await world.process();
    await items.update(LOW, increment);
    const held = await lockStripe(world);
    await expect(items.update(LOW, increment, { maxWaitMs: 30 })).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      holder: expect.stringContaining('a long look') as string,
    });
    await items.put(MIDDLE, 7);
    expect(await items.get(LOW)).toBe(1);
    expect(await items.putIf(LOW, 5, { ifValue: 1 })).toMatchObject({ ok: true });
    expect((await items.update(HIGH, increment)).value).toBe(1);
    const waiting = items.update(LOW, increment);
    await held.release();
    expect((await waiting).value).toBe(6);
  });

  it('waits no longer than it may behind others of its own process, and takes no place from who may wait longer', async () => {
    const world = new World();
    const { items } = await world.process();
    await items.update(LOW, increment);
    const held = await lockStripe(world);
    const patient = items.update(LOW, increment);
    await nodeSystem.sleep(20);
    const place = (await world.inner.list(LOCK_PREFIX)).filter(({ name }) => /\/\d{20}$/.test(name));
    for (let i = 0; i < 3; i++) {
      await expect(items.update(LOW, increment, { maxWaitMs: 10 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', waitedMs: 10 });
    }
    await expect(items.updateMany([LOW, HIGH], () => [0, 0], { maxWaitMs: 10 })).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
    const done = new Set((await world.inner.list(LOCK_PREFIX)).map(({ name }) => name));
    expect(place.filter(({ name }) => done.has(`${name}.done`))).toEqual([]);
    await held.release();
    expect((await patient).value).toBe(2);
  });

  it('of many that write much take several records, and all are made', async () => {
    const world = new World();
    const { store, items } = await world.process();
    await items.update(LOW, increment);
    const blobs = store.namespace<Uint8Array>('items');
    const results = await Promise.all(Array.from({ length: 12 }, () => blobs.update(MIDDLE, () => Buffer.alloc(3_000_000))));
    expect(results.every(({ changed }) => changed)).toBe(true);
    expect((await world.records()).filter(isOf(MIDDLE)).length).toBeGreaterThan(3);
  });

  it('that nobody waits for any more gives its place up', async () => {
    const world = new World();
    const { items } = await world.process();
    await items.update(LOW, increment);
    const held = await lockStripe(world);
    const abort = new AbortController();
    const waiting = items.update(LOW, increment, { signal: abort.signal });
    await nodeSystem.sleep(20);
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await held.release();
    expect((await items.update(LOW, increment)).value).toBe(2);
  });
});

describe('an update of several stripes', () => {
  it('that dies before it decides did not happen, and stands in nobody’s way', async () => {
    const world = new World();
    const [dead, alive] = [await world.process(), await world.process()];
    await alive.items.updateMany([LOW, MIDDLE, HIGH], () => [10, 10, 10]);
    const stalled = stall(dead, isOf(LOW));
    const lost = dead.items.updateMany([LOW, MIDDLE, HIGH], () => [0, 0, 0]);
    await stalled.reached;
    expect(await alive.items.getMany([LOW, MIDDLE, HIGH])).toEqual([10, 10, 10]);
    expect((await alive.items.putIf(HIGH, 11, { ifValue: 10 })).ok).toBe(true);
    expect(await alive.items.getMany([LOW, MIDDLE, HIGH])).toEqual([10, 10, 11]);
    // It was not dead after all: its put finds the number taken, and it begins again.
    stalled.go();
    expect((await lost).values).toEqual([0, 0, 0]);
    expect(await alive.items.getMany([LOW, MIDDLE, HIGH])).toEqual([0, 0, 0]);
    await absorbAll(alive);
    expect(await alive.items.getMany([LOW, MIDDLE, HIGH])).toEqual([0, 0, 0]);
    expect(await world.records()).toEqual([]);
  });

  it('that stalls before a secondary until all of it was absorbed begins again', async () => {
    const world = new World();
    const [slow, quick] = [await world.process(), await world.process()];
    await quick.items.updateMany([LOW, HIGH], () => [1, 1]);
    const stalled = stall(slow, isOf(HIGH));
    const late = slow.items.updateMany([LOW, HIGH], ([a = 0, b = 0]) => [a + 10, b + 10]);
    await stalled.reached;
    for (let i = 0; i < 3; i++) await quick.items.updateMany([LOW, HIGH], ([a = 0, b = 0]) => [a + 1, b + 1]);
    await absorbAll(quick);
    stalled.go();
    expect((await late).values).toEqual([14, 14]);
    await absorbAll(quick);
    expect(await quick.items.getMany([LOW, HIGH])).toEqual([14, 14]);
  });

  it('whose deciding put is not answered has an unknown outcome, and is there as a whole', async () => {
    const world = new World();
    const [{ hooks, items }, other] = [await world.process(), await world.process()];
    await items.updateMany([LOW, HIGH], () => [1, 1]);
    hooks.after = (_, name) => {
      if (!isOf(LOW)(name)) return;
      hooks.after = () => {};
      throw new PeatError('OUTCOME_UNKNOWN', 'the answer was lost');
    };
    await expect(items.updateMany([LOW, HIGH], () => [2, 2])).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(await other.items.getMany([LOW, HIGH])).toEqual([2, 2]);
  });

  it('shares records with others of the same process and stripes', async () => {
    const world = new World();
    const { items } = await world.process();
    await items.updateMany([LOW, HIGH], () => [0, 0]);
    const both = ([a = 0, b = 0]: readonly (number | undefined)[]): number[] => [a + 1, b - 1];
    const results = await Promise.allSettled([
      ...Array.from({ length: 50 }, () => items.updateMany([LOW, HIGH], both)),
      items.updateMany([HIGH, LOW], () => {
        throw new Error('no');
      }),
      items.updateMany([HIGH, LOW], ([b = 0, a = 0]) => [b - 1, a + 1]),
    ]);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(await items.getMany([LOW, HIGH])).toEqual([51, -51]);
    expect((await world.records()).length).toBeLessThan(10);
  });

  it('leaves no reader with a half, whatever a listing shows', async () => {
    const world = new World();
    const [writer, reader] = [await world.process(), await world.process()];
    await writer.items.updateMany([LOW, HIGH], () => [1, 1]);
    await writer.items.updateMany([LOW, HIGH], () => [2, 2]);
    // The folder was read from its end: what was put last is shown, and what was put before is not.
    let torn = 0;
    reader.hooks.listed = (objects) => {
      if (torn >= 3 || !objects.some(({ name }) => isOf(HIGH)(name))) return objects;
      torn++;
      return objects.filter(({ name }) => !isOf(HIGH)(name));
    };
    expect(await reader.items.getMany([LOW, HIGH])).toEqual([2, 2]);
    expect(torn).toBe(3);
  });

  it('that leaves one of its keys alone is spoilt by a change of that key', async () => {
    const world = new World();
    const [slow, quick] = [await world.process(), await world.process()];
    await quick.items.updateMany([LOW, HIGH], () => [1, 1]);
    let runs = 0;
    const late = slow.items.updateMany([LOW, HIGH], async ([low = 0, high = 0]) => {
      if (runs++ === 0) await outside(() => quick.items.update(HIGH, () => 5));
      return [low + high, undefined];
    });
    expect((await late).values).toEqual([6, 5]);
    expect(runs).toBe(2);
  });
});
