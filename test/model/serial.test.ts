/** `PEAT_MODEL_LARGE=1` explores the larger bounds as well (tens of minutes, some gigabytes). */
import { describe, expect, it } from 'vitest';
import { describeExploration, explore } from './explore.ts';
import { type Mutant, type Operation, type SerialOptions, serial } from './serial.ts';

const isLarge = process.env['PEAT_MODEL_LARGE'] === '1';
/** Cases that take too long for every run. */
const larger = <T>(cases: T[]): T[] => (isLarge ? cases : []);
const STATES_MAX = isLarge ? 8_000_000 : 400_000;

type Bounds = Partial<SerialOptions> & { readonly ops: string };

const KINDS: Readonly<Record<string, Operation['kind']>> = { u: 'update', x: 'update to delete', p: 'put', d: 'delete' };

/** `u0,p1/d0`: one client updates key 0, then puts key 1; another deletes key 0, blindly. */
function parse(ops: string): readonly (readonly Operation[])[] {
  return ops.split('/').map((list) =>
    list.split(',').map((op) => {
      const kind = KINDS[op[0] ?? ''];
      if (kind === undefined) throw new RangeError(`no such operation: ${op}`);
      return { kind, key: Number(op[1]) };
    }),
  );
}

function explored({ ops, ...bounds }: Bounds): ReturnType<typeof explore> {
  const clients = parse(ops);
  const keys = 1 + Math.max(...clients.flat().map(({ key }) => key));
  return explore(serial({ keys, clients, ...bounds }), { statesMax: STATES_MAX });
}

describe('read-modify-write records', () => {
  it.each<[string, Bounds]>([
    ['three updates of a key', { ops: 'u0/u0/u0', live: true }],
    ['three updates, no nonce kept in the root', { ops: 'u0/u0/u0', nonces: 0 }],
    ['three updates, two nonces kept', { ops: 'u0/u0/u0', nonces: 2 }],
    ['three updates, covered records deleted in any order', { ops: 'u0/u0/u0', covered: true }],
    ['a client that updates twice', { ops: 'u0,u0/u0/u0' }],
    ['a reader', { ops: 'u0/u0', reader: true, covered: true, live: true }],
    ['listings slot by slot', { ops: 'u0/u1/u0', torn: true }],
    ['blind writes', { ops: 'u0/u0/p0', clocks: [3] }],
    ['blind writes of one client, in the order of its stamps', { ops: 'u0/p1,p0', clocks: [3] }],
    ['blind deletes and a reader', { ops: 'u0/d0', reader: true }],
    ['drains and a reader', { ops: 'u0/u0', roots: 3, reader: true }],
    ['drains, blind deletes and dropped tombstones', { ops: 'u0/d0', roots: 4 }],
    ['drains and updates that delete', { ops: 'u0/x0', roots: 4 }],
    ['a namespace that is dropped and used again', { ops: 'u0/u0', roots: 3, drops: 1 }],
    ['a namespace that is dropped, and blind deletes', { ops: 'u0/d0', roots: 3, drops: 1 }],
  ])('hold with %s', (_name, bounds) => {
    const result = explored(bounds);
    expect(result.verdict, describeExploration('serial', result)).toBe('holds');
  });

  it.each<[string, Bounds]>(
    larger([
      ['four updates', { ops: 'u0/u0/u0/u0' }],
      ['three updates and a reader', { ops: 'u0/u0/u0', reader: true, covered: true }],
      ['two updates, a put and a reader', { ops: 'u0/u0/p0', reader: true, clocks: [3] }],
      ['a delete, a reader, four roots', { ops: 'u0/d0', roots: 4, reader: true }],
      ['two keys, a delete, three roots', { ops: 'u0/u1/d0', roots: 3 }],
      ['a delete, five roots', { ops: 'u0/d0', roots: 5 }],
      ['dropped, five roots', { ops: 'u0/u0', roots: 5, drops: 1 }],
      ['dropped, and a reader', { ops: 'u0/u0', roots: 3, drops: 1, reader: true }],
    ]),
  )('hold at larger bounds: %s', { timeout: 3_600_000 }, (name, bounds) => {
    const result = explored(bounds);
    console.log(describeExploration(name, result));
    expect(result.problem, describeExploration('serial', result)).toBeUndefined();
  });

  it.each<[Mutant, Bounds]>([
    ['no post-check', { ops: 'u0/u0/u0' }],
    ['unknown means failed', { ops: 'u0/u0', nonces: 0 }],
    ['unknown means done', { ops: 'u0/u0/u0' }],
    ['updater does not validate', { ops: 'u0/u0/u0', covered: true }],
    ['reader does not validate', { ops: 'u0/u0', reader: true, covered: true }],
    ['reader reads the root first', { ops: 'u0/u0', reader: true, covered: true }],
    ['gap accepted', { ops: 'u0/u0/u1', torn: true }],
    ['gap absorbed', { ops: 'u0/u1' }],
    ['stamp above all seen', { ops: 'u0/p1,p0', clocks: [3] }],
    ['records are never void', { ops: 'u0/d0', roots: 5 }],
    ['acknowledged in a drain', { ops: 'u0', roots: 2 }],
    ['drain not awaited by updaters', { ops: 'u0/u0', roots: 2 }],
    ['drain not awaited by readers', { ops: 'u0', reader: true, roots: 2 }],
    ['drain finished with an old listing', { ops: 'u0', roots: 2 }],
    ['drain finished with records left', { ops: 'u0', roots: 2 }],
    ['tombstones dropped at once', { ops: 'u0/d0', roots: 2 }],
    ['drop floor ignored', { ops: 'u0/d0', roots: 4 }],
    ['dropped namespace forgets its numbers', { ops: 'u0/u0', roots: 4, drops: 1 }],
    ['nothing is unknown after a drop', { ops: 'u0/u0', roots: 3, drops: 1 }],
  ])('are not safe with the mutant: %s', (mutant, bounds) => {
    expect(explored({ ...bounds, mutant }).verdict).toBe('violated');
  });
});
