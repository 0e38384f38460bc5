/**
 * What is asked of segments and roots (rules A1 to A13), and of each way to get them wrong. `PEAT_MODEL_LARGE=1` explores the
 * larger bounds as well.
 */
import { describe, expect, it } from 'vitest';
import { describeExploration, type Exploration, explore } from './explore.ts';
import { lanes } from './lanes.ts';
import type { Kind, LanesOptions, Mutant } from './lanes-state.ts';

const isLarge = process.env['PEAT_MODEL_LARGE'] === '1';
const STATES_MAX = isLarge ? 12_000_000 : 400_000;

/** `p,d/p`: one writer puts, then deletes; another one puts. */
function writers(text: string): readonly (readonly Kind[])[] {
  return text.split('/').map((ops) => ops.split(',').map((op) => (op === 'd' ? 'delete' : 'put')));
}

type Bounds = Omit<LanesOptions, 'writers'> & { readonly ops: string };

function explored(name: string, { ops, ...bounds }: Bounds): Exploration {
  const exploration = explore(lanes({ ...bounds, writers: writers(ops) }), { statesMax: STATES_MAX });
  if (isLarge || process.env['PEAT_MODEL_PRINT'] === '1') console.log(describeExploration(name, exploration));
  return exploration;
}

/** Of two writers the first one's clock is behind. */
const SKEWED = [[0], [3]];
/** Every newest root but one is deleted, a compactor sleeps meanwhile, and roots are put without a reason. */
const SLEEPER: Partial<LanesOptions> = { kept: 1, zombie: true, once: true, housekeeping: true };
const STEPWISE: Partial<LanesOptions> = { ...SLEEPER, reader: true, rootReads: 'list, get, list' };

/** Roots without a reason, so that drains and horizons come early. */
const BUSY: Partial<LanesOptions> = { housekeeping: true };
const FOLDERS: Partial<LanesOptions> = { framed: true, duplicates: 1 };

const SOUND: Record<string, Bounds> = {
  'a put and a delete': { ops: 'p/d', roots: 4, clocks: SKEWED, ...BUSY },
  'a put and a delete, with clocks that may be right or wrong': {
    ops: 'p/d',
    roots: 3,
    clocks: [
      [0, 3],
      [0, 3],
    ],
  },
  'two puts of one writer': { ops: 'p,p', roots: 5, ...BUSY },
  'two puts and a delete': { ops: 'p,p/d', roots: 3, clocks: SKEWED },
  'a dead write that is tried twice': { ops: 'p', roots: 6, retries: 2, ...BUSY, live: true },
  'a reader': { ops: 'p,p', roots: 3, reader: true, ...BUSY, live: true },
  'a reader of a put and a delete': { ops: 'p/d', roots: 3, clocks: SKEWED, reader: true },
  'a reader, and a tombstone that is dropped': { ops: 'p,d', roots: 4, reader: true, once: true },
  'a reader in the process of the first writer': { ops: 'p/p', roots: 2, clocks: SKEWED, reader: true, session: true },
  'a compactor that slept while its number was deleted': { ops: 'p', roots: 3, ...SLEEPER },
  'a compactor that slept, and roots read step by step': { ops: 'p', roots: 2, ...STEPWISE },
  'folders of objects': { ops: 'p,p', roots: 4, ...FOLDERS, ...BUSY },
  'folders of objects, two writers': { ops: 'p/d', roots: 3, clocks: SKEWED, ...FOLDERS },
  'folders of objects and a reader': { ops: 'p,p', roots: 2, ...FOLDERS, reader: true, once: true, live: true },
  'folders of objects, drains and a reader': { ops: 'p', roots: 3, ...FOLDERS, ...BUSY, reader: true, live: true },
};

const LARGE: Record<string, Bounds> = {
  'a put and a delete, five roots': {
    ops: 'p/d',
    roots: 5,
    clocks: [
      [0, 3],
      [0, 3],
    ],
  },
  'two puts and a delete, four roots': { ops: 'p,p/d', roots: 4, clocks: SKEWED },
  'three writers': { ops: 'p/p/d', roots: 3, clocks: [[0], [3], [0]] },
  'a reader, four roots': { ops: 'p/d', roots: 4, clocks: SKEWED, reader: true },
  'a compactor that slept, and roots read step by step, three roots': { ops: 'p', roots: 3, ...STEPWISE },
  'two roots kept, five roots': { ops: 'p', roots: 5, ...SLEEPER, kept: 2 },
  'folders of objects and a reader, three roots': { ops: 'p,p', roots: 3, framed: true, duplicates: 1, reader: true },
};

describe('segments and roots', () => {
  it.each(Object.entries(SOUND))('lose nothing, undo nothing and do nothing twice beside %s', (name, bounds) => {
    const exploration = explored(name, bounds);
    expect(exploration.verdict, describeExploration(name, exploration)).toBe('holds');
  });

  it.each(Object.entries(isLarge ? LARGE : {}))('hold at larger bounds: %s', { timeout: 3_600_000 }, (name, bounds) => {
    const exploration = explored(name, bounds);
    expect(exploration.problem, describeExploration(name, exploration)).toBeUndefined();
  });
});

const LOST = /is lost|is undone/;
const TWICE = /was judged dead, and took effect/;
const MISSED = /^a read returned/;
const OLDER = /which its process had read/;

const MUTANTS: [Mutant, Bounds, RegExp][] = [
  ['root read without a second listing', { ops: 'p', roots: 2, ...STEPWISE }, MISSED],
  ['writer reads the root without a second listing', { ops: 'p', roots: 3, ...SLEEPER }, LOST],
  ['roots probed upwards', { ops: 'p', roots: 4, kept: 1, reader: true, once: true, rootReads: 'list, get, list' }, MISSED],
  ['commit not confirmed', { ops: 'p', roots: 2, ...SLEEPER }, LOST],
  ['maxStamp not observed', { ops: 'p/d', roots: 5 }, LOST],
  ['seen stamps not observed', { ops: 'p/p', roots: 1, clocks: SKEWED, reader: true, session: true }, OLDER],
  ['no post-check', { ops: 'p', roots: 3, ...BUSY }, LOST],
  ['acknowledged in a drain', { ops: 'p', roots: 3, ...BUSY }, LOST],
  ['unknown means dead', { ops: 'p', roots: 5 }, TWICE],
  ['repeated with its old stamp', { ops: 'p/d', roots: 5, clocks: SKEWED }, LOST],
  ['seal counts before its frames', { ops: 'p', roots: 2 }, LOST],
  ['absorbed says more than was read', { ops: 'p,p', roots: 2 }, LOST],
  ['absorbed says less than was read', { ops: 'p', roots: 4, ...BUSY }, TWICE],
  ['sealed before the post-check', { ops: 'p', roots: 5 }, TWICE],
  ['appended after the seal', { ops: 'p,p', roots: 3 }, LOST],
  ['forgot not raised', { ops: 'p', roots: 5 }, TWICE],
  ['forgot raised to R', { ops: 'p', roots: 5 }, TWICE],
  ['one step to the horizon', { ops: 'p', roots: 3 }, LOST],
  ['drain finished with an old listing', { ops: 'p', roots: 3, ...BUSY }, LOST],
  ['drain finished with frames left', { ops: 'p', roots: 3, ...BUSY }, LOST],
  ['tombstones dropped at once', { ops: 'p/d', roots: 3 }, LOST],
  ['unsealed segments deleted', { ops: 'p,p', roots: 2 }, LOST],
  ['segments deleted before they are absorbed', { ops: 'p', roots: 2 }, LOST],
  ['reader reads the root first', { ops: 'p', roots: 2, reader: true }, MISSED],
  ['missing segments ignored', { ops: 'p', roots: 2, reader: true }, MISSED],
  ['reader does not validate', { ops: 'p,p', roots: 3, reader: true, ...BUSY }, LOST],
  ['drain not awaited', { ops: 'p,p', roots: 3, reader: true, ...BUSY }, LOST],
  ['unlisted objects not asked for', { ops: 'p,p', roots: 2, framed: true }, LOST],
];

/** What does no harm alone, because another rule stands behind it; and, where there is one, the pair that does harm. */
const HARMLESS: [Mutant, Bounds][] = [
  // What was absorbed is taken in once more, and is older than all that counts; and whoever misses its entry does not know what became of it.
  ['forgotten early', { ops: 'p/d', roots: 3, clocks: SKEWED, ...BUSY }],
  ['forgotten early', { ops: 'p', roots: 3, ...FOLDERS, reader: true, once: true, live: true }],
  // An object is put only after the one before it, and what is absorbed is not looked for.
  ['a gap is waited for', { ops: 'p', roots: 3, ...FOLDERS, reader: true, once: true, live: true }],
  // Only damage leaves a gap before a seal.
  ['seal counts with a gap', { ops: 'p,p', roots: 3, ...FOLDERS, ...BUSY }],
  // Only what no writer is acknowledged for any more is deleted before it is sealed.
  ['a segment is created anew', { ops: 'p,p', roots: 5, ...BUSY }],
  // Of a segment that was deleted nothing can be read, unless it is created anew.
  ['only the winner is validated', { ops: 'p,p', roots: 3, reader: true, ...BUSY }],
];

describe('a rule for segments and roots that another one stands behind', () => {
  it.each(HARMLESS)('does no harm alone: %s', (mutant, bounds) => {
    const exploration = explored(mutant, { ...bounds, mutants: [mutant] });
    expect(exploration.verdict, describeExploration(mutant, exploration)).toBe('holds');
  });

  it('traps readers if entries are forgotten early, and a gap is waited for: an object that comes again is never whole', () => {
    const mutants: Mutant[] = ['forgotten early', 'a gap is waited for'];
    const exploration = explored(mutants.join(', '), { ops: 'p', roots: 2, ...FOLDERS, reader: true, once: true, live: true, mutants });
    expect(exploration.verdict, describeExploration(mutants.join(', '), exploration)).toBe('trapped');
  });

  it('shows what is cut off if only the winner is validated, and a segment may be created anew', () => {
    const mutants: Mutant[] = ['only the winner is validated', 'a segment is created anew'];
    const exploration = explored(mutants.join(', '), { ops: 'p,p', roots: 3, reader: true, ...BUSY, mutants });
    expect(exploration.problem, describeExploration(mutants.join(', '), exploration)).toMatch(LOST);
  });
});

describe('a wrong rule for segments and roots is found', () => {
  it.each(MUTANTS)('%s', (mutant, bounds, problem) => {
    const exploration = explored(mutant, { ...bounds, mutants: [mutant] });
    expect(exploration.problem, describeExploration(mutant, exploration)).toMatch(problem);
  });
});
