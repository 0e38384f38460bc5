/** The checks of sets, sessions and snapshots accept what a true store does, and find what is changed in it. PEAT_SEED repeats a run. */
import { describe, expect, it } from 'vitest';
import { testSeed } from '../../support/child.ts';
import { describeOperation, type Operation, type Value } from '../../support/history.ts';
import { sessionProblems } from '../../support/history-sessions.ts';
import { setProblems } from '../../support/history-sets.ts';
import { snapshotProblems } from '../../support/history-snapshots.ts';
import { type TrueHistory, trueHistory } from '../../support/history-true.ts';
import { type Versions, versionsOf } from '../../support/history-versions.ts';
import type { LoggedBatch } from '../../support/log-archive.ts';
import { randomFrom } from '../../support/random.mjs';

const RUNS = 8;
const seed = testSeed();

interface Problems {
  readonly sets: readonly string[];
  readonly sessions: readonly string[];
  readonly snapshots: readonly string[];
}

function check({ operations, log }: TrueHistory): Problems {
  const { versions, problems } = versionsOf(operations, log);
  return {
    sets: [...problems, ...setProblems(operations, versions)],
    sessions: sessionProblems(operations, versions),
    snapshots: snapshotProblems(operations, versions),
  };
}

type Change = (history: TrueHistory, any: <T>(some: readonly T[]) => T | undefined, versions: Versions) => TrueHistory | undefined;

/** Changes one thing in each of some random histories, and expects that this check finds it. */
function plant(name: keyof Problems, problem: string, change: Change): void {
  for (let run = 0; run < RUNS; run++) {
    const random = randomFrom(seed + run);
    let changed: TrueHistory | undefined;
    while (changed === undefined) {
      const history = trueHistory(random, 400);
      const { versions } = versionsOf(history.operations, history.log);
      changed = change(history, (some) => some[Math.floor(random() * some.length)], versions);
    }
    expect(check(changed)[name], `PEAT_SEED=${seed}, run ${run}`).toEqual(expect.arrayContaining([expect.stringContaining(problem)]));
  }
}

/** The token that the one who wrote a batch was given, if anybody was: batches of two segments may end at the same place. */
const tokenOf = ({ segment, end }: LoggedBatch): string => `mixed:${segment}@${end}`;

/** Of other batches nobody was told where they are. */
function toldOf({ operations, log }: TrueHistory): LoggedBatch[] {
  return log.filter((batch) => operations.some(({ details }) => details?.token === tokenOf(batch)));
}

function replace({ operations, log }: TrueHistory, old: Operation, by: Partial<Operation>): TrueHistory {
  return { operations: operations.map((one) => (one === old ? { ...one, ...by } : one)), log };
}

function withRead(history: TrueHistory, reader: Operation, key: string, value: Value): TrueHistory {
  return replace(history, reader, { reads: { ...reader.reads, [key]: value } });
}

/** Reads of values that were not the first of their keys, with the value before, where both were acknowledged before the read. */
function overtaken(
  history: TrueHistory,
  versions: Versions,
  whats: readonly string[],
): { reader: Operation; key: string; before: Value }[] {
  return history.operations
    .filter(({ what }) => whats.includes(what))
    .flatMap((reader) =>
      Object.entries(reader.reads).flatMap(([key, value]) => {
        const own = versions.of(key);
        const place = value === null ? -1 : own.findIndex((one) => one.value === value);
        const before = own[place - 1];
        const isSure = before !== undefined && before.value !== null && own[place] !== undefined;
        return isSure && (own[place]?.operation.endedAt ?? 0) < reader.invokedAt ? [{ reader, key, before: before.value }] : [];
      }),
    );
}

const isWrite = ({ what, outcome }: Operation): boolean => outcome === 'ok' && ['put', 'delete', 'batch'].includes(what);

it('the history of a true store has no problems', () => {
  for (let run = 0; run < 20; run++) {
    const history = trueHistory(randomFrom(seed + run), 600);
    const found = check(history);
    expect(found, `PEAT_SEED=${seed}, run ${run}`).toEqual({ sets: [], sessions: [], snapshots: [] });
  }
});

describe('the check of sets finds', () => {
  it('an acknowledged write that is lost', () => {
    plant('sets', 'not the whole of', ({ operations, log }, any) => {
      const lost = any(toldOf({ operations, log }));
      return { operations, log: log.filter((one) => one !== lost) };
    });
  });

  it('a part of a batch', () => {
    plant('sets', 'not the whole of', ({ operations, log }, any) => {
      const whole = any(toldOf({ operations, log }).filter(({ writes }) => Object.keys(writes).length > 1));
      const writes = Object.fromEntries(Object.entries(whole?.writes ?? {}).slice(1));
      return { operations, log: log.map((one) => (one === whole ? { ...one, writes } : one)) };
    });
  });

  it('a write that nobody asked for', () => {
    plant('sets', 'nobody wrote', ({ operations, log }) => {
      const stamp = { time: 1, writer: 'x', sub: 0 };
      return { operations, log: [...log, { segment: 'another', end: 1, stamp, writes: { d0: 'x' } }] };
    });
  });

  it('a value that nobody wrote', () => {
    plant('sets', 'came out of nowhere', (history, any) => {
      const reader = any(history.operations.filter(({ what }) => what === 'scan'));
      return reader && withRead(history, reader, 'd1', 'x');
    });
  });

  it('a value that was read before it was written', () => {
    plant('sets', 'came out of nowhere', (history, any, versions) => {
      const reader = any(history.operations.filter(({ what }) => what === 'scan'));
      const later = versions.of('d1').find(({ value, operation }) => value !== null && operation.invokedAt > (reader?.endedAt ?? 0));
      return reader && later && withRead(history, reader, 'd1', later.value);
    });
  });

  it('a key that comes back at the end, and one that lost and shows', () => {
    plant('sets', 'is the newest', (history, any, versions) => {
      const key = any(['d0', 'd1', 'd2', 'd3']) as string;
      const old = any(versions.of(key).slice(0, -1));
      const reader = history.operations.find(({ what }) => what === 'final');
      return reader && old && old.value !== versions.of(key).at(-1)?.value ? withRead(history, reader, key, old.value) : undefined;
    });
  });

  it('a stamp that is another one than the log has', () => {
    plant('sets', 'was told, and it is', (history, any) => {
      const [one, other] = [any, any].map((pick) => pick(history.operations.filter(({ what, stamp }) => what === 'getEntry' && stamp)));
      return one && other?.stamp && other.stamp !== one.stamp ? replace(history, one, { stamp: other.stamp }) : undefined;
    });
  });
});

describe('the check of sessions finds', () => {
  it.each(['get', 'getEntry', 'scan', 'getMany'])('a stale %s', (what) => {
    plant('sessions', 'is older than', (history, any, versions) => {
      const chosen = any(overtaken(history, versions, [what]));
      return chosen && withRead(history, chosen.reader, chosen.key, chosen.before);
    });
  });

  it('a snapshot that lacks what was acknowledged before it was taken', () => {
    plant('sessions', 'is older than', (history, any, versions) => {
      const chosen = any(overtaken(history, versions, ['snapshot scan']).filter(({ reader }) => reader.id.endsWith('-2')));
      const view = chosen?.reader.details?.view;
      const { key, before } = chosen ?? {};
      if (key === undefined || before === undefined) return undefined;
      const isAcknowledged = acknowledged(
        versions,
        key,
        chosen?.reader.reads[key] ?? null,
        history.operations.find(({ id }) => id === view),
      );
      if (!isAcknowledged) return undefined;
      const operations = history.operations.map((one) =>
        one.details?.view === view ? { ...one, reads: { ...one.reads, [key]: before } } : one,
      );
      return { ...history, operations };
    });
  });

  it('a deleted key that comes back', () => {
    plant('sessions', 'is older than', (history, any, versions) => {
      const reader = any(history.operations.filter(({ what, reads }) => what === 'get' && Object.values(reads)[0] === null));
      const [key = ''] = Object.keys(reader?.reads ?? {});
      const before = versions.of(key).findLastIndex(({ operation }) => operation.endedAt < (reader?.invokedAt ?? 0));
      const back = versions.of(key)[before - 1];
      return reader && back?.value ? withRead(history, reader, key, back.value) : undefined;
    });
  });

  it('a read that goes back behind one that saw a write which nobody acknowledged', () => {
    const [write, first, second] = [
      { ...operation('p', 'put', [0, 1]), writes: { d0: 'a' }, details: { token: 'mixed:s@0' } },
      { ...operation('p', 'put', [2, Number.POSITIVE_INFINITY]), writes: { d0: 'b' } },
      { ...operation('q', 'get', [3, 4]), reads: { d0: 'b' } },
    ];
    const log = ['a', 'b'].map((value, i) => ({
      segment: 's',
      end: i,
      stamp: { time: i + 1, writer: 'p', sub: 0 },
      writes: { d0: value },
    }));
    const read = (value: string): TrueHistory => ({
      operations: [write, first, second, { ...operation('r', 'get', [5, 6]), reads: { d0: value } }] as Operation[],
      log,
    });
    expect(check(read('b')).sessions).toEqual([]);
    expect(check(read('a')).sessions).toEqual([expect.stringContaining('is older than')]);
  });

  it('a read that is older than what a watch told', () => {
    plant('sessions', 'is older than', (history, any, versions) => {
      // Nobody has acknowledged it, so that the watch alone tells of it.
      const events = history.operations.filter(({ what, reads }) => what === 'event' && Object.values(reads)[0] !== null);
      const event = any(events);
      const [key, value] = Object.entries(event?.reads ?? {})[0] ?? ['', null];
      const place = versions.of(key).findIndex((one) => one.value === value);
      const before = versions.of(key)[place - 1];
      if (event === undefined || !before?.value) return undefined;
      const reader = { ...operation('r', 'get', [event.endedAt + 0.001, event.endedAt + 0.002]), reads: { [key]: before.value } };
      const { operations, log } = replace(history, versions.of(key)[place]?.operation as Operation, {
        outcome: 'unknown',
        endedAt: Infinity,
      });
      return { operations: [...operations, reader].filter(({ what }) => what !== 'getMany'), log };
    });
  });

  it('writes of one store that take effect in another order', () => {
    plant('sessions', 'has an older stamp than', ({ operations, log }, any) => {
      const client = any(['p0.0', 'p1.0', 'p2.0']);
      const [first, second] = log.filter(({ segment }) => segment === `segment-${client}`);
      if (first === undefined || second === undefined) return undefined;
      const swapped = log.map((one) =>
        one === first ? { ...one, stamp: second.stamp } : one === second ? { ...one, stamp: first.stamp } : one,
      );
      return { operations, log: swapped };
    });
  });

  it('a write that is older than what its store has read', () => {
    plant('sessions', 'has an older stamp than', (history, any, versions) => {
      const { operations, log } = history;
      const write = any(operations.filter((one) => isWrite(one)));
      const read = operations.findLast(
        ({ client, what, outcome, endedAt }) =>
          client === write?.client && what === 'scan' && outcome === 'ok' && endedAt < write.invokedAt,
      );
      // Which of several deletions a read has found nobody can tell.
      const found = Object.entries(read?.reads ?? {}).filter(([, value]) => value !== null);
      const seen = Math.max(...found.map(([key, value]) => versions.of(key).find((one) => one.value === value)?.stamp.time ?? 0));
      const batch = log.find((one) => write?.details?.token === tokenOf(one));
      if (batch === undefined || seen <= 1) return undefined;
      return { operations, log: log.map((one) => (one === batch ? { ...one, stamp: { ...one.stamp, time: seen - 1 } } : one)) };
    });
  });

  it('a change that a watch did not tell', () => {
    plant('sessions', 'the watch of watcher told', ({ operations, log }, any) => {
      const key = any(['d0', 'd1', 'd2', 'd3', 'c0', 'c1']) as string;
      const [before, last] = operations.filter(({ what, reads }) => what === 'event' && key in reads).slice(-2);
      // Of two deletions in a row the second one need not be told.
      if (last === undefined || before?.reads[key] === last.reads[key]) return undefined;
      return { operations: operations.filter((one) => one !== last), log };
    });
  });
});

describe('the check of snapshots finds', () => {
  it('a snapshot that changes', () => {
    plant('snapshots', 'changed in the snapshot', (history, any, versions) => {
      const chosen = any(overtaken(history, versions, ['snapshot scan']));
      return chosen && withRead(history, chosen.reader, chosen.key, chosen.before);
    });
  });

  it('a batch that is shown in part', () => {
    plant('snapshots', 'shows a part of', (history, any, versions) => {
      const looks = history.operations.filter(({ what }) => what === 'getMany');
      const parts = looks.flatMap((look) =>
        Object.entries(look.reads).flatMap(([key, value]) => {
          const place = versions.of(key).findIndex((one) => value !== null && one.value === value);
          const batch = versions.of(key)[place]?.operation;
          const others = Object.keys(batch?.writes ?? {}).filter((other) => other !== key && look.reads[other] === value);
          const before = versions.of(key)[place - 1]?.value;
          return others.length > 0 && before ? [{ look, key, before }] : [];
        }),
      );
      const part = any(parts);
      return part && withRead(history, part.look, part.key, part.before);
    });
  });

  const written = (client: string, times: readonly [number, number], key: string, n: number): Operation =>
    ({ ...operation(client, 'put', times), writes: { [key]: `v${n}` }, details: { token: `mixed:s@${n}` } }) as Operation;
  const logOf = (...writes: Operation[]): TrueHistory['log'] =>
    writes.map((one, n) => ({
      segment: 's',
      end: n,
      stamp: { time: n + 1, writer: 'w', sub: 0 },
      writes: one.writes as Record<string, Value>,
    }));
  const look = (client: string, times: readonly [number, number], reads: Record<string, Value>): Operation => ({
    ...operation(client, 'getMany', times),
    reads,
  });

  it('a later write without an earlier one, although neither was acknowledged before the look', () => {
    const [first, second] = [written('p', [1, 2], 'a', 0), written('q', [3, 4], 'b', 1)];
    const seen = (a: Value, b: Value): readonly string[] =>
      check({ operations: [first, second, look('r', [0, 9], { a, b })], log: logOf(first, second) }).snapshots;
    expect(seen(null, null)).toEqual([]);
    expect(seen('v0', null)).toEqual([]);
    expect(seen(null, 'v1')).toEqual([expect.stringMatching(/does not show.*which came before/)]);
  });

  it('two looks that show two writes in different orders', () => {
    const [first, second] = [written('p', [1, 8], 'a', 0), written('q', [1, 8], 'b', 1)];
    const looks = [look('r', [0, 9], { a: 'v0', b: null }), look('s', [0, 9], { a: null, b: 'v1' })];
    const found = (some: readonly Operation[]): readonly string[] =>
      check({ operations: [first, second, ...some], log: logOf(first, second) }).snapshots;
    expect(found(looks.slice(1))).toEqual([]);
    expect(found(looks)).toEqual([expect.stringContaining('in different orders')]);
  });

  it('a look that lacks what was acknowledged before', () => {
    const first = written('p', [1, 2], 'a', 0);
    const one = { operations: [first, look('r', [3, 4], { a: null })], log: logOf(first) };
    expect(check(one).sessions).toHaveLength(1);
  });
});

function operation(client: string, what: string, [invokedAt, endedAt]: readonly [number, number]): Operation {
  const outcome = endedAt === Number.POSITIVE_INFINITY ? 'unknown' : 'ok';
  return { id: `${client}/${what}${invokedAt}`, client, what, invokedAt, endedAt, outcome, reads: {}, writes: {} };
}

function acknowledged(versions: Versions, key: string, value: Value, look: Operation | undefined): boolean {
  const version = versions.of(key).find((one) => one.value === value);
  return version !== undefined && look !== undefined && version.operation.endedAt < look.invokedAt;
}

it('a problem shows the operations that it is about', () => {
  const write: Operation = { ...operation('p', 'put', [0, 1]), writes: { a: 'v' }, details: { token: 'mixed:s@0' } };
  const [problem] = check({ operations: [write], log: [] }).sets;
  expect(problem).toContain(describeOperation(write));
});
