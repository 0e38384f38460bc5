/** `peat export`: entries as text, in the order of the keys' bytes, as one scan sees them. */
import { type Command, EXIT_OK, type Invocation, stringOption, UsageError } from '../command.ts';
import { jsonText, type Output } from '../output.ts';
import { NAMESPACE_OPTION, reading } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'export',
    usage: 'LOCATION [-n NAMESPACE] [--prefix TEXT] [--format json-lines|json-index]',
    summary: 'Export entries as JSON',
    details:
      'To stdout, in the forms that import reads. What JSON does not have becomes text: big integers, bytes (base64) and dates; for an exact copy use ' +
      'peat backup. json-index has no place for expiry times, so expiring entries are refused there. The number of entries is told on stderr.',
    options: {
      namespace: NAMESPACE_OPTION,
      prefix: { type: 'string', placeholder: 'TEXT', help: 'only keys that begin with this' },
      format: { type: 'string', placeholder: 'FORMAT', help: 'json-lines (default) or json-index' },
    },
    positionals: [1, 1],
    examples: ['peat export ./index > entries.jsonl', 'peat export ./index -n runs --format json-index | gzip > index.json.gz'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const format = stringOption(invocation, 'format') ?? 'json-lines';
    if (format !== 'json-lines' && format !== 'json-index') {
      throw new UsageError(`--format must be json-lines or json-index, got ${JSON.stringify(format)}`);
    }
    const prefix = stringOption(invocation, 'prefix');
    const writer = format === 'json-lines' ? jsonLines(output) : jsonIndex(output);
    let count = 0;
    await reading(invocation, async (namespace) => {
      await writer.begin();
      for await (const entry of namespace.scan({ ...(prefix === undefined ? {} : { prefix }), signal })) {
        await writer.entry(entry, count++ === 0);
        output.progress(() => `${count} entries exported`);
      }
      await writer.end(count === 0);
    });
    await output.flush();
    output.message(`exported ${count} entries`);
    return EXIT_OK;
  },
};

interface ExportedEntry {
  readonly key: string;
  readonly value: unknown;
  readonly expiresAtMs?: number;
}

interface EntryWriter {
  begin(): Promise<void>;
  entry(entry: ExportedEntry, isFirst: boolean): Promise<void>;
  end(isEmpty: boolean): Promise<void>;
}

function jsonLines(output: Output): EntryWriter {
  return {
    begin: () => Promise.resolve(),
    entry: ({ key, value, expiresAtMs }) =>
      output.jsonLine(expiresAtMs === undefined ? { key, value } : { key, value, expiresAt: expiresAtMs }),
    end: () => Promise.resolve(),
  };
}

function jsonIndex(output: Output): EntryWriter {
  return {
    begin: () => output.write('{"version":1,"entries":{'),
    entry: async ({ key, value, expiresAtMs }, isFirst) => {
      if (expiresAtMs !== undefined)
        throw new Error(`${JSON.stringify(key)} expires, which a json-index can't say; use --format json-lines`);
      await output.write(`${isFirst ? '\n' : ',\n'}${JSON.stringify(key)}:${jsonText(value)}`);
    },
    end: (isEmpty) => output.line(isEmpty ? '}}' : '\n}}'),
  };
}
