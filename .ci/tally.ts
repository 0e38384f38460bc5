/**
 * The vitest reporter behind the last line of `.ci/run`: writes `N passed, N failed[, N skipped]` into the file
 * that `PEAT_TALLY` names. Whatever is not a passed or skipped test counts as failed: a file that could not be
 * loaded, an error outside of any test, a test that was never run because the run was cut short.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let skipped = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'skipped') skipped += 1;
        else failed += 1;
      }
    }
    const line = `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
    const file = process.env['PEAT_TALLY'];
    if (file !== undefined && file !== '') writeFileSync(file, `${line}\n`);
  }
}
