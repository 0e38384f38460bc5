/**
 * `peat replay-writer`: one writer of a replay, in a process of its own. Reads a batch a line from stdin, `[n, commit]`, appends them in order with a
 * bounded number under way, and answers `[n, microseconds]` on stdout when a batch is acknowledged. The end of stdin ends it.
 */

import { type Command, EXIT_OK, type Invocation, numberOption } from '../command.ts';
import { readLines } from '../formats/lines.ts';
import { type HistoryCommit, toOperations } from '../history/history.ts';
import { writeStdout } from '../output.ts';
import { DURABILITY_OPTION, NAMESPACE_OPTION, writing } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'replay-writer',
    usage: 'LOCATION [-n NAMESPACE] [--pipeline N]',
    summary: 'A writer of peat replay, which starts it',
    options: {
      namespace: NAMESPACE_OPTION,
      pipeline: { type: 'string', placeholder: 'N', help: 'batches under way at a time (default 16)' },
      durability: DURABILITY_OPTION,
    },
    positionals: [1, 1],
    examples: [],
    hidden: true,
  },

  async run(invocation: Invocation): Promise<number> {
    const pipeline = numberOption(invocation, 'pipeline', { least: 1, most: 65_536 }) ?? 16;
    const { signal } = invocation;
    // A reader that waits for a line that never comes is woken by the end of its input.
    signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
    await writing(invocation, { create: false }, async (namespace) => {
      const underWay: Promise<void>[] = [];
      for await (const { text } of linesUntil(signal)) {
        const [n, commit] = JSON.parse(text) as [number, HistoryCommit];
        const startedAtMs = performance.now();
        const acknowledged = namespace.batch(toOperations(commit)).then(async () => {
          await writeStdout(`[${n},${Math.round((performance.now() - startedAtMs) * 1000)}]\n`);
        });
        // Looked at when its turn comes.
        acknowledged.catch(() => undefined);
        underWay.push(acknowledged);
        if (underWay.length >= pipeline) await underWay.shift();
      }
      await Promise.all(underWay);
    });
    return EXIT_OK;
  },
};

/** The lines of stdin; a signal ends them. */
async function* linesUntil(signal: AbortSignal): AsyncGenerator<{ text: string }, void> {
  try {
    yield* readLines(process.stdin as AsyncIterable<Buffer>, 'stdin');
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
