/** The processes of a soak: actors and compactors, of which one is killed now and then and started again. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { residentBytes } from './census.ts';
import { ACTORS, type Assignment, COMPACTORS, KILLED, namesOf, type Role } from './plan.ts';
import { ACTOR, PEAT } from './program.ts';
import type { Report } from './telemetry.ts';

/** An actor, or a compactor, through all of its lives. */
interface Member {
  readonly kind: Role | 'compactor';
  readonly start: () => ChildProcess;
  child: ChildProcess;
}

export interface CastOptions {
  readonly store: string;
  readonly journals: string;
  readonly seed: number;
  readonly reportMs: number;
  readonly onReport: (report: Report) => void;
}

export class Cast {
  readonly #options: CastOptions;
  readonly #members: Member[] = [];
  #lives = 0;
  #isEnding = false;

  constructor(options: CastOptions) {
    this.#options = options;
  }

  start(): void {
    for (let i = 0; i < COMPACTORS; i++) this.#add('compactor', () => this.#startCompactor());
    for (const role of Object.keys(ACTORS) as Role[]) {
      for (const name of namesOf(role)) this.#add(role, () => this.#startActor(role, name));
    }
  }

  #add(kind: Member['kind'], start: () => ChildProcess): void {
    this.#members.push({ kind, start, child: start() });
  }

  /** Kills one of those that are to be killed, and starts it again. Says which. */
  async killOne(random: () => number): Promise<Member['kind']> {
    const mortal = this.#members.filter(({ kind }) => kind === 'compactor' || KILLED.includes(kind));
    const member = mortal[Math.floor(mortal.length * random())] as Member;
    await endOf(member.child, (child) => child.kill('SIGKILL'));
    if (!this.#isEnding) member.child = member.start();
    return member.kind;
  }

  /** The largest process of each kind, in MB. */
  memory(): Record<string, number> {
    const largest: Record<string, number> = {};
    for (const { kind, child } of this.#members) {
      const bytes = child.pid === undefined ? undefined : residentBytes(child.pid);
      if (bytes !== undefined) largest[`${kind}, MB`] = Math.max(bytes / 1e6, largest[`${kind}, MB`] ?? 0);
    }
    return largest;
  }

  /** Tells all actors to end, and after them the compactors. Resolves when they have. */
  async end(): Promise<void> {
    this.#isEnding = true;
    const isCompactor = ({ kind }: Member): boolean => kind === 'compactor';
    const [compactors, actors] = [this.#members.filter(isCompactor), this.#members.filter((member) => !isCompactor(member))];
    await this.#endAll(actors, (child) => child.send('stop'));
    await this.#endAll(compactors, (child) => child.kill('SIGTERM'));
  }

  async #endAll(members: readonly Member[], tell: (child: ChildProcess) => void): Promise<void> {
    await Promise.all(
      members.map(async ({ kind, child }) => {
        await endOf(child, tell);
        if (child.exitCode !== 0) this.#problem(`a ${kind} ended with ${child.exitCode ?? child.signalCode}`);
      }),
    );
  }

  #problem(text: string): void {
    this.#options.onReport({ latencies: {}, problems: [text] });
  }

  #startActor(role: Role, name: string): ChildProcess {
    const { store, journals, seed, reportMs, onReport } = this.#options;
    const assignment: Assignment = { role, name, store, journals, reportMs, seed: seed + ++this.#lives };
    const child = fork(ACTOR, [JSON.stringify(assignment)]);
    child.on('message', (report) => onReport(report as Report));
    // Nobody but the soak itself kills by SIGKILL; what ends by itself before it is told to has failed.
    child.on('exit', (code, signal) => {
      if (!this.#isEnding && signal !== 'SIGKILL') this.#problem(`${name} ended with ${code ?? signal}`);
    });
    return child;
  }

  #startCompactor(): ChildProcess {
    const child = spawn(process.execPath, [PEAT, 'compactor', this.#options.store, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: child.stdout }).on('line', (line) => this.#onCompactorLine(line));
    createInterface({ input: child.stderr }).on('line', (line) => this.#problem(`a compactor says ${line}`));
    return child;
  }

  #onCompactorLine(line: string): void {
    const { event, message, durationMs, lagMs } = JSON.parse(line) as {
      event: string;
      message?: string;
      durationMs: number;
      lagMs: number;
    };
    if (event === 'failed' || event === 'warning') this.#problem(`compactor ${event}: ${message}`);
    if (event === 'pass')
      this.#options.onReport({ latencies: { 'compaction pass': [durationMs], 'compaction lag': [lagMs] }, problems: [] });
  }
}

/** Tells it to end, and waits for that; at once where it has ended. */
async function endOf(child: ChildProcess, tell: (child: ChildProcess) => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  tell(child);
  await ended;
}
