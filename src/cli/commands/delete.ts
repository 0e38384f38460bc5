/** `peat delete`: deletes keys, all in one batch. */
import { type Command, EXIT_OK, type Invocation } from '../command.ts';
import { DURABILITY_OPTION, NAMESPACE_OPTION, writing } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'delete',
    usage: 'LOCATION KEY... [-n NAMESPACE]',
    summary: 'Delete keys',
    details: 'All of them take effect together. A key that is not there is no error.',
    options: {
      namespace: NAMESPACE_OPTION,
      durability: DURABILITY_OPTION,
      json: { type: 'boolean', help: 'print the append token as JSON' },
    },
    positionals: [2, Number.POSITIVE_INFINITY],
    examples: ['peat delete ./index run/42', 'peat delete ./index -n runs run/1 run/2 run/3'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const operations = invocation.positionals.slice(1).map((key) => ({ type: 'delete', key }) as const);
    const token = await writing(invocation, { create: false }, (namespace) => namespace.batch(operations, { signal }));
    if (output.json) await output.jsonLine({ token });
    return EXIT_OK;
  },
};
