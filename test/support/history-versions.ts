/**
 * The versions of each key that a history made, in the order of their stamps, and what each read found among them.
 *
 * The stamps of blind writes are those of the log, which was kept. That of an update is the immediate successor of what it read (rule B7),
 * and so is known without its record. A value says who wrote it; a key that reads as missing was never written, or one of its
 * deletions is the newest: which one is often open, so what a read found is a range of versions.
 */
import { compareStamps, NO_WRITER, type Stamp } from '../../src/base/stamp.ts';
import { describeOperation, type Operation, type Value } from './history.ts';
import type { LoggedBatch } from './log-archive.ts';

export interface Version {
  readonly operation: Operation;
  readonly key: string;
  readonly value: Value;
  readonly stamp: Stamp;
}

/** What a read found of one key: one of the versions from `least` to `most`, by their places in the order; -1: none. */
export interface Found {
  readonly least: number;
  readonly most: number;
}

export class Versions {
  readonly #byKey = new Map<string, Version[]>();
  readonly #places = new Map<string, Map<Value, number>>();
  readonly #ofOperation = new Map<Operation, Version[]>();

  constructor(versions: readonly Version[]) {
    for (const version of versions) {
      push(this.#byKey, version.key, version);
      push(this.#ofOperation, version.operation, version);
    }
    for (const [key, own] of this.#byKey) {
      own.sort((a, b) => compareStamps(a.stamp, b.stamp));
      this.#places.set(key, new Map(own.flatMap(({ value }, place) => (value === null ? [] : [[value, place] as const]))));
    }
  }

  /** In the order of their stamps. */
  of(key: string): readonly Version[] {
    return this.#byKey.get(key) ?? [];
  }

  by(operation: Operation): readonly Version[] {
    return this.#ofOperation.get(operation) ?? [];
  }

  keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  /**
   * Where what a read found stands, among those that are not older than `floor`. Undefined if nothing there is what was found.
   */
  find({ endedAt }: Pick<Operation, 'endedAt'>, key: string, value: Value, floor = -1): Found | undefined {
    const versions = this.of(key);
    if (value !== null) {
      const place = this.#places.get(key)?.get(value);
      if (place === undefined || (versions[place] as Version).operation.invokedAt > endedAt) return undefined;
      return { least: place, most: place };
    }
    const candidates = floor < 0 ? [-1] : [];
    for (let place = Math.max(floor, 0); place < versions.length; place++) {
      const { value: deleted, operation } = versions[place] as Version;
      if (deleted === null && operation.invokedAt <= endedAt) candidates.push(place);
    }
    const [least] = candidates;
    return least === undefined ? undefined : { least, most: candidates.at(-1) as number };
  }
}

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

export const isBlind = ({ what, reads, writes }: Operation): boolean =>
  what !== 'final' && Object.keys(writes).length > 0 && Object.keys(reads).length === 0;

const isUpdate = ({ reads, writes }: Operation): boolean => Object.keys(writes).length > 0 && Object.keys(reads).length > 0;

/** What blind writes and the log say of each other, and the versions that come of both. */
export function versionsOf(history: readonly Operation[], log: readonly LoggedBatch[]): { versions: Versions; problems: string[] } {
  const matched = matchLog(history, log);
  const found: Version[] = [];
  for (const [operation, { stamp, writes }] of matched.batches) {
    for (const [key, value] of Object.entries(writes)) found.push({ operation, key, value, stamp });
  }
  const updated = updatesOf(history, found);
  return { versions: new Versions([...found, ...updated.versions]), problems: [...matched.problems, ...updated.problems] };
}

const textOf = (writes: Readonly<Record<string, Value>>): string =>
  JSON.stringify(Object.entries(writes).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Finds each blind write in the log. What has no token, since nobody was told, is known by its values, or, where it only deletes, by its keys. */
function matchLog(
  history: readonly Operation[],
  log: readonly LoggedBatch[],
): { batches: Map<Operation, LoggedBatch>; problems: string[] } {
  const problems: string[] = [];
  const batches = new Map<Operation, LoggedBatch>();
  // In a framed segment all batches of an object end at the same place.
  const left = new Map<string, LoggedBatch[]>();
  for (const batch of log) push(left, `${batch.segment}@${batch.end}`, batch);
  const untold = new Map<string, Operation[]>();
  for (const operation of history.filter(isBlind)) {
    const token = operation.details?.token;
    if (operation.outcome !== 'ok' || token === undefined) {
      if (operation.outcome === 'unknown') push(untold, textOf(operation.writes), operation);
      continue;
    }
    const place = token.slice(token.indexOf(':') + 1);
    const there = left.get(place) ?? [];
    const at = there.findIndex(({ writes }) => textOf(writes) === textOf(operation.writes));
    const [batch] = at < 0 ? [] : there.splice(at, 1);
    if (batch !== undefined) batches.set(operation, batch);
    else
      problems.push(
        `the log has ${there.map(({ writes }) => textOf(writes)).join(', ') || 'nothing'} at ${place}, not the whole of ${describeOperation(operation)}`,
      );
  }
  const others = [...left.values()].flat().sort((a, b) => compareStamps(a.stamp, b.stamp));
  for (const batch of others) {
    // Where several that are the same are possible, the earliest that is left allows for more.
    const operation = untold.get(textOf(batch.writes))?.shift();
    if (operation === undefined)
      problems.push(`nobody wrote ${textOf(batch.writes)}, which is in the log at ${batch.segment}@${batch.end}`);
    else batches.set(operation, batch);
  }
  return { batches, problems };
}

/** The versions that updates made: of those whose outcome nobody knows, the ones that somebody has read. */
function updatesOf(history: readonly Operation[], blind: readonly Version[]): { versions: Version[]; problems: string[] } {
  const problems: string[] = [];
  const seen = new Set(
    history.flatMap(({ reads, outcome }) => (outcome === 'fail' ? [] : Object.entries(reads).map(([key, value]) => `${key}=${value}`))),
  );
  const stamps = new Map<string, Stamp>(
    blind.flatMap(({ key, value, stamp }) => (value === null ? [] : [[`${key}=${value}`, stamp] as const])),
  );
  const updates = history
    .filter((one) => isUpdate(one) && one.outcome !== 'fail')
    .flatMap((operation) =>
      Object.entries(operation.writes)
        .filter(([key, value]) => operation.outcome === 'ok' || seen.has(`${key}=${value}`))
        .map(([key, value]) => ({ operation, key, value })),
    );
  // Each follows what it read; they are gone through from that on.
  const following = new Map<string, typeof updates>();
  const ready: typeof updates = [];
  for (const update of updates) {
    const read = update.operation.reads[update.key] ?? null;
    if (read === null || stamps.has(`${update.key}=${read}`)) ready.push(update);
    else push(following, `${update.key}=${read}`, update);
  }
  const versions: Version[] = [];
  for (const update of ready) {
    const { operation, key, value } = update;
    const { time, writer, sub } = stamps.get(`${key}=${operation.reads[key] ?? null}`) ?? { time: 0, writer: NO_WRITER, sub: 0 };
    const stamp = { time, writer, sub: sub + 1 };
    versions.push({ ...update, stamp });
    stamps.set(`${key}=${value}`, stamp);
    for (const next of following.get(`${key}=${value}`) ?? []) ready.push(next);
    following.delete(`${key}=${value}`);
  }
  for (const [value, lost] of following) {
    for (const { operation } of lost) problems.push(`nobody wrote ${value}, which was read: ${describeOperation(operation)}`);
  }
  return { versions, problems };
}
