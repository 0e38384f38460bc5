import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeSystem, type System } from '../../../src/base/system.ts';
import { LOCK_SITES } from '../../../src/lock/lock-sites.ts';
import { LockWaker } from '../../../src/lock/lock-waker.ts';
import { nodeProcessFacts } from '../../../src/lock/process-facts.ts';
import { doneName } from '../../../src/lock/queue-state.ts';
import { TicketLock } from '../../../src/lock/ticket-lock.ts';
import { FileMedium } from '../../../src/medium/file-medium.ts';
import type { Medium } from '../../../src/medium/medium.ts';
import { HookedMedium, PREFIX } from '../../support/lock-world.ts';

const LEASE = { site: LOCK_SITES.namedLock, leaseMs: 600_000, pollMs: 600_000 };

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'peat-lock-waker-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** The first pauses end soon, later ones only when they are interrupted: who waits long is woken, or waits for ever. */
function sleepless(): System & { readonly longSleeps: number } {
  let longSleeps = 0;
  return {
    ...nodeSystem,
    sleep: (ms, options) => {
      if (ms < 45) return nodeSystem.sleep(ms, options);
      longSleeps++;
      return nodeSystem.sleep(3_600_000, options);
    },
    get longSleeps() {
      return longSleeps;
    },
  };
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await nodeSystem.sleep(2);
}

describe('events of a lock folder', () => {
  it('wake each of several waiters when its turn comes, without a look in between', async () => {
    const medium = FileMedium.open(directory);
    const options = { medium, facts: nodeProcessFacts(), prefix: PREFIX };
    const systems = [sleepless(), sleepless(), sleepless()];
    const first = await new TicketLock({ ...options, system: nodeSystem }).acquire(LEASE);
    const tokens: number[] = [];
    const work = systems.map(async (system) => {
      const handle = await new TicketLock({ ...options, system }).acquire(LEASE);
      tokens.push(handle.token);
      await handle.release();
    });
    // Beats are long sleeps, too: one of each waiter, and one for its pause.
    await waitFor(() => systems.every(({ longSleeps }) => longSleeps >= 2));
    await first.release();
    await Promise.all(work);
    expect(tokens).toEqual([2, 3, 4]);
    await medium.close();
  });

  it('are done without where a folder can not be watched', async () => {
    const medium = FileMedium.open(directory);
    const unwatchable: Medium = { ...new HookedMedium(medium).medium, localDirectory: join(directory, 'nowhere') };
    const options = { medium: unwatchable, facts: nodeProcessFacts(), system: nodeSystem, prefix: PREFIX };
    const first = await new TicketLock(options).acquire(LEASE);
    const waiting = new TicketLock(options).acquire({ ...LEASE, pollMs: 10 });
    await nodeSystem.sleep(60);
    await first.release();
    expect((await waiting).token).toBe(2);
    await medium.close();
  });

  it('tell of a ticket that was over before anyone asked, and of no other', async () => {
    mkdirSync(join(directory, PREFIX), { recursive: true });
    const waker = LockWaker.open(directory, PREFIX);
    if (waker === undefined) throw new Error('no events here');
    const woken: number[] = [];
    void waker.ended(7).then(() => woken.push(7));
    writeFileSync(join(directory, doneName(PREFIX, 5)), '');
    writeFileSync(join(directory, `${doneName(PREFIX, 7)}x`), '');
    await nodeSystem.sleep(20);
    expect(woken).toEqual([]);
    await waker.ended(5);
    writeFileSync(join(directory, doneName(PREFIX, 6)), '');
    await waker.ended(6);
    waker.close();
  });

  it('do not keep the process alive', () => {
    mkdirSync(join(directory, PREFIX), { recursive: true });
    const waker = LockWaker.open(directory, PREFIX);
    expect(waker).toBeDefined();
    expect(process.getActiveResourcesInfo()).not.toContain('FSEventWrap');
    waker?.close();
  });
});
