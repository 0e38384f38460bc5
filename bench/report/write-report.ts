/** Writes a report as files: for programs, for reading, and with charts. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '../harness/report.ts';
import { reportHtml } from './html.ts';
import { reportMarkdown } from './markdown.ts';

export async function writeReport(report: Report, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'report.json'), `${JSON.stringify(report, undefined, 1)}\n`);
  writeFileSync(join(directory, 'report.md'), reportMarkdown(report));
  writeFileSync(join(directory, 'report.html'), await reportHtml(report));
}
