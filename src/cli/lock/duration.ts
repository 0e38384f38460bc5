/** Durations as people write them: `500ms`, `30s`, `5m`, `2h`, `forever`. */
import { TIMER_MS_MAX } from '../../base/system.ts';
import { type Invocation, stringOption, UsageError } from '../command.ts';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (text === 'forever') return Number.POSITIVE_INFINITY;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * (UNITS_MS[match[2] as string] as number);
}

/**
 * The option `name` as `{ [as]: milliseconds }`, to be spread; empty if it was not given. `forever` is allowed only where that is said.
 *
 * @throws UsageError that shows the value
 */
export function durationOption<A extends string>(
  invocation: Invocation,
  name: string,
  { as, mayBeForever = false }: { as: A; mayBeForever?: boolean },
): Partial<Record<A, number>> {
  const text = stringOption(invocation, name);
  if (text === undefined) return {};
  const ms = parseDuration(text);
  const isForever = ms === Number.POSITIVE_INFINITY && text === 'forever';
  if (ms === undefined || (isForever && !mayBeForever)) {
    throw new UsageError(`--${name} must be a duration such as 500ms, 30s, 5m or 1h, got ${JSON.stringify(text)}`);
  }
  if (ms > TIMER_MS_MAX && !isForever) throw new UsageError(`--${name} must be at most 596h, got ${JSON.stringify(text)}`);
  return { [as]: ms } as Partial<Record<A, number>>;
}
