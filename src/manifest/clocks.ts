/**
 * How much time has passed since something was read, by all the clocks there are: what the shortcuts rest on (docs/protocol.md).
 *
 * A machine that is suspended may miss the time on all of its own clocks, and its wall clock may be set. Across a network others go on
 * meanwhile; there the medium's own time counts, too: how far its latest answer is from the one that showed what was read. So the question
 * is to be asked after the answer that matters: that of an append, or the last one of a read. What passes after that answer makes no difference.
 */
import type { System } from '../base/system.ts';
import type { ListedObject, ListOptions, Medium } from '../medium/medium.ts';
import { listSteps, type Steps } from '../medium/steps.ts';

/** Under this, a root that was the newest when it was read may still be acted on without looking again. */
export const ROOT_TRUST_MS = 60_000;

/** What tells the time to a process that uses a medium. */
export interface Clocks {
  readonly system: System;
  readonly medium: Pick<Medium, 'isRemote' | 'lastAnsweredAtMs'>;
}

/** A point in time on all clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
  /** By the medium's time; undefined where that is not told. */
  readonly mediumMs: number | undefined;
}

/** By the medium's time this is the moment of its latest answer, which may be long ago. */
export function now({ system, medium }: Clocks): Moment {
  return { wallMs: system.wallNowMs(), monotonicMs: system.monotonicNowMs(), mediumMs: medium.lastAnsweredAtMs() };
}

/** Milliseconds since `moment` by the clock that shows the most; Infinity if the wall clock, or the medium's, went back. */
export function elapsedMs({ system, medium }: Clocks, { wallMs, monotonicMs, mediumMs }: Moment): number {
  const wall = system.wallNowMs() - wallMs;
  const answeredAtMs = medium.lastAnsweredAtMs();
  const mediums = mediumMs === undefined || answeredAtMs === undefined ? 0 : answeredAtMs - mediumMs;
  return wall < 0 || mediums < 0 ? Number.POSITIVE_INFINITY : Math.max(wall, mediums, system.monotonicNowMs() - monotonicMs);
}

/**
 * Whether what was read at `moment` may be acted on without another look. Never where the medium is across a network and does not tell its
 * time, or did not in its latest answer.
 */
export function isTrusted(clocks: Clocks, moment: Moment): boolean {
  const { medium } = clocks;
  if (medium.isRemote && (moment.mediumMs === undefined || medium.lastAnsweredAtMs() === undefined)) return false;
  return elapsedMs(clocks, moment) < ROOT_TRUST_MS;
}

/** A listing, and when it was made: by this machine's clocks before it was asked for, by the medium's time when it was answered. */
export function* listDated(
  clocks: Clocks,
  prefix: string,
  options: Pick<ListOptions, 'stats'> = {},
): Steps<{ objects: ListedObject[]; listedAt: Moment }> {
  const { wallMs, monotonicMs } = now(clocks);
  let mediumMs: number | undefined;
  const onAnswer = (answeredAtMs: number | undefined): void => {
    mediumMs = answeredAtMs;
  };
  const objects = yield* listSteps(prefix, { ...options, onAnswer });
  return { objects, listedAt: { wallMs, monotonicMs, mediumMs } };
}
