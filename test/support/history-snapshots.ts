/**
 * What reads of several keys at one moment must show: `getMany`, snapshots, and what an update of several keys read.
 *
 * - A snapshot does not change: all that is read of it, whenever, agrees.
 * - It is a cut of the history. What it shows has happened, and whatever had been acknowledged before any of that began, or before the look
 *   began, has happened, too. What it shows older versions of has not happened. Nothing is both: so no batch or update is shown in part, and
 *   no later write without an earlier one.
 * - Of two looks one is a part of the other: no two show two concurrent writes in different orders.
 */
import { describeOperation, type Operation, type Value } from './history.ts';
import type { Found, Version, Versions } from './history-versions.ts';

const MOMENTS = new Set(['getMany', 'snapshot', 'updateMany', 'update']);

/** All reads, where what was read of a snapshot counts as read when it was taken. */
export function looksOf(history: readonly Operation[]): Operation[] {
  const shown = new Map<string, Record<string, Value>>();
  for (const { details, reads, outcome } of history) {
    if (details?.view !== undefined && outcome === 'ok') shown.set(details.view, { ...shown.get(details.view), ...reads });
  }
  return history.flatMap((one): Operation[] => {
    if (one.outcome !== 'ok' || one.details?.view !== undefined) return [];
    if (one.what === 'snapshot') return [{ ...one, reads: shown.get(one.id) ?? {} }];
    return Object.keys(one.reads).length > 0 ? [one] : [];
  });
}

export function snapshotProblems(history: readonly Operation[], versions: Versions): string[] {
  const looks = looksOf(history).filter(({ what }) => MOMENTS.has(what));
  const cuts = looks.map((look) => new Cut(look, versions));
  return [...changedSnapshots(history), ...cuts.flatMap((cut) => cut.problems()), ...forks(cuts, versions)];
}

function changedSnapshots(history: readonly Operation[]): string[] {
  const problems: string[] = [];
  const first = new Map<string, Operation>();
  for (const one of history) {
    const view = one.details?.view;
    if (view === undefined || one.outcome !== 'ok') continue;
    for (const [key, value] of Object.entries(one.reads)) {
      const before = first.get(`${view} ${key}`);
      if (before === undefined) first.set(`${view} ${key}`, one);
      else if (before.reads[key] !== value) {
        problems.push(`${key} changed in the snapshot ${view}: ${describeOperation(before)}, ${describeOperation(one)}`);
      }
    }
  }
  return problems;
}

/** What a look says of what had happened. */
class Cut {
  readonly look: Operation;
  readonly found = new Map<string, Found>();
  readonly #versions: Versions;

  constructor(look: Operation, versions: Versions) {
    this.look = look;
    this.#versions = versions;
    for (const [key, value] of Object.entries(look.reads)) {
      // A deletion that is older than an acknowledged version is not what was found.
      const floor = value === null ? acknowledgedBefore(versions.of(key), look.invokedAt) : -1;
      const found = versions.find(look, key, value, floor);
      // What is not there at all is for others to report.
      if (found !== undefined) this.found.set(key, found);
    }
  }

  /** What it is sure to show. */
  #shown(): Version[] {
    return [...this.found].flatMap(([key, { least, most }]) => {
      const version = least === most ? this.#versions.of(key)[least] : undefined;
      return version === undefined ? [] : [version];
    });
  }

  problems(): string[] {
    const shown = this.#shown();
    const torn = shown.flatMap(({ operation }) =>
      this.#versions
        .by(operation)
        .filter((part) => this.#isMissing(part))
        .map((part) => ({ operation, part })),
    );
    const problems = torn.map(
      ({ operation, part }) => `${describeOperation(this.look)} shows a part of ${describeOperation(operation)}, and not its ${part.key}`,
    );
    let cause = this.look;
    for (const { operation } of shown) if (operation.invokedAt > cause.invokedAt) cause = operation;
    for (const [key, { most }] of this.found) {
      const missing = this.#versions.of(key).find(({ operation }, place) => place > most && operation.endedAt < cause.invokedAt);
      if (missing === undefined) continue;
      const because = cause === this.look ? 'had been acknowledged before' : `came before ${describeOperation(cause)}, which it shows`;
      problems.push(`${describeOperation(this.look)} does not show ${describeOperation(missing.operation)}, which ${because}`);
    }
    return problems;
  }

  /** Whether it shows an older version of that key. */
  #isMissing({ key, stamp }: Version): boolean {
    const found = this.found.get(key);
    if (found === undefined) return false;
    return this.#versions.of(key).findIndex((one) => one.stamp === stamp) > found.most;
  }

  /** A key of which this one is sure to show an older version than another. */
  olderThan(other: Cut): string | undefined {
    for (const [key, { most }] of this.found) if ((other.found.get(key)?.least ?? -1) > most) return key;
    return undefined;
  }
}

function acknowledgedBefore(versions: readonly Version[], time: number): number {
  return versions.findLastIndex(({ operation }) => operation.endedAt < time);
}

/** Those that follow one another are compared by what they read; so only looks that overlap are compared here. */
function forks(cuts: readonly Cut[], versions: Versions): string[] {
  const problems: string[] = [];
  const inOrder = [...cuts].sort((a, b) => a.look.invokedAt - b.look.invokedAt);
  let open: Cut[] = [];
  for (const cut of inOrder) {
    open = open.filter(({ look }) => look.endedAt >= cut.look.invokedAt);
    for (const other of open) {
      const [older, newer] = [cut.olderThan(other), other.olderThan(cut)];
      if (older === undefined || newer === undefined) continue;
      const parts = [older, newer].map((key) => versions.of(key)[Math.max(cut.found.get(key)?.most ?? 0, other.found.get(key)?.most ?? 0)]);
      const writes = parts.map((part) => part && describeOperation(part.operation)).join(' and ');
      problems.push(`${describeOperation(cut.look)} and ${describeOperation(other.look)} show ${writes} in different orders`);
    }
    open.push(cut);
  }
  return problems;
}
