/** `peat get`: prints one value. */
import { type Command, EXIT_FAILED, EXIT_OK, flag, type Invocation } from '../command.ts';
import { NAMESPACE_OPTION, namespaceName, reading } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'get',
    usage: 'LOCATION KEY [-n NAMESPACE] [--stamp] [--json]',
    summary: 'Print the value of a key',
    details: 'As JSON in one line; text is printed as it is, unless --json is given. Exit code 1 if the key is not there.',
    options: {
      namespace: NAMESPACE_OPTION,
      stamp: { type: 'boolean', help: 'print the version, for peat put --if-stamp; with --json, all that is known' },
      json: { type: 'boolean', help: 'text as JSON, too' },
    },
    positionals: [2, 2],
    examples: ['peat get ./index run/42', 'peat get ./index -n notes today --json'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const key = invocation.positionals[1] as string;
    const found = await reading(invocation, async (namespace) => {
      if (flag(invocation, 'stamp')) return await namespace.getEntry(key, { signal });
      const value = await namespace.get(key, { signal });
      return value === undefined ? undefined : { value };
    });
    if (found === undefined) {
      const message = `there is no key ${JSON.stringify(key)} in namespace ${namespaceName(invocation)}`;
      output.message(output.json ? JSON.stringify({ error: { message } }) : `peat: ${message}`);
      return EXIT_FAILED;
    }
    const { value } = found;
    if ('stamp' in found) await (output.json ? output.jsonLine(found) : output.line(String(found.stamp)));
    else if (typeof value === 'string' && !output.json) await output.line(value);
    else await output.jsonLine(value);
    return EXIT_OK;
  },
};
