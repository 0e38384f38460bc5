/** `peat lock audit`: where the product takes locks and why, and what traces tell of it. */

import { LockAudit } from '../../lock/lock-audit.ts';
import { LOCK_SITES } from '../../lock/lock-sites.ts';
import { readLineFiles } from '../../medium/line-files.ts';
import { EXIT_OK, flag, type Invocation, numberOption, stringOption, UsageError } from '../command.ts';
import { auditMarkdown, auditText } from './audit-text.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { output, positionals, signal } = invocation;
  if (positionals.length > 0) throw new UsageError(`peat lock audit takes no location, got ${JSON.stringify(positionals[0])}`);
  const directory = stringOption(invocation, 'trace');
  const longMs = numberOption(invocation, 'long-ms', { least: 0 });
  const audit = new LockAudit({ sites: Object.values(LOCK_SITES), longMs });
  const notFiles = directory === undefined ? 0 : await readTrace(audit, { directory, signal });
  const isTraced = directory !== undefined;
  const rows = audit.rows();
  if (output.json) {
    const { lines, skipped } = audit;
    await output.jsonLine({ sites: rows, ...(isTraced ? { trace: { directory, lines, skipped, notFiles } } : {}) });
    return EXIT_OK;
  }
  const text = flag(invocation, 'markdown') ? auditMarkdown : auditText;
  for (const line of text(rows, { isTraced })) await output.line(line);
  await output.flush();
  if (!isTraced) {
    output.message('peat: for waits, holds and smells, run programs with PEAT_LOCK_TRACE=DIR, then: peat lock audit --trace DIR');
  } else {
    const skipped = audit.skipped === 0 ? '' : `; ${audit.skipped} lines were damaged, or no trace's, and skipped`;
    output.message(`peat: ${audit.lines} attempts${skipped}${notFiles === 0 ? '' : `; ${notFiles} names were no files, and skipped`}`);
  }
  return EXIT_OK;
}

/** Returns how many names stood for no file. */
async function readTrace(audit: LockAudit, { directory, signal }: { directory: string; signal: AbortSignal }): Promise<number> {
  let notFiles = 0;
  try {
    await readLineFiles(directory, {
      line: (text) => audit.addLine(text),
      overlong: () => audit.skip(),
      notAFile: () => notFiles++,
      signal,
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Error(`there is no trace at ${directory}`, { cause: error });
    throw error;
  }
  return notFiles;
}
