/**
 * What reads and writes must see of each other, in the order of CLOCK_MONOTONIC:
 *
 * - A read of a key finds no version that is older than one which was acknowledged, to any process, before the read began; so each reads
 *   what it wrote itself.
 * - Nor one that is older than what another read has found before it began; so the reads of a store go forwards, through all of its handles and
 *   across what its watches told. The reads of other processes count, too: what one has seen, all see.
 * - A blind write is newer than all that its store has written before (acknowledged, or earlier through the same handle), read, or been told by a
 *   watch.
 * - A watch that is not ended early has told the last version of each key that changed after it began.
 *
 * "Older" is by stamp. What a snapshot shows counts as read when it was taken (`looksOf`).
 */
import { compareStamps, type Stamp } from '../../src/base/stamp.ts';
import { describeOperation, type Operation } from './history.ts';
import { looksOf } from './history-snapshots.ts';
import { isBlind, type Version, type Versions } from './history-versions.ts';

export function sessionProblems(history: readonly Operation[], versions: Versions): string[] {
  const looks = [...looksOf(history)];
  const keys = new Set(looks.flatMap(({ reads }) => Object.keys(reads)));
  return [
    ...[...keys].flatMap((key) => staleReads(history, { key, looks, versions })),
    ...writesOutOfOrder(history, { looks, versions }),
    ...missedChanges(history, versions),
  ];
}

/** Something that tells from a time on that a version, or a newer one, is there. */
interface Floor {
  readonly from: number;
  readonly place: number;
  readonly source: Operation;
}

const isEvent = ({ what }: Operation): boolean => what === 'event';

function staleReads(
  history: readonly Operation[],
  { key, looks, versions }: { key: string; looks: readonly Operation[]; versions: Versions },
): string[] {
  const problems: string[] = [];
  const floors: Floor[] = versions.of(key).map(({ operation }, place) => ({ from: operation.endedAt, place, source: operation }));
  const told = history.filter((one) => isEvent(one) && key in one.reads);
  for (const event of told) {
    const found = versions.find(event, key, event.reads[key] ?? null, 0);
    // Which of several deletions was told is not known: at least the oldest of them.
    if (found !== undefined) floors.push({ from: event.endedAt, place: found.least, source: event });
  }
  floors.sort((a, b) => a.from - b.from);
  const readers = looks.filter((look) => !isEvent(look) && key in look.reads).sort((a, b) => a.invokedAt - b.invokedAt);
  const past = new Queue();
  let floor: Floor | undefined;
  let next = 0;
  for (const reader of readers) {
    for (let one = floors[next]; one !== undefined && one.from < reader.invokedAt; one = floors[++next]) floor = higher(floor, one);
    for (const one of past.until(reader.invokedAt)) floor = higher(floor, one);
    const value = reader.reads[key] ?? null;
    const found = versions.find(reader, key, value, floor?.place);
    if (floor !== undefined && (found === undefined || found.most < floor.place)) {
      problems.push(`${key}: ${describeOperation(reader)} is older than ${describeOperation(floor.source)}`);
    } else if (found !== undefined && found.least >= 0) {
      past.add({ from: reader.endedAt, place: found.least, source: reader });
    }
  }
  return problems;
}

const higher = (a: Floor | undefined, b: Floor): Floor => (a === undefined || b.place > a.place ? b : a);

/** What reads have found, until they have ended. Few overlap, so that a list will do. */
class Queue {
  #open: Floor[] = [];

  add(floor: Floor): void {
    this.#open.push(floor);
  }

  until(time: number): Floor[] {
    const over = this.#open.filter(({ from }) => from < time);
    if (over.length > 0) this.#open = this.#open.filter(({ from }) => from >= time);
    return over;
  }
}

interface Seen {
  readonly at: number;
  readonly stamp: Stamp;
  readonly source: Operation;
}

function writesOutOfOrder(
  history: readonly Operation[],
  { looks, versions }: { looks: readonly Operation[]; versions: Versions },
): string[] {
  const problems: string[] = [];
  for (const client of new Set(history.map((one) => one.client))) {
    const own = history.filter((one) => one.client === client);
    const seen = [...own, ...looks.filter((look) => look.client === client && !own.includes(look))].flatMap((one) => seenBy(one, versions));
    seen.sort((a, b) => a.at - b.at);
    /** The newest that was called before, through each handle. */
    const called = new Map<number | undefined, Seen>();
    let newest: Seen | undefined;
    let next = 0;
    // They were noted in the order of their calls.
    for (const write of own.filter(isBlind)) {
      for (let one = seen[next]; one !== undefined && one.at < write.invokedAt; one = seen[++next]) newest = newer(newest, one);
      const [version] = versions.by(write);
      if (version === undefined) continue;
      const handle = write.details?.handle;
      for (const before of [newest, called.get(handle)]) {
        if (before === undefined || compareStamps(version.stamp, before.stamp) > 0) continue;
        problems.push(`${describeOperation(write)} has an older stamp than ${describeOperation(before.source)}, which came before`);
      }
      called.set(handle, newer(called.get(handle), { at: write.invokedAt, stamp: version.stamp, source: write }));
    }
  }
  return problems;
}

const newer = (a: Seen | undefined, b: Seen): Seen => (a === undefined || compareStamps(b.stamp, a.stamp) > 0 ? b : a);

/** The newest stamp that a client knew of by an operation: what it wrote, and what it read of values. */
function seenBy(operation: Operation, versions: Versions): Seen[] {
  if (operation.outcome !== 'ok') return [];
  const read = Object.entries(operation.reads).flatMap(([key, value]): Version[] => {
    const found = value === null ? undefined : versions.find(operation, key, value);
    const version = found === undefined ? undefined : versions.of(key)[found.most];
    return version === undefined ? [] : [version];
  });
  const known = [...versions.by(operation), ...read].map(({ stamp }): Seen => ({ at: operation.endedAt, stamp, source: operation }));
  const [first, ...others] = known;
  return first === undefined ? [] : [others.reduce<Seen>(newer, first)];
}

/** `watching` is noted when one has begun, `watched` when it has told of everything. */
function missedChanges(history: readonly Operation[], versions: Versions): string[] {
  const problems: string[] = [];
  for (const end of history.filter(({ what }) => what === 'watched')) {
    const own = history.filter(({ client }) => client === end.client);
    const begin = own.find(({ what }) => what === 'watching');
    if (begin === undefined || own.some(({ what }) => what === 'resync')) continue;
    const last = new Map(own.filter(isEvent).flatMap(({ reads }) => Object.entries(reads)));
    for (const key of versions.keys()) {
      const newest = versions.of(key).at(-1);
      if (newest === undefined || newest.operation.invokedAt <= begin.endedAt || last.get(key) === newest.value) continue;
      problems.push(`${key}: the watch of ${end.client} told ${last.get(key)} last, and not ${describeOperation(newest.operation)}`);
    }
  }
  return problems;
}
