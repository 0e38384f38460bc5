import { beforeEach, describe, expect, it } from 'vitest';
import { beatName, doneName, floorName, ticketName } from '../../../src/lock/queue-state.ts';
import type { ListedObject } from '../../../src/medium/medium.ts';
import { LockWorld, PREFIX, type TestProcess } from '../../support/lock-world.ts';
import { settle } from '../../support/virtual-system.ts';

const TEXT = { leaseMs: 3000, purpose: 'test' };

let world: LockWorld;
let a: TestProcess;
let b: TestProcess;
let c: TestProcess;

beforeEach(() => {
  world = new LockWorld();
  a = world.process();
  b = world.process();
  c = world.process({ host: 'h2' });
});

async function put(name: string): Promise<void> {
  await world.medium.putIfAbsent(name, Buffer.from(name));
}

describe('taking a number (rule C1)', () => {
  it('starts at 1 and goes up', async () => {
    expect(await a.queue.enqueue('na', TEXT)).toBe(1);
    expect(await b.queue.enqueue('nb', TEXT)).toBe(2);
  });

  it('goes above the highest ticket, marker and floor', async () => {
    await put(ticketName(PREFIX, 4));
    expect(await a.queue.enqueue('na', TEXT)).toBe(5);
    await put(doneName(PREFIX, 8));
    expect(await a.queue.enqueue('nb', TEXT)).toBe(9);
    await put(floorName(PREFIX, 20));
    expect(await a.queue.enqueue('nc', TEXT)).toBe(21);
  });

  it('takes the next number when another one was faster', async () => {
    let rival: Promise<number> | undefined;
    a.hooks.before = async (call) => {
      if (call === 'put') rival ??= b.queue.enqueue('nb', TEXT);
      await rival;
    };
    expect(await a.queue.enqueue('na', TEXT)).toBe(2);
    expect(await rival).toBe(1);
  });

  it('writes who wants the lock, and what for', async () => {
    await a.queue.enqueue('na', { leaseMs: 3000, mode: 'shared', purpose: 'nightly' });
    const createdAtMs = a.system.wallNowMs();
    expect(await b.queue.read(1)).toEqual({
      nonce: 'na',
      holder: a.identity,
      createdAtMs,
      leaseMs: 3000,
      mode: 'shared',
      purpose: 'nightly',
    });
  });

  it('disowns the ticket of an enqueue that failed, there or not, and no other one', async () => {
    await a.queue.enqueue('na', TEXT);
    const fail = (): never => {
      throw new Error('no answer');
    };
    b.hooks.after = fail;
    await expect(b.queue.enqueue('nb', TEXT)).rejects.toThrow('no answer');
    b.hooks.after = () => {};
    b.hooks.before = (call) => (call === 'put' ? fail() : undefined);
    await expect(b.queue.enqueue('nc', TEXT)).rejects.toThrow('no answer');
    b.hooks.before = () => {};
    await a.queue.enqueue('nd', TEXT);
    for (const nonce of ['nb', 'nc', 'unknown']) await b.queue.disown(nonce);
    expect(await world.files()).toEqual(['1', '2', '2.done', '3']);
  });

  it('leaves no ticket behind that comes only after it was disowned', async () => {
    let land: () => Promise<unknown> = async () => {};
    b.hooks.before = (call, name) => {
      if (call !== 'put') return;
      b.hooks.before = () => {};
      // The answer is lost, and the request is still under way.
      land = () => world.medium.putIfAbsent(name, Buffer.from('late'), { durable: false });
      throw new Error('no answer');
    };
    await expect(b.queue.enqueue('nb', TEXT)).rejects.toThrow('no answer');
    await b.queue.disown('nb');
    await land();
    expect(await world.files()).toEqual(['1', '1.done']);
    expect(await a.queue.enqueue('na', TEXT)).toBe(2);
  });
});

describe('a look (rule C2)', () => {
  it('says hold to the lowest ticket and wait to the others', async () => {
    const first = await a.queue.enqueue('na', TEXT);
    const second = await b.queue.enqueue('nb', TEXT);
    expect(await a.queue.look(first)).toMatchObject({ kind: 'hold' });
    expect(await b.queue.look(second)).toMatchObject({ kind: 'wait', blockers: [first] });
    await a.queue.finish(first, 'released');
    expect(await b.queue.look(second)).toMatchObject({ kind: 'hold' });
  });

  it('says void to a ticket that has a marker, or lies at or below the floor, or is gone', async () => {
    const n = await a.queue.enqueue('na', TEXT);
    expect(await a.queue.look(n + 1)).toMatchObject({ kind: 'void' });
    await b.queue.finish(n, 'stolen');
    expect(await a.queue.look(n)).toMatchObject({ kind: 'void' });
    const m = await a.queue.enqueue('nb', TEXT);
    await put(floorName(PREFIX, m));
    expect(await a.queue.look(m)).toMatchObject({ kind: 'void' });
  });

  it('says void to a ticket created late, at a number that had been used before', async () => {
    // b listed when the queue was empty, and creates its ticket only after number 1 was used, released and swept.
    let isHeldUp = true;
    b.hooks.before = async (call) => {
      while (call === 'put' && isHeldUp) await settle();
    };
    const late = b.queue.enqueue('nb', TEXT);
    await settle();
    const n = await a.queue.enqueue('na', TEXT);
    await a.queue.finish(n, 'released');
    await a.queue.sweep();
    isHeldUp = false;
    expect(await late).toBe(1);
    expect(await b.queue.look(1)).toMatchObject({ kind: 'void' });
    expect(await b.queue.enqueue('nc', TEXT)).toBe(2);
  });

  it('does not say hold when a sweep runs beside its listing and takes the marker before it is read', async () => {
    const n = await a.queue.enqueue('na', TEXT);
    await b.queue.finish(n, 'stolen');
    // One reading of the directory passes the floor's place before the floor is there and the ticket while it is still
    // there, then the sweep runs, and then it passes the marker's place.
    let listings = 0;
    a.hooks.listed = async (objects: ListedObject[]) => {
      if (++listings > 1) return objects;
      await b.queue.sweep();
      return objects.filter(({ name }) => name === ticketName(PREFIX, n));
    };
    expect(await a.queue.look(n)).toMatchObject({ kind: 'void' });
    expect(listings).toBe(2);
  });

  it('is not misled by a floor that gives way to a higher one while it is listed', async () => {
    const n = await a.queue.enqueue('na', TEXT);
    await b.queue.finish(n, 'stolen');
    await b.queue.sweep();
    let listings = 0;
    a.hooks.listed = (objects) => (++listings === 2 ? [] : [...objects, { name: ticketName(PREFIX, n) }]);
    expect(await a.queue.look(n)).toMatchObject({ kind: 'void' });
  });

  it('does one listing where a live ticket is ahead', async () => {
    await a.queue.enqueue('na', TEXT);
    const n = await b.queue.enqueue('nb', TEXT);
    let listings = 0;
    b.hooks.listed = (objects) => {
      listings++;
      return objects;
    };
    expect(await b.queue.look(n)).toMatchObject({ kind: 'wait' });
    expect(listings).toBe(1);
  });

  it('goes by names, whatever is in the files', async () => {
    await put(ticketName(PREFIX, 1));
    await put(`${PREFIX}unknown`);
    await put(`${PREFIX}7`);
    const n = await a.queue.enqueue('na', TEXT);
    expect(n).toBe(2);
    expect(await a.queue.look(n)).toMatchObject({ kind: 'wait', blockers: [1] });
  });
});

describe('ending a ticket (rule C3)', () => {
  it('lets two stealers end the same ticket, and one of them know', async () => {
    const n = await a.queue.enqueue('na', TEXT);
    const ended = await Promise.all([b.queue.finish(n, 'stolen'), c.queue.finish(n, 'stolen')]);
    expect(ended.sort()).toEqual([false, true]);
  });

  it('tells the owner that its ticket is over, also after a sweep', async () => {
    const n = await a.queue.enqueue('na', TEXT);
    expect(await a.queue.isStillMine(n, 'na')).toBe(true);
    await b.queue.finish(n, 'stolen');
    expect(await a.queue.isStillMine(n, 'na')).toBe(false);
    await b.queue.sweep();
    expect(await a.queue.isStillMine(n, 'na')).toBe(false);
  });

  it('leaves only an orphan marker when a steal comes after the ticket was swept', async () => {
    const n = await a.queue.enqueue('na', TEXT);
    await a.queue.finish(n, 'released');
    await a.queue.sweep();
    await c.queue.finish(n, 'stolen');
    expect(await world.files()).toEqual(['1.done', 'floor-1']);
    const m = await b.queue.enqueue('nb', TEXT);
    expect(m).toBe(2);
    expect(await b.queue.look(m)).toMatchObject({ kind: 'hold' });
    await b.queue.finish(m, 'released');
    await b.queue.sweep();
    expect(await world.files()).toEqual(['floor-1', 'floor-2']);
  });
});

describe('a sweep (rule C4)', () => {
  it('leaves a floor, and the tickets above it', async () => {
    for (let n = 1; n <= 4; n++) await a.queue.enqueue(`n${n}`, TEXT);
    await a.queue.beat(1, 1);
    await a.queue.beat(3, 1);
    for (const n of [1, 2, 4]) await a.queue.finish(n, 'released');
    await b.queue.sweep();
    expect(await world.files()).toEqual(['3', '3.beat-1', '4', '4.done', 'floor-2']);
  });

  it('raises the floor only as far as every number has a marker', async () => {
    for (let n = 1; n <= 3; n++) await a.queue.enqueue(`n${n}`, TEXT);
    await a.queue.finish(2, 'cancelled');
    await a.queue.finish(3, 'cancelled');
    await b.queue.sweep();
    expect(await world.files()).toEqual(['1', '2', '2.done', '3', '3.done']);
  });

  it('keeps the highest floor, and the one that it found', async () => {
    for (let n = 1; n <= 3; n++) {
      await a.queue.enqueue(`n${n}`, TEXT);
      await a.queue.finish(n, 'released');
      await a.queue.sweep();
    }
    expect(await world.files()).toEqual(['floor-2', 'floor-3']);
    expect(await a.queue.enqueue('n4', TEXT)).toBe(4);
  });

  it('puts the floor durably before it deletes, and deletes tickets before markers', async () => {
    const calls: string[] = [];
    await a.queue.enqueue('na', TEXT);
    await a.queue.finish(1, 'released');
    a.hooks.before = (call, name) => void calls.push(`${call} ${name.slice(PREFIX.length).replace(/0{2,}/, '')}`);
    await a.queue.sweep();
    expect(calls).toEqual(['list ', 'put floor-1', 'delete 1', 'delete 1.done']);
  });

  it('may stop anywhere, and is finished by the next one', async () => {
    for (const stopAt of ['put', 'delete', 'second delete']) {
      world = new LockWorld();
      const [owner, sweeper] = [world.process(), world.process()];
      await owner.queue.enqueue('na', TEXT);
      await owner.queue.finish(1, 'released');
      let deletes = 0;
      sweeper.hooks.before = (call) => {
        if (call === 'delete') deletes++;
        if (call === stopAt || (stopAt === 'second delete' && deletes === 2)) throw new Error('crash');
      };
      await expect(sweeper.queue.sweep()).rejects.toThrow('crash');
      await owner.queue.sweep();
      expect(await world.files()).toEqual(['floor-1']);
    }
  });

  it('closes a gap that a lost ticket left, and can go on', async () => {
    await a.queue.enqueue('na', TEXT);
    await b.queue.enqueue('nb', TEXT);
    await b.queue.finish(2, 'released');
    await world.medium.delete([ticketName(PREFIX, 1)]);
    await b.queue.sweep();
    expect(await a.queue.look(1)).toMatchObject({ kind: 'void' });
    await b.queue.sweep();
    expect(await world.files()).toEqual(['floor-2']);
  });

  it('does not take a ticket that came during its listing for a gap', async () => {
    await a.queue.enqueue('na', TEXT);
    await b.queue.enqueue('nb', TEXT);
    await b.queue.finish(2, 'released');
    let listings = 0;
    b.hooks.listed = (objects) => (++listings === 1 ? objects.filter(({ name }) => name !== ticketName(PREFIX, 1)) : objects);
    await b.queue.sweep();
    expect(await a.queue.look(1)).toMatchObject({ kind: 'hold' });
  });
});

describe('a beat', () => {
  it('replaces the one before', async () => {
    await a.queue.enqueue('na', TEXT);
    await a.queue.beat(1, 1);
    await a.queue.beat(1, 2);
    expect(await world.files()).toEqual(['1', '1.beat-2']);
    expect((await a.queue.state()).beats.get(1)).toBe(2);
  });

  it('that comes after its ticket was swept is swept next time', async () => {
    await a.queue.enqueue('na', TEXT);
    await a.queue.finish(1, 'released');
    await a.queue.sweep();
    await put(beatName(PREFIX, 1, 1));
    await a.queue.sweep();
    expect(await world.files()).toEqual(['floor-1']);
  });
});
