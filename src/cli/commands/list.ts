/** `peat list`: prints keys, or entries, in the order of the keys' UTF-8 bytes. */
import type { ScanOptions } from '../../datastore/scan-options.ts';
import { type Command, EXIT_OK, flag, type Invocation, numberOption, type OptionSpec, stringOption } from '../command.ts';
import { NAMESPACE_OPTION, reading } from '../store-access.ts';

const BOUNDS = ['prefix', 'gt', 'gte', 'lt', 'lte'] as const;

function bound(help: string): OptionSpec {
  return { type: 'string', placeholder: 'KEY', help };
}

export const command: Command = {
  spec: {
    name: 'list',
    usage: 'LOCATION [-n NAMESPACE] [--prefix TEXT] [--gt|--gte|--lt|--lte KEY] [--reverse] [--limit N] [--values] [--json]',
    summary: 'List keys, or entries',
    details:
      "In the order of the keys' UTF-8 bytes. A line a key; --values and --json print a JSON object a line. " +
      'Keys with line breaks are safe only in JSON.',
    options: {
      namespace: NAMESPACE_OPTION,
      prefix: { type: 'string', placeholder: 'TEXT', help: 'only keys that begin with this' },
      gt: bound('only keys after this one'),
      gte: bound('only keys from this one on'),
      lt: bound('only keys before this one'),
      lte: bound('only keys up to this one'),
      reverse: { type: 'boolean', help: 'from the last key to the first' },
      limit: { type: 'string', placeholder: 'N', help: 'at most this many' },
      values: { type: 'boolean', help: 'print {"key":...,"value":...}' },
      json: { type: 'boolean', help: 'the same; with --keys {"key":...}' },
      keys: { type: 'boolean', help: 'with --json: leave the values out' },
    },
    positionals: [1, 1],
    examples: [
      'peat list ./index',
      'peat list ./index -n runs --prefix run/ --limit 10 --json',
      'peat list ./index --gte a --lt b --reverse',
    ],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output } = invocation;
    const values = (output.json && !flag(invocation, 'keys')) || flag(invocation, 'values');
    const options = scanOptions(invocation, values);
    await reading(invocation, async (namespace) => {
      for await (const { key, value } of namespace.scan(options)) {
        if (values) await output.jsonLine({ key, value });
        else if (output.json) await output.jsonLine({ key });
        else await output.line(key);
      }
    });
    return EXIT_OK;
  },
};

function scanOptions(invocation: Invocation, values: boolean): ScanOptions {
  const limit = numberOption(invocation, 'limit', { least: 0 });
  const bounds = BOUNDS.map((name) => [name, stringOption(invocation, name)] as const).filter(([, text]) => text !== undefined);
  return {
    ...(Object.fromEntries(bounds) as Partial<Record<(typeof BOUNDS)[number], string>>),
    ...(limit === undefined ? {} : { limit }),
    reverse: flag(invocation, 'reverse'),
    values,
    signal: invocation.signal,
  };
}
