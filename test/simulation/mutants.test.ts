/** Each rule that is taken out of the real code has to be missed by the seed that is written down with it. */
import { expect, it } from 'vitest';
import { MUTANTS } from './mutants.mjs';
import { simulateApart } from './run-apart.ts';

it.each(MUTANTS.map(({ name, rule, seed }) => [name, rule, seed] as const))('%s (%s) is found', async (name, _rule, seed) => {
  const { report, status, output } = await simulateApart(['--mutant', name, '--only', String(seed)]);
  const advice = `not found by seed ${seed} any more; look for another: npm run simulate -- --find-seeds --mutant '${name}'`;
  expect(report.failure, `${advice}\n${output}`).toBeDefined();
  expect(status).toBe(0);
});

it('a failing scenario is cut down to one that fails as well', async () => {
  const { report } = await simulateApart(['--mutant', 'unsealed segments go', '--from', '0', '--seeds', '60', '--shrink']);
  const { failure } = report;
  expect(failure?.scenario.operations).toBeLessThan(100);
  const again = await simulateApart(['--mutant', 'unsealed segments go', '--scenario', JSON.stringify(failure?.scenario)]);
  expect(again.report.failure?.violation).toBeDefined();
  expect(again.report.events).toBeLessThan(20_000);
});
