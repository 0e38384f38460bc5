/**
 * Records the waits and holds of a process, for `peat lock audit`. Loaded only where tracing is asked for.
 *
 * A process has one file of its own in the trace's directory, however many stores it opens. A line is written when an attempt is over,
 * or when the process exits; lines are gathered, and written at the latest with the first one that comes a second later, when a
 * store closes, and at the exit. A process that is killed loses what it had gathered. A trace that can't be written warns once, and
 * is given up: it never fails the work.
 *
 * While a lock is held, the process's asynchronous resources tell what it does meanwhile: it starts a process, sets a timer, uses the
 * network as a client. Whose hold that is: where the holder's work runs inside `TracedHold.run` (`withLock`, `update`), what that
 * work begins, directly or later, counts for this hold only. A lock that a program got as a handle has no such
 * bounds, so whatever the process begins anywhere while it is held counts for it. (The engine's own locks never answer for the program's
 * other parts.) Blocking calls (`spawnSync`) make no asynchronous
 * resource and are not seen, except as a long hold.
 *
 * The engine's own timers (beats, pauses between two looks) are not the holder's doing. They all come from `System.sleep`, so the
 * engine is given a `System` that marks them.
 */
import { type AsyncHook, AsyncLocalStorage, createHook } from 'node:async_hooks';
import { resolve } from 'node:path';
import { randomId, type System } from '../base/system.ts';
import { type LineFile, openLineFile } from '../medium/line-files.ts';
import type { LockTracer, TracedHold, TracedLock, TracedWait } from './lock-tracer.ts';
import { nodeProcessFacts } from './process-facts.ts';
import type { Smell, TraceRecord } from './trace-record.ts';

export interface LockTraceOptions {
  readonly directory: string;
  readonly system: System;
  /** Told once if the trace can't be written. */
  readonly onWarning: (message: string, cause: unknown) => void;
}

export interface OpenLockTrace {
  readonly tracer: LockTracer;
  /** The given one, with its sleeps marked as the engine's. */
  readonly system: System;
}

/** What a running piece of code belongs to: some holds, or the engine itself. */
type Scope = 'engine' | ReadonlySet<Hold>;

const scopes = new AsyncLocalStorage<Scope>();

/** Asynchronous resources of Node that are smells. Connections that come in are not: a server's work is not its holder's. */
const SMELL_OF: ReadonlyMap<string, Smell> = new Map([
  ['PROCESSWRAP', 'subprocess'],
  ['Timeout', 'timer'],
  ['TCPCONNECTWRAP', 'network'],
  ['UDPSENDWRAP', 'network'],
  ['GETADDRINFOREQWRAP', 'network'],
  ['GETNAMEINFOREQWRAP', 'network'],
  ['QUERYWRAP', 'network'],
  ['HTTPCLIENTREQUEST', 'network'],
]);

const FLUSH_MS = 1000;
const FLUSH_LINES = 1000;

/** Of this process, by directory. */
const traces = new Map<string, Trace>();

/** Begins to trace, or joins the trace of this process to the same directory. Nothing is written yet. */
export function openLockTracer(options: LockTraceOptions): OpenLockTrace {
  const directory = resolve(options.directory);
  let tracer = traces.get(directory);
  if (tracer === undefined) {
    if (traces.size === 0) process.once('exit', endAll);
    tracer = new Trace({ ...options, directory });
    traces.set(directory, tracer);
  }
  return { tracer, system: markedSystem(options.system) };
}

function endAll(): void {
  for (const trace of traces.values()) trace.end();
}

function markedSystem(system: System): System {
  return {
    wallNowMs: () => system.wallNowMs(),
    wallNowPreciseMs: () => system.wallNowPreciseMs(),
    monotonicNowMs: () => system.monotonicNowMs(),
    sleep: (ms, options) => scopes.run('engine', () => system.sleep(ms, options)),
    sleepSync: (ms) => system.sleepSync(ms),
    randomBytes: (count) => system.randomBytes(count),
    turn: () => system.turn(),
  };
}

class Trace implements LockTracer {
  readonly #system: System;
  readonly #file: LineFile;
  readonly #self: { readonly host: string; readonly pid: number };
  readonly #onWarning: LockTraceOptions['onWarning'];
  readonly #open = new Set<Attempt>();
  readonly #holds = new Set<Hold>();
  readonly #hook: AsyncHook;
  #lines: string[] = [];
  #gatheredSinceMs = 0;
  #isGivenUp = false;

  constructor(options: LockTraceOptions) {
    this.#system = options.system;
    this.#onWarning = options.onWarning;
    const { host, pid } = nodeProcessFacts().self;
    this.#self = { host, pid };
    const start = Math.floor(options.system.wallNowMs());
    // Workers share the process's number, and perhaps the millisecond.
    const name = `${host.replaceAll(/[^A-Za-z0-9.-]/g, '_')}-${pid}-${start}-${randomId(options.system, 6)}`;
    this.#file = openLineFile(options.directory, name);
    this.#hook = createHook({ init: (_id, type) => this.#noteResource(type) });
  }

  wait(lock: TracedLock): TracedWait {
    const attempt: Attempt = { lock, at: this.#system.wallNowMs(), beganMs: this.#system.monotonicNowMs(), hold: undefined };
    this.#open.add(attempt);
    return {
      acquired: (token) => this.#acquired(attempt, token),
      failed: (code) => this.#over(attempt, code),
    };
  }

  flush(): Promise<void> {
    this.#write();
    return Promise.resolve();
  }

  /** At the exit of the process: what is still open ends here. */
  end(): void {
    for (const attempt of this.#open) this.#over(attempt, 'exit');
    this.#write();
  }

  #acquired(attempt: Attempt, token: number): TracedHold {
    const hold: Hold = { token, sinceMs: this.#system.monotonicNowMs(), smells: new Set(), isScoped: isEngines(attempt.lock) };
    attempt.hold = hold;
    if (this.#holds.size === 0) this.#hook.enable();
    this.#holds.add(hold);
    return {
      run: (work) => {
        // What the process did since the turn came was not this work.
        if (!hold.isScoped) hold.smells.clear();
        hold.isScoped = true;
        const outer = scopes.getStore();
        return scopes.run(new Set([...(outer instanceof Set ? outer : []), hold]), work);
      },
      released: (how) => this.#over(attempt, how),
    };
  }

  #noteResource(type: string): void {
    const smell = SMELL_OF.get(type);
    if (smell === undefined) return;
    const scope = scopes.getStore();
    if (scope === 'engine') return;
    for (const hold of this.#holds) {
      if (!hold.isScoped || scope?.has(hold) === true) hold.smells.add(smell);
    }
  }

  /** Only the first end of an attempt counts: a lock that was lost is given back, too. */
  #over(attempt: Attempt, outcome: string): void {
    if (!this.#open.delete(attempt)) return;
    const { hold } = attempt;
    if (hold !== undefined && this.#holds.delete(hold) && this.#holds.size === 0) this.#hook.disable();
    if (this.#isGivenUp) return;
    const nowMs = this.#system.monotonicNowMs();
    if (this.#lines.length === 0) this.#gatheredSinceMs = nowMs;
    this.#lines.push(`${JSON.stringify(this.#record(attempt, { outcome, nowMs }))}\n`);
    if (this.#lines.length >= FLUSH_LINES || nowMs - this.#gatheredSinceMs >= FLUSH_MS) this.#write();
  }

  #record({ lock, at, beganMs, hold }: Attempt, end: { outcome: string; nowMs: number }): TraceRecord {
    return {
      ...this.#self,
      at: Math.floor(at),
      site: lock.site.id,
      name: lock.name,
      mode: lock.mode,
      callSite: lock.callSite ?? null,
      outcome: end.outcome,
      waitMs: toMicroseconds((hold?.sinceMs ?? end.nowMs) - beganMs),
      holdMs: hold === undefined ? null : toMicroseconds(end.nowMs - hold.sinceMs),
      token: hold?.token ?? null,
      smells: [...(hold?.smells ?? [])],
    };
  }

  #write(): void {
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length === 0 || this.#isGivenUp) return;
    try {
      this.#file.append(lines.join(''));
    } catch (error) {
      this.#isGivenUp = true;
      this.#onWarning(`locks are no longer traced: ${(error as Error).message}`, error);
    }
  }
}

interface Hold {
  readonly token: number;
  readonly sinceMs: number;
  readonly smells: Set<Smell>;
  /** Only what runs in `TracedHold.run` is its work. */
  isScoped: boolean;
}

interface Attempt {
  readonly lock: TracedLock;
  readonly at: number;
  readonly beganMs: number;
  hold: Hold | undefined;
}

function isEngines({ site: { kind } }: TracedLock): boolean {
  return kind === 'stripe' || kind === 'compactor';
}

/** Rounds to what a clock can tell. */
function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
