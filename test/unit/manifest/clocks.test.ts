/** How much time has passed by all clocks: the question on whose answer every look that is left out rests. */
import { beforeEach, describe, expect, it } from 'vitest';
import { elapsedMs, isTrusted, listDated, now } from '../../../src/manifest/clocks.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { runAsync } from '../../../src/medium/steps.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

let system: VirtualSystem;
let answeredAtMs: number | undefined;
const remote = { isRemote: true, lastAnsweredAtMs: () => answeredAtMs };
const local = { isRemote: false, lastAnsweredAtMs: () => undefined };

beforeEach(() => {
  system = new VirtualSystem();
  answeredAtMs = 1_000_000;
});

describe('the time that has passed', () => {
  it('is what the clocks agree on', async () => {
    const moment = now({ system, medium: local });
    await system.advance(59_999);
    expect(elapsedMs({ system, medium: local }, moment)).toBe(59_999);
    expect(isTrusted({ system, medium: local }, moment)).toBe(true);
    await system.advance(1);
    expect(isTrusted({ system, medium: local }, moment)).toBe(false);
  });

  it('is that of the wall clock where the monotonic clock stood still, and the other way about', async () => {
    const moment = now({ system, medium: local });
    system.wallOffsetMs += 61_000;
    expect(elapsedMs({ system, medium: local }, moment)).toBe(61_000);
    const later = now({ system, medium: local });
    await system.advance(70_000);
    system.wallOffsetMs -= 65_000;
    expect(elapsedMs({ system, medium: local }, later)).toBe(70_000);
  });

  it('is that of the medium where the whole machine was suspended, with all of its clocks', () => {
    const clocks = { system, medium: remote };
    const moment = now(clocks);
    answeredAtMs = 1_059_000;
    expect(isTrusted(clocks, moment)).toBe(true);
    answeredAtMs = 1_060_000;
    expect(elapsedMs(clocks, moment)).toBe(60_000);
    expect(isTrusted(clocks, moment)).toBe(false);
  });

  it("is without end where the wall clock or the medium's was set back", () => {
    const clocks = { system, medium: remote };
    const moment = now(clocks);
    answeredAtMs = 999_999;
    expect(elapsedMs(clocks, moment)).toBe(Number.POSITIVE_INFINITY);
    answeredAtMs = 1_000_000;
    system.wallOffsetMs -= 1;
    expect(elapsedMs(clocks, moment)).toBe(Number.POSITIVE_INFINITY);
    expect(isTrusted(clocks, moment)).toBe(false);
  });

  it('is not enough to trust anything across a network if the medium does not tell its time', () => {
    const clocks = { system, medium: remote };
    const told = now(clocks);
    answeredAtMs = undefined;
    expect(elapsedMs(clocks, told)).toBe(0);
    expect(isTrusted(clocks, told)).toBe(false);
    const untold = now(clocks);
    answeredAtMs = 1_000_000;
    expect(isTrusted(clocks, untold)).toBe(false);
  });
});

describe('a listing', () => {
  it('is dated by the answer of the medium, not by an earlier one', async () => {
    const server = new VirtualSystem();
    const medium = new MemoryMedium({ system: server, canAppend: false, isRemote: true, blocking: false });
    await medium.get('anything');
    await server.advance(3_600_000);
    const context = { system, medium };
    expect(now(context).mediumMs).toBe(server.wallNowMs() - 3_600_000);
    const { listedAt } = await runAsync(listDated(context, 'ns/'), context);
    expect(listedAt.mediumMs).toBe(server.wallNowMs());
    expect(isTrusted(context, listedAt)).toBe(true);
    await server.advance(60_000);
    // Nothing was answered since: what is not asked of the medium can't have changed what was listed.
    expect(isTrusted(context, listedAt)).toBe(true);
    await medium.get('anything');
    expect(isTrusted(context, listedAt)).toBe(false);
  });

  it('has no date on local media, where the clocks of this machine are enough', async () => {
    const context = { system, medium: new MemoryMedium({ system, canAppend: true }) };
    const { listedAt } = await runAsync(listDated(context, 'ns/'), context);
    expect(listedAt.mediumMs).toBeUndefined();
    expect(isTrusted(context, listedAt)).toBe(true);
  });
});
