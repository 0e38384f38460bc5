/** What is asked of table files and snapshots (rules A3 and A14), and of each way to get them wrong. */
import { describe, expect, it } from 'vitest';
import { describeExploration, type Exploration, explore } from './explore.ts';
import { type Mutant, type TablesOptions, tables } from './tables.ts';

const isLarge = process.env['PEAT_MODEL_LARGE'] === '1';

function explored(name: string, options: TablesOptions): Exploration {
  const exploration = explore(tables(options), { statesMax: isLarge ? 12_000_000 : 400_000 });
  if (isLarge || process.env['PEAT_MODEL_PRINT'] === '1') console.log(describeExploration(name, exploration));
  return exploration;
}

const SOUND: Record<string, TablesOptions> = {
  'two compactors': { roots: 3, writes: 2, passes: [2, 1] },
  'one that slept while its number was deleted': { roots: 3, writes: 1, passes: [3, 1] },
  'a snapshot': { roots: 3, writes: 2, passes: [3], snapshot: true },
  'a snapshot, and two compactors': { roots: 2, writes: 2, passes: [2, 1], snapshot: true },
  "a snapshot, and a clock of the medium's that jumps": { roots: 3, writes: 2, passes: [3], snapshot: true, jumps: 1 },
};

const LARGE: Record<string, TablesOptions> = {
  'three compactors': { roots: 3, writes: 2, passes: [2, 1, 1] },
  'one that slept, and four roots': { roots: 4, writes: 2, passes: [4, 1] },
  'a snapshot, and four roots': { roots: 4, writes: 2, passes: [4], snapshot: true, jumps: 1 },
  'a snapshot, two compactors, and three roots': { roots: 3, writes: 2, passes: [3, 1], snapshot: true },
};

describe('table files', () => {
  it.each(Object.entries({ ...SOUND, ...(isLarge ? LARGE : {}) }))(
    'are there as long as they are needed, beside %s',
    { timeout: 900_000 },
    (name, options) => {
      const exploration = explored(name, options);
      expect(exploration.verdict, describeExploration(name, exploration)).toBe('holds');
    },
  );

  const GONE = /^root\d names .*, which is gone/;
  const SNAPSHOT = /^a snapshot of root\d needs .*, which is gone/;

  it.each<[Mutant, TablesOptions, RegExp]>([
    ['tables of passes under way are garbage', { roots: 2, writes: 2, passes: [2, 1] }, GONE],
    ['dropped tables go at once', { roots: 2, writes: 2, passes: [2], snapshot: true }, SNAPSHOT],
    ['dropped tables are not noted', { roots: 2, writes: 2, passes: [2], snapshot: true }, SNAPSHOT],
    ['dropped tables are noted once', { roots: 3, writes: 2, passes: [3], snapshot: true }, SNAPSHOT],
    ['failed passes delete their tables', { roots: 2, writes: 1, passes: [1, 1] }, GONE],
    ['tables are used again under another number', { roots: 3, writes: 2, passes: [2, 1] }, GONE],
    ['gaps count in full', { roots: 3, writes: 2, passes: [3], snapshot: true, jumps: 1 }, SNAPSHOT],
    ['the tail is not copied', { roots: 1, writes: 1, passes: [1], snapshot: true }, /^a snapshot showed 0 writes, and shows 1/],
  ])('are lost with the mutant: %s', (mutant, options, problem) => {
    const exploration = explored(mutant, { ...options, mutants: [mutant] });
    expect(exploration.problem, describeExploration(mutant, exploration)).toMatch(problem);
  });

  const SLEPT: TablesOptions = { roots: 4, writes: 1, passes: [4, 1] };

  it.each<Mutant>(['commit not confirmed', 'cleanup does not look again'])('are safe with one look of two: %s', (mutant) => {
    expect(explored(mutant, { ...SLEPT, roots: 3, passes: [3, 1], mutants: [mutant] }).verdict).toBe('holds');
  });

  it('are lost if one that slept looks at the newest root neither after its commit nor before it deletes', () => {
    const mutants: Mutant[] = ['commit not confirmed', 'cleanup does not look again'];
    const exploration = explored(mutants.join(', '), { ...SLEPT, mutants });
    expect(exploration.problem, describeExploration(mutants.join(', '), exploration)).toMatch(GONE);
  });
});
