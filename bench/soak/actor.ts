/** A process of a soak: `node actor.js <assignment as JSON>`. It works until it is told to stop, or is killed. */
import { setTimeout as delay } from 'node:timers/promises';
import { open, type Store } from '../../src/index.ts';
import { randomFrom } from '../random.ts';
import type { Assignment, Role } from './plan.ts';
import { collect } from './roles/collector.ts';
import { hold } from './roles/holder.ts';
import { poll } from './roles/poller.ts';
import { runCommands } from './roles/shell.ts';
import { update } from './roles/updater.ts';
import { keepWatch } from './roles/watchman.ts';
import { type Report, Telemetry } from './telemetry.ts';

/** What a role is given. */
export interface Actor {
  readonly assignment: Assignment;
  readonly store: Store;
  readonly telemetry: Telemetry;
  readonly random: () => number;
  /** Aborted when it is to end. */
  readonly stop: AbortSignal;
  /** Sleeps, or ends early when it is to stop. */
  readonly pause: (ms: number) => Promise<void>;
}

const ROLES: Readonly<Record<Role, (actor: Actor) => Promise<void>>> = {
  poller: poll,
  updater: update,
  holder: hold,
  collector: collect,
  watchman: keepWatch,
  shell: runCommands,
};

async function main(assignment: Assignment): Promise<void> {
  const telemetry = new Telemetry();
  const stopping = new AbortController();
  const { signal: stop } = stopping;
  process.on('message', () => stopping.abort());
  // An actor that has lost its director would run for ever.
  const orphaned = (): never => process.exit(1);
  process.on('disconnect', orphaned);
  const send = (report: Report): void => void process.send?.(report);
  const reporting = setInterval(() => send(telemetry.take()), assignment.reportMs);
  const pause = (ms: number): Promise<void> => delay(ms, undefined, { signal: stop }).catch(() => {});
  try {
    const store = await open(assignment.store, {
      onWarning: ({ code, message }) => telemetry.problem(`warning ${code}: ${message}`),
    });
    await ROLES[assignment.role]({ assignment, store, telemetry, random: randomFrom(assignment.seed), stop, pause });
    await store.close();
  } catch (error) {
    telemetry.problem(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  clearInterval(reporting);
  process.off('disconnect', orphaned);
  process.send?.(telemetry.take(), () => process.disconnect());
}

await main(JSON.parse(process.argv[2] as string) as Assignment);
