/** `peat watch`: prints changes as they are committed. */
import type { WatchEvent } from '../../datastore/watch.ts';
import { type Command, EXIT_OK, type Invocation, numberOption, stringOption } from '../command.ts';
import { jsonText } from '../output.ts';
import { NAMESPACE_OPTION, reading } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'watch',
    usage: 'LOCATION [-n NAMESPACE] [--prefix TEXT] [--from TOKEN] [--limit N] [--json]',
    summary: 'Print changes as they come',
    details:
      'Each change at least once; the last event of a key is its state. --json shows a token with each event: --from goes on after it, ' +
      'up to the retention (15 minutes); beyond that a resync is announced: read everything anew. Expiry makes no event. Interrupting it is its normal end.',
    options: {
      namespace: NAMESPACE_OPTION,
      prefix: { type: 'string', placeholder: 'TEXT', help: 'only keys that begin with this' },
      from: { type: 'string', placeholder: 'TOKEN', help: 'go on after this event, instead of with what happens from now on' },
      limit: { type: 'string', placeholder: 'N', help: 'end after so many events' },
      'poll-ms': { type: 'string', placeholder: 'MS', help: 'how often to look where the file system sends no events (default 250)' },
      json: { type: 'boolean', help: 'a JSON object an event, with its token' },
    },
    positionals: [1, 1],
    examples: ['peat watch ./index --prefix run/', 'peat watch ./index -n runs --json --from "$TOKEN"'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const prefix = stringOption(invocation, 'prefix');
    const from = stringOption(invocation, 'from');
    const pollMs = numberOption(invocation, 'poll-ms', { least: 10 });
    let left = numberOption(invocation, 'limit', { least: 1 }) ?? Number.POSITIVE_INFINITY;
    const options = {
      ...(prefix === undefined ? {} : { prefix }),
      ...(from === undefined ? {} : { from }),
      ...(pollMs === undefined ? {} : { pollMs }),
    };
    try {
      await reading(invocation, async (namespace) => {
        for await (const event of namespace.watch({ ...options, signal })) {
          if (output.json) await output.jsonLine(event);
          else await output.line(toText(event));
          // Whoever watches wants to see it now.
          await output.flush();
          if (--left <= 0) return;
        }
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return EXIT_OK;
  },
};

function toText(event: WatchEvent<unknown>): string {
  switch (event.type) {
    case 'put':
      return `put ${event.key} ${jsonText(event.value)}`;
    case 'delete':
      return `delete ${event.key}`;
    case 'resync':
      return 'resync';
  }
}
