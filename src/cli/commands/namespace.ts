/** `peat namespace`: lists, creates and drops namespaces. */
import { PeatError } from '../../base/errors.ts';
import { type Command, EXIT_OK, type Invocation, UsageError } from '../command.ts';
import { withStore } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'namespace',
    usage: 'list LOCATION | create LOCATION NAME | drop LOCATION NAME',
    summary: 'List, create or drop namespaces',
    details:
      'drop removes a namespace with all that is in it. Processes that have it open notice within a minute, and what they append until then goes ' +
      'with it. The files go when a compactor cleans up. A namespace of the same name can be created again, and starts empty.',
    options: { json: { type: 'boolean', help: 'print JSON lines' } },
    positionals: [2, 3],
    examples: ['peat namespace list ./index', 'peat namespace create ./index runs', 'peat namespace drop ./index runs'],
  },

  async run(invocation: Invocation): Promise<number> {
    const [action, location, name] = invocation.positionals as [string, string, string?];
    const inner = { ...invocation, positionals: [location] };
    if (action === 'list') {
      if (name !== undefined) throw new UsageError(`peat namespace list takes a location only, got ${JSON.stringify(name)}`);
      return await list(inner);
    }
    if (action !== 'create' && action !== 'drop')
      throw new UsageError(`peat namespace takes list, create or drop, got ${JSON.stringify(action)}`);
    if (name === undefined) throw new UsageError(`peat namespace ${action} needs the name of a namespace`);
    return await (action === 'create' ? create(inner, name) : drop(inner, name));
  },
};

async function list(invocation: Invocation): Promise<number> {
  const { output, signal } = invocation;
  const names = await withStore(invocation, (store) => store.namespaces({ signal }));
  for (const namespace of names) await (output.json ? output.jsonLine({ namespace }) : output.line(namespace));
  return EXIT_OK;
}

async function create(invocation: Invocation, name: string): Promise<number> {
  const { output } = invocation;
  const created = await withStore(invocation, (store) => store.createNamespace(name), {});
  if (output.json) await output.jsonLine({ namespace: name, created });
  else output.message(created ? `created namespace ${name}` : `namespace ${name} is there already`);
  return EXIT_OK;
}

async function drop(invocation: Invocation, name: string): Promise<number> {
  const { output } = invocation;
  const dropped = await withStore(invocation, (store) => store.dropNamespace(name), {});
  if (!dropped) throw new PeatError('NAMESPACE_NOT_FOUND', `there is no namespace ${name}`, { namespace: name });
  if (output.json) await output.jsonLine({ namespace: name, dropped });
  else output.message(`dropped namespace ${name}`);
  return EXIT_OK;
}
