/**
 * What is asked of the rules for named and structural locks, and of each way to get them wrong.
 * Larger bounds: `PEAT_MODEL_LARGE=1`.
 */
import { describe, expect, it } from 'vitest';
import { describeExploration, type Exploration, explore } from './explore.ts';
import { fairness } from './fairness.ts';
import { type NamedLocker, type StructuralLocker, StructuralModel, type StructuralOptions } from './structural.ts';

const isLarge = process.env['PEAT_MODEL_LARGE'] === '1';

/** "a b" takes both at once; "a,b" takes b while a is held; "~" marks a shared one. */
const named = (...lockers: string[]): NamedLocker[] =>
  lockers.map((locker) => ({ groups: locker.split(',').map((group) => group.split(' ')) }));
const structural = (count: number, locker: StructuralLocker = {}): StructuralLocker[] => Array.from({ length: count }, () => locker);

function check(name: string, options: StructuralOptions): Exploration {
  const exploration = explore(new StructuralModel(name, options));
  if (isLarge || exploration.verdict === 'bound') console.log(describeExploration(name, exploration));
  return exploration;
}

const SOUND: Record<string, StructuralOptions> = {
  'single names': { named: named('a', 'a', 'b'), structural: structural(2) },
  'single names, with deaths': { named: named('a', 'a', 'b'), structural: structural(2), deaths: 1 },
  'several names': { named: named('a b', 'b c', 'a'), structural: structural(1) },
  'several names and two structural lockers': { named: named('a b', 'b a'), structural: structural(2) },
  'several names, with a death': { named: named('a b', 'b'), structural: structural(1), deaths: 1 },
  'shared and exclusive': { named: named('a~', 'a~', 'a'), structural: structural(1) },
  'shared and exclusive, several names': { named: named('a~ b', 'a~', 'a b~'), structural: structural(1) },
  'shared, each ticket that was seen is waited for': { named: named('a~', 'a~', 'a'), structural: structural(1), clear: 'seen' },
  'shared, each name is emptied': { named: named('a~', 'a~', 'a'), structural: structural(1), clear: 'empty' },
  'several names, each is emptied': { named: named('a b', 'b c', 'a'), structural: structural(1), clear: 'empty' },
  'several names, whole rounds': { named: named('a b', 'a', 'b'), structural: structural(1), clear: 'round' },
  'several names, a look at the turn of each': { named: named('a b', 'b c', 'a'), structural: structural(1), look: 'each' },
  // What is taken while the first is held can't outlive it.
  'several names, a look at the first turn alone': { named: named('a b', 'b c', 'a'), structural: structural(1), look: 'first' },
  ...(isLarge
    ? {
        'four lockers of several names': { named: named('a b', 'b c', 'a c', 'b'), structural: structural(2) },
        'mixed modes, two structural lockers, two deaths': { named: named('a~ b', 'a~', 'a b~'), structural: structural(2), deaths: 2 },
      }
    : {}),
};

describe('named locks against the structural lock', () => {
  it.each(Object.entries(SOUND))('never overlap and never deadlock: %s', (name, options) => {
    const exploration = check(name, options);
    expect(exploration, describeExploration(name, exploration)).toMatchObject({ verdict: 'holds' });
  });

  it.each([
    ['single names', named('a', 'a', 'b'), 1],
    ['several names', named('a b', 'b'), 2],
    ['shared and exclusive', named('a~', 'a~', 'a'), 1],
  ])(
    'never go on for ever without a holder; only named lockers can starve, while structural ones keep coming: %s',
    (name, lockers, count) => {
      const result = fairness(new StructuralModel(name, { named: lockers, structural: structural(count) }));
      expect(result).toMatchObject({ livelock: false });
      expect(result.starving).toEqual(lockers.map((_, i) => `n${i}`));
    },
  );

  it('serves every named locker, of one name or several, where there is no structural one', () => {
    const result = fairness(new StructuralModel('no structural locker', { named: named('a b', 'b~ c', 'a~ c'), structural: [] }));
    expect(result).toMatchObject({ livelock: false, starving: [] });
  });

  it('lose their progress if who gave back queues again at once, unless a structural locker waits only for those it met', () => {
    const options: StructuralOptions = { named: named('a', 'b'), structural: structural(1), mutant: 'noWait' };
    expect(fairness(new StructuralModel('noWait', { ...options, clear: 'empty' }))).toMatchObject({
      livelock: true,
      starving: ['n0', 'n1', 's0'],
    });
    expect(fairness(new StructuralModel('noWait', options))).toMatchObject({ livelock: false, starving: ['n0', 'n1'] });
  });
});

const OVERLAP = /^structural holder s\d overlaps/;
const DEADLOCK = /^deadlock$/;
const WRONG: [string, StructuralOptions, RegExp][] = [
  ['onlyHolder', { named: named('a', 'b'), structural: structural(1), mutant: 'onlyHolder' }, OVERLAP],
  ['lookFirst', { named: named('a'), structural: structural(1), mutant: 'lookFirst' }, OVERLAP],
  ['namesFirst', { named: named('a'), structural: structural(1), mutant: 'namesFirst' }, OVERLAP],
  ['precheck', { named: named('a', 'b'), structural: structural(1), mutant: 'precheck' }, OVERLAP],
  ['lowest seen, with shared holders', { named: named('a~', 'a~'), structural: structural(1), clear: 'lowest' }, OVERLAP],
  ['stay', { named: named('a'), structural: structural(1), mutant: 'stay' }, DEADLOCK],
  ['giveBackOne', { named: named('a b'), structural: structural(1), mutant: 'giveBackOne' }, DEADLOCK],
  ['unsorted', { named: named('a b', 'b a'), structural: [], mutant: 'unsorted' }, DEADLOCK],
  [
    'clearBeforeTurn',
    { named: [], structural: structural(2, { inside: 'a' }), insideRule: 'passWhileHolding', mutant: 'clearBeforeTurn' },
    OVERLAP,
  ],
];

describe('a wrong rule for named and structural locks is found', () => {
  it.each(WRONG)('%s', (name, options, problem) => {
    const exploration = check(name, options);
    expect(exploration.problem, describeExploration(name, exploration)).toMatch(problem);
  });
});

describe('a lock inside a lock', () => {
  it('deadlocks if a named locker asks for a second name in a second call while a structural one waits', () => {
    const exploration = check('nested', { named: named('a,b'), structural: structural(1) });
    expect(exploration).toMatchObject({ verdict: 'violated', problem: 'deadlock' });
  });

  it('deadlocks without any structural locker if two name them in different orders', () => {
    expect(check('crossed', { named: named('a,b', 'b,a'), structural: [] })).toMatchObject({ problem: 'deadlock' });
  });

  it('overlaps if who holds a name passes structural tickets, and may let go of that name first', () => {
    const options: StructuralOptions = { named: named('b,a'), structural: structural(1), nested: 'pass', release: 'free' };
    expect(check('pass', options).problem).toMatch(OVERLAP);
  });

  it('overlaps even so if the structural locker demands a whole round that met no live ticket', () => {
    const options: StructuralOptions = { named: named('b,a'), structural: structural(1), nested: 'pass', release: 'free', clear: 'round' };
    expect(check('pass, whole round', options).problem).toMatch(OVERLAP);
  });

  it.each(['listed', 'empty', 'round'] as const)(
    'is sound if who holds a name passes, and holds that name until the inner one is released (%s)',
    (clear) => {
      for (const lockers of [named('a,b', 'b'), named('b,a', 'b'), named('a,b', 'a~,b~')]) {
        const options: StructuralOptions = { named: lockers, structural: structural(2), nested: 'pass', release: 'stack', clear };
        expect(check(`pass, stack, ${clear}`, options)).toMatchObject({ verdict: 'holds' });
      }
    },
  );

  it('deadlocks if a structural holder takes a named lock as everyone does', () => {
    const options: StructuralOptions = { named: named('a'), structural: structural(1, { inside: 'a' }) };
    expect(check('inside', options).problem).toMatch(DEADLOCK);
  });

  it('deadlocks if it overlooks its own ticket only, and another structural locker waits', () => {
    const one: StructuralOptions = { named: named('a'), structural: structural(1, { inside: 'a' }), insideRule: 'ignoreOwn' };
    expect(check('inside, one', one)).toMatchObject({ verdict: 'holds' });
    expect(check('inside, two', { ...one, structural: structural(2, { inside: 'a' }) }).problem).toMatch(DEADLOCK);
  });

  it('is sound if it overlooks all structural tickets while its own is the lowest', () => {
    const options: StructuralOptions = {
      named: named('a', 'b'),
      structural: structural(2, { inside: 'a' }),
      insideRule: 'passWhileHolding',
    };
    expect(check('inside, passing', options)).toMatchObject({ verdict: 'holds' });
  });
});
