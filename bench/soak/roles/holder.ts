/** Holds one named lock for seconds, in turn with the other holders, and notes from when to when. */
import type { Actor } from '../actor.ts';
import { Journal } from '../journal.ts';
import { HOLD_MS_MAX, LONG_LOCK } from '../plan.ts';

/** Times of CLOCK_MONOTONIC, milliseconds, which all processes of a machine share. */
type Line = { readonly token: number; readonly heldAtMs: number } | { readonly token: number; readonly releasedAtMs: number };

/** A hold. Without an end its holder was killed, or lost it. */
export interface Hold {
  readonly token: number;
  readonly heldAtMs: number;
  releasedAtMs?: number;
}

const MAX_WAIT_MS = 600_000;

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export async function hold({ assignment, store, telemetry, random, stop, pause }: Actor): Promise<void> {
  const journal = new Journal<Line>(assignment.journals, assignment.name);
  while (!stop.aborted) {
    const asked = telemetry.time('lock, held for seconds', () => store.lock(LONG_LOCK, { signal: stop, maxWaitMs: MAX_WAIT_MS }));
    const lock = await asked.catch((error: unknown) => {
      if (stop.aborted) return undefined;
      throw error;
    });
    if (lock === undefined) break;
    const { token } = lock;
    journal.note({ token, heldAtMs: monotonicMs() });
    await pause(HOLD_MS_MAX * random() ** 2);
    if (lock.signal.aborted) telemetry.problem(`${assignment.name} lost its lock: ${String(lock.signal.reason)}`);
    else journal.note({ token, releasedAtMs: monotonicMs() });
    await lock.release();
    await pause(200 * random());
  }
  journal.close();
}

/** What is wrong with the holds of all holders: two at once, or tokens that do not rise with time. */
export function judgeHolds(journals: string, names: readonly string[]): { holds: number; problems: string[] } {
  const holds = names.flatMap((name) => holdsOf(journals, name)).sort((a, b) => a.heldAtMs - b.heldAtMs);
  const problems: string[] = [];
  holds.forEach((hold, i) => {
    const before = holds[i - 1];
    if (before === undefined) return;
    if (hold.token <= before.token) problems.push(`token ${hold.token} of ${LONG_LOCK} came after ${before.token}`);
    if (before.releasedAtMs !== undefined && hold.heldAtMs < before.releasedAtMs) {
      problems.push(`tokens ${before.token} and ${hold.token} held ${LONG_LOCK} at the same time`);
    }
  });
  return { holds: holds.length, problems };
}

function holdsOf(journals: string, name: string): Hold[] {
  const holds = new Map<number, Hold>();
  for (const line of new Journal<Line>(journals, name).read()) {
    if ('heldAtMs' in line) holds.set(line.token, line);
    else (holds.get(line.token) as Hold).releasedAtMs = line.releasedAtMs;
  }
  return [...holds.values()];
}
