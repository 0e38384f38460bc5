/** Runs one trial: prepares, starts the processes together, ends them, checks. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Tender } from '../peers/peer.ts';
import type { Assignment, Part, Said, Told } from './protocol.ts';
import type { Outcome } from './suite.ts';

const ACTOR = fileURLToPath(new URL('./actor.js', import.meta.url));

export interface TrialPlan extends Omit<Assignment, 'part' | 'index'> {
  readonly parts: readonly Part[];
  readonly tender: Tender | undefined;
  /** After this long a trial has failed. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface TrialOutcome {
  /** Of each process of `run`. */
  readonly ran: readonly Outcome[];
  readonly checked: Outcome;
}

/** @throws Error with what the process said that failed. */
export async function runTrial(plan: TrialPlan): Promise<TrialOutcome> {
  const ending = new AbortController();
  const signal = AbortSignal.any([plan.signal, ending.signal]);
  // Each process listens.
  setMaxListeners(0, signal);
  const timer = setTimeout(() => ending.abort(new Error(`took longer than ${plan.timeoutMs / 1000} s`)), plan.timeoutMs);
  try {
    if (plan.parts.includes('prepare')) await runOne(plan, 'prepare', signal);
    const ran = await runTogether(plan, signal);
    const checked = plan.parts.includes('check') ? await runOne(plan, 'check', signal) : {};
    return { ran, checked };
  } finally {
    clearTimeout(timer);
  }
}

async function runOne(plan: TrialPlan, part: Part, signal: AbortSignal): Promise<Outcome> {
  const actor = new Actor(plan, part, 0, signal);
  actor.tell('go');
  try {
    return await actor.outcome;
  } finally {
    // What it still does while it ends (closing files, freeing memory) is not to disturb what comes next.
    await actor.end();
  }
}

async function runTogether(plan: TrialPlan, signal: AbortSignal): Promise<Outcome[]> {
  const tender = plan.tender === undefined ? undefined : await startTender(plan.tender, signal);
  const actors = Array.from({ length: plan.processes }, (_, index) => new Actor(plan, 'run', index, signal));
  const outcomes = Promise.all(actors.map(({ outcome }) => outcome));
  try {
    // One that fails before it is ready ends the wait as well.
    await Promise.race([Promise.all(actors.map(({ ready }) => ready)), outcomes]);
    for (const actor of actors) actor.tell('go');
    await Promise.race([actors[0]?.outcome, outcomes]);
    for (const actor of actors) actor.tell('led');
    return await outcomes;
  } finally {
    await Promise.all(actors.map((actor) => actor.end()));
    if (tender !== undefined) await endTender(tender, signal);
  }
}

/** A process that acts. */
class Actor {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  /** When it waits for the others. */
  readonly ready: Promise<void>;
  readonly outcome: Promise<Outcome>;

  constructor({ parts: _, tender: __, timeoutMs: ___, signal: ____, ...plan }: TrialPlan, part: Part, index: number, signal: AbortSignal) {
    const assignment: Assignment = { ...plan, part, index };
    const child = fork(ACTOR, [JSON.stringify(assignment)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    this.#ended = once(child, 'exit');
    this.ready = new Promise((resolve) => {
      child.on('message', (said: Said) => {
        if ('ready' in said) resolve();
      });
    });
    this.outcome = new Promise((resolve, reject) => {
      const fail = (why: Error): void => {
        child.kill('SIGKILL');
        reject(why);
      };
      const onAbort = (): void => fail(signal.reason as Error);
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
      child.on('message', (said: Said) => {
        if ('outcome' in said) resolve(said.outcome);
        if ('failed' in said) fail(new Error(`${part}: ${said.failed}`));
      });
      child.on('exit', (code, killedBy) => {
        signal.removeEventListener('abort', onAbort);
        reject(new Error(`${part}: a process ended with ${killedBy ?? code}`));
      });
    });
    // Whoever waits for all of them hears of the first that fails.
    this.outcome.catch(() => {});
  }

  tell(told: Told): void {
    if (this.#child.connected) this.#child.send(told, () => {});
  }

  async end(): Promise<void> {
    await Promise.race([this.#ended, delay(1000, undefined, { ref: false })]);
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

async function startTender({ program, args }: Tender, signal: AbortSignal): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'], signal, killSignal: 'SIGKILL' });
  child.on('error', () => {});
  // Its first line says that it works.
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  child.stdout.resume();
  return child;
}

/** @throws Error if it had ended before, and nobody had ended it: then nothing was tended. */
async function endTender(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const { exitCode, signalCode } = child;
  if (signal.aborted) return;
  if (exitCode !== null || signalCode !== null) throw new Error(`what tends the store ended by itself with ${signalCode ?? exitCode}`);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
