/** What a command of `peat` is. Each stands in a file of its own and is imported only when it is asked for. */
import type { ParseArgsConfig } from 'node:util';
import type { Output } from './output.ts';

export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** What follows the name in the help, for strings: `N`, `FILE`. */
  readonly placeholder?: string;
  readonly help: string;
}

export interface CommandSpec {
  readonly name: string;
  /** Positional arguments as the help shows them: `LOCATION KEY [VALUE]`. */
  readonly usage: string;
  readonly summary: string;
  /** Paragraphs below the summary. */
  readonly details?: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** At least and at most so many positional arguments. */
  readonly positionals: readonly [number, number];
  readonly examples: readonly string[];
  /** A part of another command, in a process of its own: not in the list of `peat help`. */
  readonly hidden?: boolean;
  /** What follows "--" is a command line for someone else: it is not taken apart, and comes as `Invocation.commandLine`. */
  readonly takesCommandLine?: boolean;
}

export interface Invocation {
  readonly positionals: readonly string[];
  /** Empty unless the command takes one. */
  readonly commandLine: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly output: Output;
  /** Aborted at INT, TERM and HUP: finish what must be finished, and return. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly spec: CommandSpec;
  /** Returns the exit code. Throwing exits with 1, or 75 for temporary failures, or 2 for `UsageError`. */
  run(invocation: Invocation): Promise<number>;
}

/** Wrong arguments: message on stderr, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** EX_TEMPFAIL of sysexits.h: try again later. */
export const EXIT_TEMPORARY = 75;

export function parseArgsOptions(spec: CommandSpec): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(spec.options).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short === undefined ? {} : { short }), ...(multiple === undefined ? {} : { multiple }) },
    ]),
  );
}

/** A string option. */
export function stringOption(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name];
  return typeof value === 'string' ? value : undefined;
}

export function flag(invocation: Invocation, name: string): boolean {
  return invocation.options[name] === true;
}

/** A whole number given as an option. @throws UsageError that shows the value */
export function numberOption(invocation: Invocation, name: string, bounds: { least: number; most?: number }): number | undefined {
  const text = stringOption(invocation, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  const most = bounds.most ?? Number.MAX_SAFE_INTEGER;
  if (text.trim() === '' || !Number.isInteger(value) || value < bounds.least || value > most) {
    throw new UsageError(`--${name} must be a whole number from ${bounds.least} to ${most}, got ${JSON.stringify(text)}`);
  }
  return value;
}
