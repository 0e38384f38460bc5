/**
 * A line of a lock trace: one attempt to get a lock, from when its wait began to when it was over. Lines stand alone, so files of
 * many processes can be put together, cut, and read in any order.
 */

/** What was done while a lock was held that makes others wait for something that has no bound. */
export type Smell = 'subprocess' | 'timer' | 'network';

export const SMELLS: readonly Smell[] = ['subprocess', 'timer', 'network'];

export interface TraceRecord {
  readonly host: string;
  readonly pid: number;
  /** When the wait began, by the process's wall clock, milliseconds since 1970. */
  readonly at: number;
  /** The id of a registered site; see `lock-sites.ts`. */
  readonly site: string;
  readonly name: string;
  readonly mode: string;
  /** Where the program asked for it, for locks that programs ask for. */
  readonly callSite: string | null;
  /**
   * `released`; `lost` (stolen, or its lease could not be kept); `exit` (the process ended first); or the code of the error that ended
   * the wait.
   */
  readonly outcome: string;
  readonly waitMs: number;
  /** Null if it was never held, as the next one. */
  readonly holdMs: number | null;
  readonly token: number | null;
  readonly smells: readonly Smell[];
}

/** Undefined for a line that is none of a trace's, or is cut off. */
export function parseTraceLine(line: string): TraceRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return isTraceRecord(value) ? value : undefined;
}

function isTraceRecord(value: unknown): value is TraceRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { host, pid, at, site, name, mode, callSite, outcome, waitMs, holdMs, token, smells } = value as Record<keyof TraceRecord, unknown>;
  const texts = [host, site, name, mode, outcome];
  const numbers = [pid, at, waitMs];
  return (
    texts.every((text) => typeof text === 'string') &&
    numbers.every(Number.isFinite) &&
    [holdMs, token].every((number) => number === null || Number.isFinite(number)) &&
    (callSite === null || typeof callSite === 'string') &&
    Array.isArray(smells) &&
    smells.every((smell) => SMELLS.includes(smell as Smell))
  );
}
