/**
 * What must hold for the set of all writes of a history, whenever they are read:
 *
 * - Nothing that was acknowledged is lost, and each batch stands in the log as a whole, with what was asked for and nothing else.
 * - Nothing is read that nobody wrote, or that was written later.
 * - A version has one stamp, and everybody is told the same.
 * - At the end, each key has the version with the newest stamp, deletions included, before and after a compaction: so nothing deleted comes
 *   back, and nothing that lost wins.
 *
 * (`versionsOf` finds what the log and the acknowledgements say of each other.)
 */
import { stampText } from '../../src/datastore/update.ts';
import { describeOperation, type Operation, type Value } from './history.ts';
import { isBlind, type Versions } from './history-versions.ts';

/** A read at the end, when nothing is under way. */
export const FINAL = 'final';

export function setProblems(history: readonly Operation[], versions: Versions): string[] {
  const readers = history.filter(({ reads, outcome }) => outcome === 'ok' && Object.keys(reads).length > 0);
  return [
    ...readers.flatMap((reader) => outOfNowhere(reader, versions)),
    ...readers.flatMap((reader) => otherStamp(reader, versions)),
    ...readers.filter(({ what }) => what === FINAL).flatMap((reader) => notTheNewest(reader, versions)),
    ...history.filter((one) => isBlind(one) && one.outcome === 'ok').flatMap((one) => severalStamps(one, versions)),
  ];
}

function outOfNowhere(reader: Operation, versions: Versions): string[] {
  const wrong = Object.entries(reader.reads).filter(([key, value]) => value !== null && versions.find(reader, key, value) === undefined);
  return wrong.map(([key, value]) => `${key}: ${value} came out of nowhere: ${describeOperation(reader)}`);
}

/** Of a single key, what was told of its stamp. An update is told that of what it wrote. */
function otherStamp(operation: Operation, versions: Versions): string[] {
  const { stamp, writes, reads } = operation;
  const [told, ...others] = Object.entries(Object.keys(writes).length > 0 ? writes : reads);
  if (stamp === undefined || told === undefined || others.length > 0) return [];
  const [key, value] = told;
  const version = versions.of(key).find((one) => one.value === value);
  if (version === undefined || stampText(version.stamp) === stamp) return [];
  return [`${key}: the stamp ${stamp} was told, and it is ${stampText(version.stamp)}: ${describeOperation(operation)}`];
}

function notTheNewest(reader: Operation, versions: Versions): string[] {
  const problems: string[] = [];
  for (const [key, value] of Object.entries(reader.reads)) {
    const newest = versions.of(key).at(-1);
    const expected: Value = newest?.value ?? null;
    if (value === expected) continue;
    const from = newest === undefined ? 'nobody wrote it' : describeOperation(newest.operation);
    problems.push(`${key}: at the end it is ${value}, although ${expected} is the newest: ${from}`);
  }
  return problems;
}

function severalStamps(operation: Operation, versions: Versions): string[] {
  const own = versions.by(operation);
  const stamps = new Set(own.map(({ stamp }) => stampText(stamp)));
  const isWhole = own.length === Object.keys(operation.writes).length;
  return isWhole && stamps.size === 1 ? [] : [`it did not take effect once and as a whole: ${describeOperation(operation)}`];
}
