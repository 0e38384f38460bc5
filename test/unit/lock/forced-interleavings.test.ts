/** Situations that chance brings about once in a million times, forced: each step waits at a gate, or fails, where the test says. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { PeatError } from '../../../src/base/errors.ts';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';
import { LOCK_SITES } from '../../../src/lock/lock-sites.ts';
import { beatName, doneName, liveTickets, ticketName } from '../../../src/lock/queue-state.ts';
import type { LockHandle } from '../../../src/lock/ticket-lock.ts';
import type { ListedObject } from '../../../src/medium/medium.ts';
import { LockWorld, PREFIX, storageError, type TestProcess } from '../../support/lock-world.ts';
import { settle } from '../../support/virtual-system.ts';

const LEASE = { site: LOCK_SITES.namedLock, leaseMs: 3000 };
const DAY_MS = 86_400_000;

let world: LockWorld;

beforeEach(() => {
  world = new LockWorld();
});

const isPutOf = (name: string) => (call: string, called: string) => call === 'put' && called === name;

async function errorOf(promise: Promise<unknown>): Promise<PeatError & { cause?: { code?: string } }> {
  return await world.time.until(
    promise.then(
      () => {
        throw new Error('it should have failed');
      },
      (error: PeatError & { cause?: { code?: string } }) => error,
    ),
  );
}

async function live(): Promise<number[]> {
  return liveTickets(await world.process().queue.state());
}

describe('two stealers', () => {
  it('that find the same holder dead at the same moment leave one marker, and hold one after the other', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    await a.lock.acquire(LEASE);
    a.kill();
    const gates = [b, c].map(({ hooks }) => hooks.gate(isPutOf(doneName(PREFIX, 1))));
    const handles: LockHandle[] = [];
    const work = [b, c].map(async ({ lock }) => handles.push(await lock.acquire(LEASE)));
    await Promise.all(gates.map(({ reached }) => reached));
    for (const gate of gates) gate.open();
    await world.time.advance(1000);
    expect(handles.map(({ token }) => token)).toEqual([2]);
    await handles[0]?.release();
    await world.time.until(Promise.all(work));
    expect(handles.map(({ token }) => token)).toEqual([2, 3]);
  });
});

describe('a late stealer', () => {
  it('whose marker comes when another one holds does that one no harm', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    await a.lock.acquire(LEASE);
    a.kill();
    const [punctual, late] = [b, c].map(({ hooks }) => hooks.gate(isPutOf(doneName(PREFIX, 1))));
    const second = b.lock.acquire(LEASE);
    await punctual?.reached;
    const third = c.lock.acquire(LEASE);
    await late?.reached;
    punctual?.open();
    const held = await world.time.until(second);
    expect(held.token).toBe(2);
    await world.time.advance(5000);
    late?.open();
    await world.time.advance(10_000);
    expect(held.signal.aborted).toBe(false);
    expect(await live()).toEqual([2, 3]);
    await held.release();
    expect((await world.time.until(third)).token).toBe(3);
  });

  it('whose marker comes after its victim was swept ends nothing, and its number is never used again', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    await a.queue.enqueue('na', LEASE);
    const gate = c.hooks.gate(isPutOf(doneName(PREFIX, 1)));
    const late = c.queue.finish(1, 'stolen');
    await gate.reached;
    await b.queue.finish(1, 'stolen');
    const held = await b.lock.acquire(LEASE);
    await b.queue.sweep();
    expect(await world.files()).toEqual(['2', 'floor-1']);
    gate.open();
    await late;
    await world.time.advance(4000);
    expect(held.signal.aborted).toBe(false);
    expect(await live()).toEqual([2]);
    expect(await c.queue.enqueue('nc', LEASE)).toBe(3);
  });
});

describe('a paused holder', () => {
  it.each(['h1', 'h2'])('is fenced: a thief on %s has a higher token, and the holder learns that it was stolen from', async (host) => {
    const [a, b] = [world.process(), world.process({ host })];
    /** Where both write: it refuses lower tokens than it has seen (rule C5). */
    let fence = 0;
    const write = (token: number): boolean => {
      if (token < fence) return false;
      fence = token;
      return true;
    };
    const first = await a.lock.acquire(LEASE);
    expect(write(first.token)).toBe(true);
    const waiting = b.lock.acquire(LEASE);
    await world.time.advance(100);
    a.stop();
    const second = await world.time.until(waiting);
    expect(write(second.token)).toBe(true);
    a.resume();
    // It goes on in the middle of its work, and knows nothing yet.
    expect(first.signal.aborted).toBe(false);
    expect(write(first.token)).toBe(false);
    await world.time.advance(1000);
    expect(first.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
    await first.release();
    expect(second.signal.aborted).toBe(false);
    expect(await live()).toEqual([second.token]);
  });
});

/**
 * A ticket is written whole or not at all, but it is not synced: a power cut can empty it, a disk can damage it, and a later release
 * may write what this one can't read.
 */
const UNREADABLE: readonly [string, Buffer][] = [
  ['empty', Buffer.alloc(0)],
  ['damaged', Buffer.from('{"format":1}\ncrc32:00000000\n')],
  ['foreign', encodeCheckedJson({ format: 2, nonce: 'n', what: 'comes later' })],
];

describe('an unstamped ticket', () => {
  it.each(UNREADABLE)('that is %s is never stolen from while it shows beats, however short the lease of the waiter', async (_, bytes) => {
    await world.medium.putIfAbsent(ticketName(PREFIX, 1), bytes);
    const waiting = world.process().lock.acquire({ ...LEASE, leaseMs: 300 });
    for (let k = 1; k <= 30; k++) {
      await world.time.advance(10_000);
      await world.medium.putIfAbsent(beatName(PREFIX, 1, k), Buffer.from(`beat ${k}`));
    }
    expect(await live()).toEqual([1, 2]);
    expect((await world.time.until(waiting)).token).toBe(2);
  });

  it.each(UNREADABLE)('that is %s is given a whole lease of the longest kind if it shows no beat', async (_, bytes) => {
    await world.medium.putIfAbsent(ticketName(PREFIX, 1), bytes);
    const waiting = world.process().lock.acquire({ ...LEASE, leaseMs: 300 });
    await world.time.advance(29_500);
    expect(await live()).toEqual([1, 2]);
    await world.time.advance(1000);
    expect((await waiting).token).toBe(2);
  });

  it('of a living owner stays its own, though its lease is long and the others can not read it', async () => {
    const [a, b] = [world.process({ host: 'h2' }), world.process()];
    const held = await a.lock.acquire({ ...LEASE, leaseMs: 600_000 });
    await world.medium.delete([ticketName(PREFIX, 1)]);
    await world.medium.putIfAbsent(ticketName(PREFIX, 1), Buffer.alloc(0));
    const waiting = b.lock.acquire({ ...LEASE, leaseMs: 300 });
    await world.time.advance(1_200_000);
    expect(held.signal.aborted).toBe(false);
    expect(await live()).toEqual([1, 2]);
    await held.release();
    expect((await world.time.until(waiting)).token).toBe(2);
  });
});

describe('EMFILE while taking a ticket', () => {
  it.each(['list', 'put'])('in a %s is the error that the caller sees, and leaves nothing behind', async (failing) => {
    const [a, b] = [world.process(), world.process()];
    a.hooks.fail('EMFILE', (call) => call === failing);
    expect(await errorOf(a.lock.acquire(LEASE))).toMatchObject({ code: 'STORAGE', cause: { code: 'EMFILE' } });
    expect(await world.files()).toEqual([]);
    a.hooks.mend();
    expect((await b.lock.acquire(LEASE)).token).toBe(1);
    await world.time.advance(10_000);
    expect(await live()).toEqual([1]);
  });

  it('after the ticket was written ends that ticket, as soon as files can be opened again', async () => {
    const [a, b] = [world.process(), world.process()];
    a.hooks.after = (call) => {
      if (call !== 'put') return;
      a.hooks.fail('EMFILE');
      throw storageError('EMFILE');
    };
    expect(await errorOf(a.lock.acquire(LEASE))).toMatchObject({ cause: { code: 'EMFILE' } });
    const waiting = b.lock.acquire(LEASE);
    await world.time.advance(2000);
    expect(await live()).toEqual([1, 2]);
    a.hooks.mend();
    expect((await world.time.until(waiting)).token).toBe(2);
    // Nothing of the failed attempt goes on: what still sleeps is the holder.
    expect(world.time.sleeping).toBe(2);
  });

  it('in the looks of a waiter ends its ticket, and those behind it pass', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    const first = await a.lock.acquire(LEASE);
    const second = b.lock.acquire(LEASE);
    await world.time.advance(100);
    const third = c.lock.acquire(LEASE);
    b.hooks.fail('EMFILE');
    expect(await errorOf(second)).toMatchObject({ cause: { code: 'EMFILE' } });
    b.hooks.mend();
    await first.release();
    expect((await world.time.until(third)).token).toBe(3);
  });
});

describe('EMFILE while beating', () => {
  it('for less than a lease costs nothing', async () => {
    const [a, b] = [world.process(), world.process({ host: 'h2' })];
    const held = await a.lock.acquire(LEASE);
    void b.lock.acquire(LEASE);
    for (let i = 0; i < 5; i++) {
      a.hooks.fail('EMFILE');
      await world.time.advance(1900);
      a.hooks.mend();
      await world.time.advance(1100);
    }
    expect(held.signal.aborted).toBe(false);
    expect(await live()).toEqual([1, 2]);
  });

  it('for a lease loses the lock, before anyone else has it; the release works later, and nothing beats on', async () => {
    const [a, b] = [world.process(), world.process({ host: 'h2' })];
    const held = await a.lock.acquire(LEASE);
    let next: LockHandle | undefined;
    void b.lock.acquire(LEASE).then((handle) => {
      next = handle;
    });
    let wasAlone = true;
    held.signal.addEventListener('abort', () => {
      wasAlone = next === undefined;
    });
    await world.time.advance(1500);
    a.hooks.fail('EMFILE');
    await world.time.advance(5000);
    expect(held.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
    expect(wasAlone).toBe(true);
    expect(next?.token).toBe(2);
    a.hooks.mend();
    await held.release();
    const beats = (await world.files()).filter((name) => name.startsWith('1.beat'));
    await world.time.advance(20_000);
    expect((await world.files()).filter((name) => name.startsWith('1.beat'))).toEqual(beats);
  });
});

describe('EMFILE while releasing', () => {
  it('is told, never thrown, and hides no error of the caller', async () => {
    const a = world.process();
    const work = async (): Promise<void> => {
      await using held = await a.lock.acquire(LEASE);
      a.hooks.fail('EMFILE');
      throw new Error(`my own, with token ${held.token}`);
    };
    await expect(work()).rejects.toThrow('my own, with token 1');
    a.hooks.mend();
    const held = await world.time.until(a.lock.acquire(LEASE));
    expect(held.releaseFailure).toBeUndefined();
    a.hooks.fail('EMFILE');
    await held.release();
    expect(held.releaseFailure).toMatchObject({ code: 'STORAGE', cause: { code: 'EMFILE' } });
  });

  it('is tried again, first soon and then ever less often, until it is done', async () => {
    const [a, b] = [world.process(), world.process()];
    const held = await a.lock.acquire(LEASE);
    let attempts = 0;
    a.hooks.before = (call) => {
      if (call === 'put') attempts++;
      throw storageError('EMFILE');
    };
    await held.release();
    const waiting = b.lock.acquire(LEASE);
    await world.time.advance(1000);
    expect(attempts).toBeGreaterThan(2);
    await world.time.advance(3_600_000);
    expect(attempts).toBeLessThan(80);
    a.hooks.mend();
    expect((await world.time.until(waiting)).token).toBe(2);
    await (await waiting).release();
    // Neither a beat nor a retry goes on.
    expect(world.time.sleeping).toBe(0);
  });

  it('stops being tried once the medium is closed', async () => {
    const a = world.process();
    const held = await a.lock.acquire(LEASE);
    a.hooks.before = () => {
      throw Object.assign(storageError('EMFILE'), { code: 'CLOSED' });
    };
    await held.release();
    await world.time.advance(1000);
    expect(world.time.sleeping).toBe(0);
  });

  it('leaves no beat behind that was about to be written', async () => {
    const a = world.process();
    const held = await a.lock.acquire(LEASE);
    const gate = a.hooks.gate((call, name) => call === 'get' && name === ticketName(PREFIX, 1));
    await world.time.advance(1000);
    await gate.reached;
    await held.release();
    gate.open();
    await world.time.advance(10_000);
    expect(await world.files()).toEqual(['1', '1.done']);
  });
});

describe('ENOSPC while stamping', () => {
  it("leaves another one's lock intact, and those who wait for it in their places", async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    const first = await a.lock.acquire(LEASE);
    const third = c.lock.acquire(LEASE);
    await world.time.advance(100);
    b.hooks.fail('ENOSPC', (call) => call === 'put');
    expect(await errorOf(b.lock.acquire(LEASE))).toMatchObject({ code: 'STORAGE', cause: { code: 'ENOSPC' } });
    await world.time.advance(10_000);
    expect(first.signal.aborted).toBe(false);
    expect(await live()).toEqual([1, 2]);
    await first.release();
    expect((await world.time.until(third)).token).toBe(2);
  });

  it('of the marker of a steal fails who tried, and the next one steals', async () => {
    const [a, b, c] = [world.process(), world.process(), world.process()];
    await a.lock.acquire(LEASE);
    a.kill();
    b.hooks.fail('ENOSPC', (call, name) => call === 'put' && name.endsWith('.done'));
    expect(await errorOf(b.lock.acquire(LEASE))).toMatchObject({ cause: { code: 'ENOSPC' } });
    const waiting = c.lock.acquire(LEASE);
    await world.time.advance(1000);
    // The ticket of the one that failed still waits for its own marker.
    expect(await live()).toEqual([2, 3]);
    b.hooks.mend();
    expect((await world.time.until(waiting)).token).toBe(3);
  });
});

describe('a sweeper beside a lister', () => {
  /** Tickets 1 and 2 are over, 1 by a steal that its owner does not know of; 3 is live. */
  async function prepare(): Promise<{ before: ListedObject[]; after: ListedObject[]; sweeper: TestProcess }> {
    world = new LockWorld();
    const sweeper = world.process();
    for (let n = 1; n <= 3; n++) await sweeper.queue.enqueue(`n${n}`, LEASE);
    await sweeper.queue.beat(1, 1);
    await sweeper.queue.finish(1, 'stolen');
    await sweeper.queue.finish(2, 'released');
    const before = await world.medium.list(PREFIX);
    await sweeper.queue.sweep();
    return { before, after: await world.medium.list(PREFIX), sweeper };
  }

  it('never makes it say hold to one that was stolen from, nor give a number twice, wherever the sweep cuts the listing', async () => {
    const cuts = (await prepare()).before.length + 3;
    for (const isBackwards of [false, true]) {
      for (let cut = 0; cut <= cuts; cut++) {
        const { before, after } = await prepare();
        const lister = world.process();
        const names = [...new Set([...before, ...after].map(({ name }) => name))].sort();
        if (isBackwards) names.reverse();
        // What is read first is from before the sweep, the rest from after it. The second listing is whole.
        const early = new Set(names.slice(0, cut));
        const torn = [...before.filter(({ name }) => early.has(name)), ...after.filter(({ name }) => !early.has(name))];
        const listing = torn.sort((x, y) => (x.name < y.name ? -1 : 1));
        let listings = 0;
        lister.hooks.listed = (objects) => (++listings === 1 ? listing : objects);
        for (const [number, allowed] of [
          [1, ['void']],
          [2, ['void']],
          [3, ['hold', 'wait']],
        ] as const) {
          listings = 0;
          expect(allowed, `cut ${cut}`).toContain((await lister.queue.look(number)).kind);
        }
        listings = 0;
        expect(await lister.queue.enqueue('new', LEASE)).toBe(4);
      }
    }
  });

  it('leaves the listing true at each of its steps', async () => {
    for (let stop = 1; stop <= 4; stop++) {
      world = new LockWorld();
      const [owner, sweeper] = [world.process(), world.process()];
      for (let n = 1; n <= 2; n++) await owner.queue.enqueue(`n${n}`, LEASE);
      await sweeper.queue.finish(1, 'stolen');
      let calls = 0;
      const gate = sweeper.hooks.gate(() => ++calls === stop);
      const sweep = sweeper.queue.sweep();
      await gate.reached;
      expect((await owner.queue.look(1)).kind).toBe('void');
      expect((await owner.queue.look(2)).kind).toBe('hold');
      expect(await world.process().queue.enqueue('new', LEASE)).toBe(3);
      gate.open();
      await sweep;
      expect((await owner.queue.look(2)).kind).toBe('hold');
    }
  });
});

describe('a wall clock that jumps by a day', () => {
  it.each([DAY_MS, -DAY_MS])('by %d ms, in the holder, the waiters, or all of them, changes nothing', async (jumpMs) => {
    for (const jumping of [[0], [1, 2], [0, 1, 2]]) {
      world = new LockWorld();
      const processes = [world.process(), world.process(), world.process({ host: 'h2' })];
      const [a, b, c] = processes as [TestProcess, TestProcess, TestProcess];
      const first = await a.lock.acquire(LEASE);
      const second = b.lock.acquire(LEASE);
      await world.time.advance(100);
      const third = c.lock.acquire(LEASE);
      await world.time.advance(5000);
      for (const i of jumping) (processes[i] as TestProcess).system.wallOffsetMs += jumpMs;
      await world.time.advance(30_000);
      expect(first.signal.aborted).toBe(false);
      expect(await live()).toEqual([1, 2, 3]);
      await first.release();
      await (await world.time.until(second)).release();
      expect((await world.time.until(third)).token).toBe(3);
    }
  });
});

describe('giving up', () => {
  it('leaves nothing behind, at whatever call it comes', async () => {
    // How many calls an attempt makes within its first moments.
    for (let at = 1; at <= 12; at++) {
      world = new LockWorld();
      const [a, b] = [world.process(), world.process()];
      const held = await a.lock.acquire(LEASE);
      const controller = new AbortController();
      let calls = 0;
      b.hooks.before = () => {
        if (++calls === at) controller.abort(new Error('never mind'));
      };
      await expect(world.time.until(b.lock.acquire({ ...LEASE, signal: controller.signal }))).rejects.toThrow('never mind');
      b.hooks.mend();
      expect(await live()).toEqual([1]);
      await held.release();
      await settle();
      expect(world.time.sleeping, `abort at call ${at}`).toBe(0);
      await a.queue.sweep();
      expect(await world.files()).toEqual(['floor-2']);
    }
  });

  it('wins over a turn that comes at the same moment', async () => {
    // List, put, and the two lists of a look.
    for (let at = 1; at <= 4; at++) {
      world = new LockWorld();
      const b = world.process();
      const controller = new AbortController();
      let calls = 0;
      b.hooks.before = () => {
        if (++calls === at) controller.abort(new Error('never mind'));
      };
      await expect(b.lock.acquire({ ...LEASE, signal: controller.signal })).rejects.toThrow('never mind');
      expect(await live()).toEqual([]);
      expect(world.time.sleeping).toBe(0);
    }
  });

  it('comes in time even if each new ticket is taken away at once', async () => {
    const [a, b] = [world.process(), world.process()];
    let stolen = 0;
    b.hooks.after = async (call, name) => {
      if (call !== 'put' || !/\/\d+$/.test(name)) return;
      stolen++;
      await a.queue.finish(Number(name.slice(PREFIX.length)), 'stolen');
    };
    expect(await errorOf(b.lock.acquire({ ...LEASE, maxWaitMs: 1000 }))).toMatchObject({ code: 'LOCK_TIMEOUT' });
    expect(stolen).toBeLessThan(20);
    expect(await live()).toEqual([]);
    expect(world.time.sleeping).toBe(0);
  });
});
