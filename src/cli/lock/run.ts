/**
 * `peat lock run`: runs a command under a lock.
 *
 * The command belongs to the lock: it is started once the lock is held, and the lock is given back once it has ended. If the lock is
 * lost before, the command is asked to end, and made to after a while. Signals are for the command, so while it runs, none of them
 * ends this process: it ends as the command does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { isatty } from 'node:tty';
import { PeatError } from '../../base/errors.ts';
import { nodeSystem } from '../../base/system.ts';
import type { Store } from '../../datastore/store.ts';
import type { NamedLock, StructuralLockOptions } from '../../lock/named-lock.ts';
import { flag, type Invocation, UsageError } from '../command.ts';
import { withStore } from '../store-access.ts';
import { durationOption } from './duration.ts';

/** How long a command that lost its lock may take to end by itself. */
const KILL_AFTER_MS = 5000;

/** What shells say: not found; found, and not to be started. */
const EXIT_NOT_STARTED = 126;
const EXIT_NOT_FOUND = 127;
const NOT_STARTED: Readonly<Record<string, string>> = { ENOENT: 'command not found', EACCES: 'permission denied' };
/** It ended, and not by an exit, nor by a signal that is known. */
const EXIT_UNKNOWN = 255;

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Ended {
  readonly code: number;
  readonly signal: NodeJS.Signals | null;
}

export async function run(invocation: Invocation): Promise<number> {
  const { commandLine, signal } = invocation;
  if (commandLine.length === 0) throw new UsageError('peat lock run needs a command after "--"');
  const names = lockNames(invocation);
  const mode = flag(invocation, 'shared') ? 'shared' : 'exclusive';
  const options: StructuralLockOptions = {
    purpose: `peat lock run: ${basename(commandLine[0] as string)}`,
    signal,
    ...durationOption(invocation, 'wait', { as: 'maxWaitMs', mayBeForever: true }),
    ...durationOption(invocation, 'lease', { as: 'leaseMs' }),
  };
  const underLock = async (store: Store): Promise<Ended> => {
    await using lock = await acquire(store, names, { mode, ...options });
    signal.throwIfAborted();
    const outcome = await runCommand(commandLine, lock);
    if (lock.signal.aborted) throw lost(commandLine, lock);
    return outcome;
  };
  const ended = await withStore(invocation, underLock, {});
  if (ended.signal !== null) await dieOf(ended.signal);
  return ended.code;
}

/** None for the structural lock. */
function lockNames(invocation: Invocation): string[] {
  const [, ...given] = invocation.positionals;
  const more = invocation.options['name'];
  const names = [...given, ...(Array.isArray(more) ? (more as string[]) : [])];
  if (invocation.positionals.length === 0) throw new UsageError('peat lock run needs the location of a store');
  if (given.length > 1) throw new UsageError(`peat lock run takes one name, and the command after "--", got ${JSON.stringify(given[1])}`);
  const isStructural = flag(invocation, 'structural');
  if (isStructural && names.length > 0) throw new UsageError(`the structural lock has no name, got ${JSON.stringify(names[0])}`);
  if (isStructural && flag(invocation, 'shared')) throw new UsageError('give --structural or --shared, not both');
  if (!isStructural && names.length === 0) throw new UsageError('peat lock run needs the name of a lock');
  return names;
}

async function acquire(
  store: Store,
  names: readonly string[],
  { mode, ...options }: StructuralLockOptions & { mode: 'exclusive' | 'shared' },
): Promise<NamedLock> {
  if (names.length === 0) return await store.exclusive(options);
  return names.length === 1 ? await store.lock(names[0] as string, { mode, ...options }) : await store.locks(names, { mode, ...options });
}

function lost([program]: readonly string[], lock: NamedLock): PeatError {
  const cause: unknown = lock.signal.reason;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PeatError('LOCK_LOST', `${why}; ${program} was told to end`, { cause });
}

async function runCommand(commandLine: readonly string[], lock: NamedLock): Promise<Ended> {
  const [program, ...args] = commandLine as [string, ...string[]];
  let child: ChildProcess;
  try {
    // Some errors it throws, others it tells later.
    child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...lock.env } });
  } catch (error) {
    return notStarted(program, error as NodeJS.ErrnoException);
  }
  const over = new AbortController();
  const endIt = (): void => void end(child, over.signal);
  const forwards = FORWARDED.map((name) => [name, () => forward(child, name)] as const);
  for (const [name, listener] of forwards) process.on(name, listener);
  lock.signal.addEventListener('abort', endIt);
  if (lock.signal.aborted) endIt();
  try {
    return await ending(child);
  } catch (error) {
    return notStarted(program, error as NodeJS.ErrnoException);
  } finally {
    over.abort();
    lock.signal.removeEventListener('abort', endIt);
    for (const [name, listener] of forwards) process.off(name, listener);
  }
}

/** Rejects only if it was never started; that a signal could not be sent is an error of its own kind, and no end. */
function ending(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      if (child.pid === undefined) reject(error);
    });
    child.once('exit', (code, signal) => {
      // One that has no number here is no success either.
      resolve({ code: code ?? (signal === null ? EXIT_UNKNOWN : 128 + (constants.signals[signal] ?? EXIT_UNKNOWN - 128)), signal });
    });
  });
}

/** A terminal sends INT to all that run in it, the command included; a second one would be taken for impatience. */
function forward(child: ChildProcess, name: NodeJS.Signals): void {
  if (name === 'SIGINT' && isatty(0)) return;
  child.kill(name);
}

async function end(child: ChildProcess, over: AbortSignal): Promise<void> {
  child.kill('SIGTERM');
  try {
    await nodeSystem.sleep(KILL_AFTER_MS, { signal: over });
    child.kill('SIGKILL');
  } catch {
    // It has ended.
  }
}

function notStarted(program: string, error: NodeJS.ErrnoException): Ended {
  const why = NOT_STARTED[error.code ?? ''] ?? `could not be started: ${error.message}`;
  process.stderr.write(`peat: ${program === '' ? '""' : program}: ${why}\n`);
  return { code: error.code === 'ENOENT' ? EXIT_NOT_FOUND : EXIT_NOT_STARTED, signal: null };
}

/** Whoever started this process sees what it would have seen of the command. Returns only if the signal doesn't kill. */
async function dieOf(signal: NodeJS.Signals): Promise<void> {
  // Node would start its debugger.
  if (signal === 'SIGUSR1') return;
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  await nodeSystem.sleep(1000);
}
