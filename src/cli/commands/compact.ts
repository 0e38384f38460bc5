/** `peat compact`: compacts once, in this process, until nothing is left to do. */
import { type Command, EXIT_OK, type Invocation, numberOption, stringOption } from '../command.ts';
import { withStore } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'compact',
    usage: 'LOCATION [-n NAMESPACE] [--max-wait-ms MS] [--json]',
    summary: 'Compact until nothing is left to do',
    details: 'Waits for its turn if a compactor is at work; exit code 75 if that one does not give way in time.',
    options: {
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'only this namespace (default: all)' },
      'max-wait-ms': { type: 'string', placeholder: 'MS', help: 'how long to wait for another compactor (default 60000)' },
      json: { type: 'boolean', help: 'a JSON object a namespace' },
    },
    positionals: [1, 1],
    examples: ['peat compact ./index', 'peat compact ./index -n runs --json'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const namespace = stringOption(invocation, 'namespace');
    const maxWaitMs = numberOption(invocation, 'max-wait-ms', { least: 0 });
    const options = { signal, ...(namespace === undefined ? {} : { namespace }), ...(maxWaitMs === undefined ? {} : { maxWaitMs }) };
    const summaries = await withStore(invocation, (store) => store.compact(options), {});
    for (const summary of summaries) {
      for (const warning of summary.warnings) output.message(`peat: ${warning}`);
      if (output.json) await output.jsonLine(summary);
      else {
        const { passes, framesIn, entriesIn, logBytesIn, tableBytesOut, root } = summary;
        await output.line(
          `${summary.namespace}: ${passes} passes, ${framesIn} frames, ${entriesIn} entries, ${logBytesIn} bytes in, ${tableBytesOut} bytes out, root ${root ?? 'none'}`,
        );
      }
    }
    return EXIT_OK;
  },
};
