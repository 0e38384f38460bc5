/** What is asked of the shortcuts that need no I/O, and of each bound on which they rest. */
import { describe, expect, it } from 'vitest';
import { describeExploration, type Exploration, explore } from './explore.ts';
import { type Mutant, type ShortcutOptions, shortcuts } from './shortcuts.ts';

const isLarge = process.env['PEAT_MODEL_LARGE'] === '1';

function explored(name: string, options: ShortcutOptions): Exploration {
  const exploration = explore(shortcuts(options), { statesMax: isLarge ? 12_000_000 : 400_000 });
  if (isLarge || process.env['PEAT_MODEL_PRINT'] === '1') console.log(describeExploration(name, exploration));
  return exploration;
}

const SOUND: Record<string, ShortcutOptions> = {
  'appends without a post-check': { roots: 6, writes: 2 },
  'appends without a post-check, and a clock that jumps': { roots: 6, writes: 2, jumps: 1 },
  'reads without a second look, where segments are young': { roots: 6, writes: 1, reader: 'where segments are young' },
  'reads without a second look, where a drain takes as long as a root is trusted': {
    roots: 6,
    writes: 1,
    reader: 'where roots are young',
    drainTicks: 1,
  },
  'appends to a medium across a network, by the dates of its answers': { roots: 6, writes: 2, remote: true },
  'reads of a medium across a network, by the dates of its answers': { roots: 6, writes: 1, reader: 'where roots are young', remote: true },
};

const LARGE: Record<string, ShortcutOptions> = {
  'reads that always look again': { roots: 6, writes: 1, reader: 'always' },
  'three appends without a post-check, and a clock that jumps': { roots: 7, writes: 3, jumps: 1 },
  'reads of young segments, and a clock that jumps': { roots: 6, writes: 1, jumps: 1, reader: 'where segments are young' },
  'appends to a medium across a network, by the dates of its answers, and a clock that jumps': {
    roots: 6,
    writes: 2,
    jumps: 1,
    remote: true,
  },
  'reads of a medium across a network, two writes, and a clock that jumps': {
    roots: 6,
    writes: 2,
    jumps: 1,
    reader: 'where roots are young',
    remote: true,
  },
  'two writes, and reads of young segments': { roots: 6, writes: 2, reader: 'where segments are young' },
};

describe('shortcuts without I/O', () => {
  it.each(Object.entries({ ...SOUND, ...(isLarge ? LARGE : {}) }))('hold: %s', { timeout: 900_000 }, (name, options) => {
    const exploration = explored(name, options);
    expect(exploration.verdict, describeExploration(name, exploration)).toBe('holds');
  });

  it('would let writers ignore a drain that they know of: they leave their segments long before one comes', () => {
    const exploration = explored('writers ignore the drain', { roots: 6, writes: 2, mutant: 'writers ignore the drain' });
    expect(exploration.verdict, describeExploration('writers ignore the drain', exploration)).toBe('holds');
  });

  const CUT_OFF = /was acknowledged or shown, and is cut off/;

  it('may show what a writer wrote that had stalled for as long as a drain needs, if a drain begins and ends between root and contents', () => {
    const exploration = explored('as built', { roots: 6, writes: 1, reader: 'where roots are young' });
    expect(exploration.problem, describeExploration('as built', exploration)).toMatch(CUT_OFF);
    const lastMinute = exploration.trace?.slice(exploration.trace.lastIndexOf('a minute passes') + 1);
    expect(lastMinute).toEqual(
      expect.arrayContaining(['R lists root4', 'C drain 1', 'W writes', 'C horizon 1', 'R reads [1]', 'R returns']),
    );
  });

  it.each<[Mutant, ShortcutOptions, RegExp]>([
    ['drains start early', { roots: 6, writes: 2 }, CUT_OFF],
    ['gaps count in full', { roots: 6, writes: 2, jumps: 1 }, CUT_OFF],
    ['segments are never left', { roots: 6, writes: 2 }, CUT_OFF],
    ['roots are trusted for long', { roots: 6, writes: 2 }, CUT_OFF],
    ['readers ignore the drain', { roots: 6, writes: 1, reader: 'where roots are young', drainTicks: 1 }, CUT_OFF],
    ['segments stay young for long', { roots: 6, writes: 1, reader: 'where segments are young' }, CUT_OFF],
    ['pauses go unnoticed', { roots: 6, writes: 1, remote: true }, CUT_OFF],
    ['pauses go unnoticed', { roots: 6, writes: 1, reader: 'where roots are young', remote: true }, /might be another one by now/],
    ['readers ignore the drain', { roots: 6, writes: 1, reader: 'where roots are young', remote: true }, CUT_OFF],
    ['roots are deleted early', { roots: 2, writes: 1, reader: 'where roots are young', remote: true }, /might be another one by now/],
    ['roots are deleted early', { roots: 2, writes: 1, reader: 'where segments are young' }, /might be another one by now/],
  ])('do not hold with the mutant: %s', (mutant, options, problem) => {
    const exploration = explored(mutant, { ...options, mutant });
    expect(exploration.problem, describeExploration(mutant, exploration)).toMatch(problem);
  });
});
