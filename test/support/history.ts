/**
 * What clients did to some keys, and what they were told: operations with the times of their beginning and end. All times are of one
 * clock, CLOCK_MONOTONIC, which the processes of a machine share.
 *
 * A client notes each step in a file of its own *before* it goes on: the invocation, each run of an update's function (`try`: what it read and
 * what it wants to write), and the end. So what a killed client had under way is known, and when. An operation that ended `ok` had the effect
 * of its last try; `fail`: it had none, ever; without an end, or ended `unknown`: the effect of its last try at any time after its
 * invocation, or none. An earlier try has no effect in any case: it was run again because it had lost.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A value as text, so that two of them are easily told apart; null where there is none. */
export type Value = string | null;
export type Values = Readonly<Record<string, Value>>;

/** What else is known of an operation, beside what it read and wrote. */
export interface Details {
  /** Which of the store's handles on the namespace it went through. */
  readonly handle?: number;
  /** The operation that took the snapshot which was read. */
  readonly view?: string;
  /** Where the batch stands, as the caller was told. */
  readonly token?: string;
  /** Of a lock: what was asked for (`[]`: the structural lock), and the fencing numbers that were got. */
  readonly names?: readonly string[];
  readonly mode?: 'exclusive' | 'shared';
  readonly tokens?: readonly number[];
  /** The operation that got the lock which was given back, or lost. */
  readonly hold?: string;
  /** The tickets that were seen under each lock. */
  readonly tickets?: Readonly<Record<string, readonly number[]>>;
}

export interface Operation {
  readonly id: string;
  readonly client: string;
  /** For people: "update", "put" ... */
  readonly what: string;
  readonly invokedAt: number;
  /** Infinity if the outcome is not known. */
  readonly endedAt: number;
  readonly outcome: 'ok' | 'fail' | 'unknown';
  /** Why it failed, or isn't known. */
  readonly code?: string | undefined;
  /** The keys that it read, with what it found there, all at the moment when it took effect. */
  readonly reads: Values;
  readonly writes: Values;
  /** Of a single key, where the client was told: the version that it read or wrote. */
  readonly stamp?: string | undefined;
  readonly details?: Details;
}

interface Effect {
  readonly reads?: Values;
  readonly writes?: Values;
}

/** A line of a client's file. `at` in nanoseconds. */
export type HistoryLine =
  | ({ readonly step: 'invoke'; readonly id: string; readonly at: number; readonly what: string; readonly details?: Details } & Effect)
  | ({ readonly step: 'try'; readonly id: string } & Effect)
  | ({ readonly step: 'ok'; readonly id: string; readonly at: number; readonly stamp?: string; readonly details?: Details } & Effect)
  | { readonly step: 'fail' | 'unknown'; readonly id: string; readonly at: number; readonly code: string };

interface Draft {
  readonly invoke: HistoryLine & { step: 'invoke' };
  effect: Effect;
  end: (HistoryLine & { step: 'ok' | 'fail' | 'unknown' }) | undefined;
}

/** The operations that a client noted. A last line that a kill cut off does not count. */
export function parseHistory(client: string, text: string): Operation[] {
  const drafts = new Map<string, Draft>();
  for (const line of text.split('\n').slice(0, -1)) {
    const noted = JSON.parse(line) as HistoryLine;
    if (noted.step === 'invoke') {
      if (drafts.has(noted.id)) throw new Error(`${client} began ${noted.id} twice`);
      drafts.set(noted.id, { invoke: noted, effect: noted, end: undefined });
      continue;
    }
    const draft = drafts.get(noted.id);
    if (draft === undefined || draft.end !== undefined) throw new Error(`${client}: ${noted.step} of ${noted.id}, which is not under way`);
    if (noted.step === 'try') draft.effect = noted;
    else draft.end = noted;
    if (noted.step === 'ok' && (noted.reads ?? noted.writes) !== undefined) draft.effect = noted;
  }
  return [...drafts.values()].map((draft) => toOperation(client, draft));
}

function toOperation(client: string, { invoke, effect, end }: Draft): Operation {
  const outcome = end?.step ?? 'unknown';
  const details = { ...invoke.details, ...(end?.step === 'ok' ? end.details : {}) };
  return {
    id: `${client}/${invoke.id}`,
    client,
    what: invoke.what,
    invokedAt: invoke.at,
    endedAt: end === undefined || outcome === 'unknown' ? Number.POSITIVE_INFINITY : end.at,
    outcome,
    code: end !== undefined && 'code' in end ? end.code : undefined,
    reads: effect.reads ?? {},
    writes: effect.writes ?? {},
    stamp: end?.step === 'ok' ? end.stamp : undefined,
    ...(Object.keys(details).length > 0 ? { details } : {}),
  };
}

/** The operations of all clients, each of which wrote a file `<client>.history` in this directory. */
export function readHistories(directory: string): Operation[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.history'));
  return files.sort().flatMap((name) => parseHistory(name.slice(0, -'.history'.length), readFileSync(join(directory, name), 'utf8')));
}

/** `3 ok … 5 ok p2/17 update {a: 4} → {a: 5}`, for people. */
export function describeOperation({ id, what, reads, writes, outcome, invokedAt, endedAt, code, details }: Operation): string {
  const more = details === undefined ? '' : ` ${JSON.stringify(details)}`;
  const end = endedAt === Number.POSITIVE_INFINITY ? '…' : endedAt;
  const why = code === undefined ? '' : ` (${code})`;
  return `[${invokedAt}, ${end}] ${id} ${what} ${JSON.stringify(reads)} → ${JSON.stringify(writes)} ${outcome}${why}${more}`;
}

/** A client's file `<client>.history`, as text. The inverse of `parseHistory`, for tests. */
export function formatHistory(lines: readonly HistoryLine[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}
