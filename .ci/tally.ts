/**
 * The vitest reporter behind the last line of `.ci/run`: writes `N passed, N failed[, N skipped]` into the file
 * that `PEAT_TALLY` names, and below it, a line each, the files with failures. Whatever is not a passed or skipped test counts as failed: a file
 * that could not be loaded, an error outside of any test, a test that was never run because the run was cut short.
 *
 * Where that file is there already, files that are run again take the place of what was counted of them.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** Errors that belong to no file stand under this name. */
const NO_FILE = '';

function count(module: TestModule): Count {
  const counted = { passed: 0, failed: module.errors().length, skipped: 0 };
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    counted[state === 'passed' || state === 'skipped' ? state : 'failed'] += 1;
  }
  return counted;
}

/** By project and file: `unit test/unit/base/key.test.ts`. */
type Counts = Record<string, Count>;

function write(file: string, counts: Counts): void {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of Object.values(counts)) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  const failures = Object.keys(counts).filter((name) => name !== NO_FILE && (counts[name]?.failed ?? 0) > 0);
  const sum = `${total.passed} passed, ${total.failed} failed${total.skipped === 0 ? '' : `, ${total.skipped} skipped`}`;
  writeFileSync(file, `${[sum, ...failures].join('\n')}\n`);
  writeFileSync(`${file}.json`, JSON.stringify(counts));
}

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const file = process.env['PEAT_TALLY'];
    if (file === undefined || file === '') return;
    const counts: Counts = existsSync(`${file}.json`) ? (JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Counts) : {};
    counts[NO_FILE] = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) counts[`${module.project.name} ${module.relativeModuleId}`] = count(module);
    write(file, counts);
  }
}
