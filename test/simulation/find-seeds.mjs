/** Which seeds find which mutants, for `mutants.mjs`: those that are written there, and where one does not find its mutant any more, another. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSimulation } from './build.mjs';

/** Plays, those of later plots, windows, then anything: the shortest and steadiest first. */
const FIRST_SEEDS = [2_000_000, 2_100_000, 1_000_000, 0];

/**
 * @param {readonly import('./mutants.mjs').Mutant[]} mutants
 * @param {{ directory: string, count: number, anew: boolean, print: (line: string) => void }} options `count` of each kind of scenarios; `anew`:
 * whatever is written there
 * @returns whether all were found
 */
export async function findSeeds(mutants, { directory, count, anew, print }) {
  let areFound = true;
  for (const [i, mutant] of mutants.entries()) {
    const file = join(directory, `mutant-${i}.mjs`);
    await buildSimulation(file, mutant);
    /** @type {typeof import('./main.ts')} */
    const simulation = await import(pathToFileURL(file).href);
    const kept = anew ? undefined : await firstFinding(simulation, [mutant.seed]);
    if (kept !== undefined) {
      print(`${mutant.name}: ${told(kept)}, as written`);
      continue;
    }
    const found = await firstFinding(
      simulation,
      FIRST_SEEDS.flatMap((first) => Array.from({ length: count }, (_, at) => first + at)),
    );
    if (found === undefined) areFound = false;
    print(`${mutant.name}: ${found === undefined ? `none in ${count} of each kind` : `${told(found)}, NEW`}`);
  }
  return areFound;
}

/**
 * @param {typeof import('./main.ts')} simulation
 * @param {readonly number[]} seeds
 */
async function firstFinding({ run, scenarioOf }, seeds) {
  const options = { trace: false, json: true, shrink: false, shrinkMsMax: 0, print: () => {}, progress: undefined };
  const startedAt = performance.now();
  const { failure } = await run({ ...options, scenarios: seeds.map(scenarioOf) });
  return failure === undefined ? undefined : { ...failure, ms: performance.now() - startedAt, tried: seeds.indexOf(failure.seed) + 1 };
}

/** @param {{ seed: number, violation: string, ms: number, tried: number }} found */
function told({ seed, violation, ms, tried }) {
  return `seed ${seed} (${tried === 1 ? '' : `${tried} tried, `}${Math.round(ms)} ms: ${violation.split('\n')[0]?.slice(0, 120)})`;
}
