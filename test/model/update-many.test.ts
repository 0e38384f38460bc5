/** `PEAT_MODEL_LARGE=1` explores the larger bounds as well (tens of minutes, some gigabytes). */
import { describe, expect, it } from 'vitest';
import { describeExploration, explore } from './explore.ts';
import { type ClientSpec, type Mutant, type UpdateManyOptions, updateMany } from './update-many.ts';

type Bounds = Partial<UpdateManyOptions> & Pick<UpdateManyOptions, 'clients'>;

const isLarge = process.env['PEAT_MODEL_LARGE'] === '1';
/** Cases that take too long for every run. */
const larger = <T>(cases: T[]): T[] => (isLarge ? cases : []);
const STATES_MAX = isLarge ? 8_000_000 : 400_000;

/** A client with one attempt; capital letters tell them apart. */
function client(letter: string, stripes: readonly number[], more: Partial<ClientSpec> = {}): ClientSpec {
  return { letter, stripes, attempts: 1, ...more };
}

const T = client('T', [0, 1]);
const X = client('X', [0, 1]);
const Y = client('Y', [0, 1, 2]);
const Z = client('Z', [1, 2]);
const A = client('A', [0]);
const B = client('B', [1]);
const E = client('E', [0]);
const twice = (spec: ClientSpec): ClientSpec => ({ ...spec, attempts: 2 });
const mortal = (spec: ClientSpec): ClientSpec => ({ ...spec, crash: true });

function explored(bounds: Bounds): ReturnType<typeof explore> {
  const options: UpdateManyOptions = { stripes: 2, reader: false, torn: false, nonces: 1, roots: 0, ...bounds };
  return explore(updateMany(options), { statesMax: STATES_MAX });
}

function expectToHold(bounds: Bounds): void {
  const result = explored(bounds);
  expect(result.verdict, describeExploration('updateMany', result)).toBe('holds');
}

describe('updates of several stripes', () => {
  it.each<[string, Bounds]>([
    ['a single update on each stripe, and crashes', { clients: [mortal(T), A, B], live: true }],
    ['two attempts against an update of its second stripe, and crashes', { clients: [mortal(twice(T)), twice(B)], live: true }],
    ['another update of the same stripes, whoever crashes', { clients: [mortal(T), mortal(X)], live: true }],
    ['a reader, and another update of the same stripes', { clients: [T, X], reader: true }],
    ['a reader with torn listings, and an update of its first stripe', { clients: [T, A], reader: true, torn: true }],
    ['a reader with torn listings, and an update of its second stripe', { clients: [T, B], reader: true, torn: true }],
    ['a reader, and covered records that stay and are deleted in any order', { clients: [T, A], reader: true, covered: true }],
    ['two nonces kept in the root', { clients: [T, A, B], nonces: 2 }],
    ['no nonce kept in the root', { clients: [T, A, B], nonces: 0 }],
    [
      'an update that only reads its second stripe',
      {
        clients: [
          { ...T, writes: [0] },
          { ...X, writes: [1] },
        ],
        reader: true,
      },
    ],
    ['drains, and crashes', { clients: [mortal(T), B], roots: 3, live: true }],
    ['drains that leave an undecided record behind', { clients: [T, B], roots: 3, leaveUndecided: true }],
    ['drains and a reader with torn listings', { clients: [T], roots: 3, reader: true, torn: true, leaveUndecided: true }],
    ['a namespace that is dropped and used again', { clients: [T, B], roots: 2, drops: 1 }],
    ['three stripes and a reader with torn listings', { clients: [Y], stripes: 3, reader: true, torn: true }],
    ['three stripes and an overlapping update, whoever crashes', { clients: [mortal(Y), mortal(Z)], stripes: 3, live: true }],
  ])('are all or nothing beside %s', (_name, bounds) => {
    expectToHold(bounds);
  });

  it.each<[string, Bounds]>(
    larger([
      ['a single update on each stripe, whoever crashes', { clients: [mortal(twice(T)), mortal(A), mortal(B)], live: true }],
      ['two attempts, a single update on each stripe', { clients: [twice(T), twice(A), twice(B)] }],
      ['two attempts, a single update on each stripe, torn', { clients: [twice(T), twice(A), twice(B)], torn: true }],
      ['a single update on each stripe and a reader', { clients: [T, A, B], reader: true }],
      ['a single update on each stripe and a reader, torn', { clients: [T, A, B], reader: true, torn: true }],
      ['two attempts and a reader, torn', { clients: [twice(T), B], reader: true, torn: true }],
      ['two attempts each of two updates of both stripes', { clients: [twice(T), twice(X)] }],
      ['two updates of both stripes and a reader, torn', { clients: [T, X], reader: true, torn: true }],
      ['drains, two attempts', { clients: [twice(T), B], roots: 3 }],
      ['drains, two attempts, undecided ones left behind', { clients: [twice(T), B], roots: 3, leaveUndecided: true }],
      ['drains and a reader, torn', { clients: [T, B], roots: 2, reader: true, torn: true, leaveUndecided: true }],
      ['a namespace that is dropped, and a reader', { clients: [T, B], roots: 2, drops: 1, reader: true }],
      ['three stripes, an overlapping update and a reader', { clients: [Y, Z], stripes: 3, reader: true }],
    ]),
  )('hold at larger bounds: %s', { timeout: 3_600_000 }, (_name, bounds) => {
    const result = explored(bounds);
    console.log(describeExploration(_name, result));
    expect(result.problem, describeExploration('updateMany', result)).toBeUndefined();
  });

  it.each<[Mutant, Bounds]>([
    ['secondaries not checked', { clients: [T, B] }],
    ['undecided not resolved', { clients: [T, B] }],
    ['no new start after resolving', { clients: [T, B] }],
    ['resolved by deleting', { clients: [T, B] }],
    ['primary first', { clients: [T] }],
    ['no post-check', { clients: [T, A] }],
    ['number decides, not nonce', { clients: [T, A, B] }],
    [
      'stripes only read are left out',
      {
        clients: [
          { ...T, writes: [0] },
          { ...X, writes: [1] },
        ],
      },
    ],
    ['undecided absorbed', { clients: [T] }],
    ['no closure', { clients: [T], reader: true }],
    ['undecided counts', { clients: [T, B], reader: true }],
    ['torn primary ignored', { clients: [T], reader: true, torn: true }],
    ['followed undecided ignored', { clients: [T, B], reader: true, torn: true }],
    ['reader does not validate', { clients: [T, A], reader: true, covered: true }],
    ['updater does not validate', { clients: [T, A, E], covered: true }],
    ['consulted primaries not validated', { clients: [T, A, B], covered: true }],
    ['acknowledged in a drain', { clients: [T], roots: 2 }],
    ['drain not awaited by readers', { clients: [A], roots: 2, reader: true }],
    ['drain not awaited by updaters', { clients: [A, E], roots: 2 }],
    ['drain finished with an old listing', { clients: [T], roots: 2 }],
    ['drain finished with records left', { clients: [T], roots: 2 }],
    ['void records counted', { clients: [A, E], roots: 2 }],
    ['one step to the horizon', { clients: [T], roots: 1 }],
    ['nothing is unknown after a drop', { clients: [twice(T)], roots: 1, drops: 1 }],
  ])('are not safe with the mutant: %s', (mutant, bounds) => {
    expect(explored({ ...bounds, mutant }).verdict).toBe('violated');
  });

  it('would trap others if nobody resolved what a crashed update left', () => {
    expect(explored({ clients: [mortal(T), B], live: true, mutant: 'nobody resolves' }).verdict).toBe('trapped');
  });
});
