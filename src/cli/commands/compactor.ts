/** `peat compactor`: the standalone compactor process. */
import type { CompactorEvent } from '../../../compactor/index.ts';
import { open } from '../../datastore/open.ts';
import { type Command, EXIT_FAILED, EXIT_OK, flag, type Invocation, numberOption } from '../command.ts';
import type { Output } from '../output.ts';

export const command: Command = {
  spec: {
    name: 'compactor',
    usage: 'LOCATION [--namespace NAME]... [--once] [--json]',
    summary: 'Run a compactor in the foreground',
    details:
      'Compacts all namespaces of a store, those to come included. Of several compactors one is elected for each namespace; the ' +
      'others stand by and take over when it dies. INT and TERM end it after the pass that is under way. Logs go to stdout, a line a ' +
      'pass: frames, entries, bytes in and out, shards touched, root, duration, and the lag of the oldest frame.',
    options: {
      namespace: { type: 'string', short: 'n', multiple: true, placeholder: 'NAME', help: 'only this namespace; may be repeated' },
      once: { type: 'boolean', help: 'compact everything once, and exit' },
      concurrency: { type: 'string', placeholder: 'N', help: 'how many passes run at once (default 2)' },
      'gather-ms': { type: 'string', placeholder: 'MS', help: 'after a change, how long to gather more before a pass (default 1000)' },
      'poll-ms': {
        type: 'string',
        placeholder: 'MS',
        help: 'how often to look where no events come (default 2000; in a bucket less often while idle)',
      },
      json: { type: 'boolean', help: 'log JSON lines' },
    },
    positionals: [1, 1],
    examples: ['peat compactor /data/index', 'peat compactor /data/index --once --json', 'peat compactor /data/index -n runs -n jobs'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const namespaces = invocation.options['namespace'];
    const concurrency = numberOption(invocation, 'concurrency', { least: 1, most: 64 });
    const gatherMs = numberOption(invocation, 'gather-ms', { least: 0 });
    const pollMs = numberOption(invocation, 'poll-ms', { least: 10 });
    const store = await open(invocation.positionals[0] as string, { create: false });
    let failures = 0;
    const mute = new AbortController();
    try {
      await store.runCompactor({
        signal: AbortSignal.any([signal, mute.signal]),
        once: flag(invocation, 'once'),
        ...(Array.isArray(namespaces) ? { namespaces: namespaces as string[] } : {}),
        ...(concurrency === undefined ? {} : { concurrency }),
        ...(gatherMs === undefined ? {} : { gatherMs }),
        ...(pollMs === undefined ? {} : { pollMs }),
        onEvent: (event) => {
          if (event.event === 'failed') failures++;
          // Where nobody reads the log any more, it ends as it does by a signal.
          log(output, event).catch((error: unknown) => mute.abort(error));
        },
      });
    } finally {
      await store.close();
    }
    mute.signal.throwIfAborted();
    return flag(invocation, 'once') && failures > 0 ? EXIT_FAILED : EXIT_OK;
  },
};

/** A line an event, at once: logs are read while it runs. */
async function log(output: Output, event: CompactorEvent): Promise<void> {
  if (output.json) await output.jsonLine(toJson(event));
  else await output.line(toText(event));
  await output.flush();
}

function toJson({ timeMs, pass, ...event }: CompactorEvent): unknown {
  return { time: new Date(timeMs).toISOString(), level: level(event.event), ...event, ...pass };
}

function level(event: CompactorEvent['event']): string {
  return event === 'failed' ? 'error' : event === 'warning' ? 'warn' : 'info';
}

function toText({ timeMs, event, namespace = '', message = '', pass }: CompactorEvent): string {
  const head = `${new Date(timeMs).toISOString()} ${event} ${namespace}`.trimEnd();
  if (pass === undefined) return message === '' ? head : `${head}: ${message}`;
  return (
    `${head}: root ${pass.root}, ${pass.frames} frames, ${pass.entries} entries, ${pass.logBytesIn} bytes in, ${pass.tableBytesOut} bytes out, ` +
    `${pass.shards} shards, ${pass.durationMs} ms, lag ${pass.lagMs} ms${pass.more ? ', more to do' : ''}`
  );
}
