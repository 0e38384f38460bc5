/**
 * `npm run simulate -- [options]`: runs the real engine as many actors in one process, on virtual storage and clocks; see the README beside this.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { buildSimulation } from './build.mjs';
import { findSeeds } from './find-seeds.mjs';
import { MUTANTS } from './mutants.mjs';

const USAGE = `usage: npm run simulate -- [options]

  --seeds N        how many seeds to run (default 100)
  --from S         the first one (default: by chance)
  --only A,B,...   these seeds
  --scenario JSON  one scenario, as a failure prints it, instead of seeds
  --mutant NAME    with one rule taken out of the engine; then a failure is what is wanted
  --list           the names of the mutants
  --find-seeds     of each mutant: whether its seed still finds it, else one that does; of --mutant NAME: another one
                   (of each kind of scenarios --seeds many)
  --trace          print each step
  --no-shrink      do not cut a failing scenario down (with a mutant: --shrink does)
  --json           one line of JSON at the end

Ends with 1 if a promise was broken, with a mutant if none was; 2 for bad options.`;

/** @param {string} message @returns {never} */
function refuse(message) {
  process.stderr.write(`simulate: ${message}\n\n${USAGE}\n`);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      options: {
        seeds: { type: 'string', default: '100' },
        from: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
        only: { type: 'string' },
        scenario: { type: 'string' },
        mutant: { type: 'string' },
        list: { type: 'boolean', default: false },
        'find-seeds': { type: 'boolean', default: false },
        trace: { type: 'boolean', default: false },
        shrink: { type: 'boolean' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
      allowNegative: true,
    }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} text @param {string} name */
function wholeNumber(text, name) {
  if (!/^\d{1,15}$/.test(text)) refuse(`--${name} must be a whole number, got ${JSON.stringify(text)}`);
  return Number(text);
}

/** @param {string | undefined} text */
function scenarioFrom(text) {
  if (text === undefined) return undefined;
  try {
    const scenario = JSON.parse(text);
    if (typeof scenario?.seed === 'number' && typeof scenario.faults === 'object') return scenario;
  } catch {}
  return refuse(`--scenario must be a scenario as a failure prints it, got ${JSON.stringify(text)}`);
}

const given = options();
if (given.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
if (given.list) {
  for (const { name, rule } of MUTANTS) process.stdout.write(`${name} (${rule})\n`);
  process.exit(0);
}
const mutant = given.mutant === undefined ? undefined : MUTANTS.find(({ name }) => name === given.mutant);
if (given.mutant !== undefined && mutant === undefined)
  refuse(`there is no mutant ${JSON.stringify(given.mutant)}; --list tells their names`);
const [count, from] = [wholeNumber(given.seeds, 'seeds'), wholeNumber(given.from, 'from')];
const seeds = given.only?.split(',').map((seed) => wholeNumber(seed, 'only')) ?? Array.from({ length: count }, (_, i) => from + i);
const scenario = scenarioFrom(given.scenario);

// Below node_modules of this checkout: what is built finds the dependencies there.
const directory = mkdtempSync(join(fileURLToPath(new URL('../../node_modules/', import.meta.url)), '.peat-simulation-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
process.stdout.on('error', () => process.exit(0));
if (given['find-seeds']) {
  const mutants = mutant === undefined ? MUTANTS : [mutant];
  const areFound = await findSeeds(mutants, {
    directory,
    count,
    anew: mutant !== undefined,
    print: (line) => process.stdout.write(`${line}\n`),
  });
  process.exit(areFound ? 0 : 1);
}
const file = join(directory, 'simulation.mjs');
await buildSimulation(file, mutant);
/** @type {typeof import('./main.ts')} */
const { run, scenarioOf } = await import(pathToFileURL(file).href);

const isTerminal = process.stderr.isTTY === true && !given.trace;
/** @type {(line: string) => void} */
const print = (line) => {
  if (isTerminal) process.stderr.write('\r\u001b[K');
  process.stdout.write(`${line}\n`);
};
const report = await run({
  scenarios: scenario === undefined ? seeds.map(scenarioOf) : [scenario],
  trace: given.trace,
  json: given.json,
  shrink: given.shrink ?? mutant === undefined,
  shrinkMsMax: 120_000,
  print,
  progress: isTerminal ? (line) => process.stderr.write(`\r\u001b[K${line}`) : undefined,
});
if (isTerminal) process.stderr.write('\r\u001b[K');

const { failure } = report;
if (given.json) {
  process.stdout.write(`${JSON.stringify(report)}\n`);
} else {
  const start = scenario === undefined ? ` from seed ${seeds[0]}` : '';
  print(`${report.scenarios} scenarios${start}, ${report.events} events, ${report.virtualHours.toFixed(0)} hours of virtual time`);
  print(
    Object.entries(report.counts)
      .map(([what, count]) => `${what} ${count}`)
      .join(', '),
  );
  if (failure === undefined) print('no promise was broken');
  else {
    print(`again: npm run simulate -- --from ${failure.seed} --seeds 1 --trace (trace ${failure.traceHash})`);
    print(`small: npm run simulate -- --trace --scenario '${JSON.stringify(failure.scenario)}'`);
  }
}
process.exitCode = (failure === undefined) === (mutant === undefined) ? 0 : 1;
