/** `peat lock audit`: where the product takes locks and why, and what traces tell of it. */

import { LockAudit } from '../../lock/lock-audit.ts';
import { LOCK_SITES } from '../../lock/lock-sites.ts';
import { readLineFiles } from '../../medium/line-files.ts';
import { EXIT_OK, flag, type Invocation, numberOption, stringOption, UsageError } from '../command.ts';
import { auditMarkdown, auditText } from './audit-text.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { output, positionals } = invocation;
  if (positionals.length > 0) throw new UsageError(`peat lock audit takes no location, got ${JSON.stringify(positionals[0])}`);
  const directory = stringOption(invocation, 'trace');
  const longMs = numberOption(invocation, 'long-ms', { least: 0 });
  const audit = new LockAudit({ sites: Object.values(LOCK_SITES), longMs });
  if (directory !== undefined) await readTrace(audit, directory);
  const isTraced = directory !== undefined;
  const rows = audit.rows();
  if (output.json) {
    const { lines, skipped } = audit;
    await output.jsonLine({ sites: rows, ...(isTraced ? { trace: { directory, lines, skipped } } : {}) });
    return EXIT_OK;
  }
  const text = flag(invocation, 'markdown') ? auditMarkdown : auditText;
  for (const line of text(rows, { isTraced })) await output.line(line);
  await output.flush();
  if (!isTraced) {
    output.message('peat: for waits, holds and smells, run programs with PEAT_LOCK_TRACE=DIR, then: peat lock audit --trace DIR');
  } else {
    output.message(
      `peat: ${audit.lines} attempts${audit.skipped === 0 ? '' : `; ${audit.skipped} lines were damaged, or no trace's, and skipped`}`,
    );
  }
  return EXIT_OK;
}

async function readTrace(audit: LockAudit, directory: string): Promise<void> {
  try {
    for await (const line of readLineFiles(directory)) audit.addLine(line);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Error(`there is no trace at ${directory}`, { cause: error });
    throw error;
  }
}
