/** Reads a report that an earlier run has written. */
import { readFileSync } from 'node:fs';
import type { Report } from './report.ts';

/** @throws TypeError that names the file, if it holds something else */
export function readReport(path: string): Report {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new TypeError(`${path} can't be read as a report: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const { format, suites } = (parsed ?? {}) as Partial<Report>;
  if (format !== 1 || !Array.isArray(suites)) throw new TypeError(`${path} is no report of the benchmark in format 1`);
  return parsed as Report;
}
