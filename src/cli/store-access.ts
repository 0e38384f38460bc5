/**
 * How the everyday commands reach a namespace: options that mean the same everywhere, and a store that is closed whatever
 * happens. A command that only reads opens the store with `readOnly` and writes no byte to it. A command that writes wants
 * a store that is there: a mistyped path must not become a new store (`peat init` makes one).
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import type { Namespace } from '../datastore/namespace.ts';
import { open } from '../datastore/open.ts';
import type { OpenOptions, Warning } from '../datastore/options.ts';
import type { Store } from '../datastore/store.ts';
import { type Invocation, type OptionSpec, stringOption, UsageError } from './command.ts';

export const DEFAULT_NAMESPACE = 'default';

export const NAMESPACE_OPTION: OptionSpec = {
  type: 'string',
  short: 'n',
  placeholder: 'NAMESPACE',
  help: `the namespace (default: ${DEFAULT_NAMESPACE})`,
};

export const DURABILITY_OPTION: OptionSpec = {
  type: 'string',
  placeholder: 'sync|os',
  help: 'sync: survives a power cut (default); os: survives the process only, and is faster',
};

export function namespaceName(invocation: Invocation): string {
  return stringOption(invocation, 'namespace') ?? DEFAULT_NAMESPACE;
}

/** @throws UsageError that shows the value */
export function durabilityOption(invocation: Invocation): 'sync' | 'os' {
  const text = stringOption(invocation, 'durability') ?? 'sync';
  if (text !== 'sync' && text !== 'os') throw new UsageError(`--durability must be sync or os, got ${JSON.stringify(text)}`);
  return text;
}

/** Opens the store that is the first argument, and closes it when `use` is done. Without further options it is only read. */
export async function withStore<R>(
  invocation: Invocation,
  use: (store: Store) => Promise<R>,
  options: OpenOptions = { readOnly: true },
): Promise<R> {
  const location = invocation.positionals[0] as string;
  const store = await openExisting(location, {
    create: false,
    onWarning: (warning: Warning) => invocation.output.message(`peat: ${warning.message}`),
    ...options,
  });
  let result: R;
  try {
    result = await use(store);
  } catch (error) {
    // What went wrong first is what the user must hear of.
    await store.close().catch(() => undefined);
    throw error;
  }
  await store.close();
  return result;
}

async function openExisting(location: string, options: OpenOptions): Promise<Store> {
  try {
    return await open(location, options);
  } catch (error) {
    if (!isPeatError(error, 'STORE_NOT_FOUND')) throw error;
    throw new PeatError('STORE_NOT_FOUND', `there is no store at ${location}; create one with: peat init ${location}`, { cause: error });
  }
}

/** Reads a namespace. */
export async function reading<R>(invocation: Invocation, use: (namespace: Namespace) => Promise<R>): Promise<R> {
  return await withStore(invocation, (store) => use(store.namespace(namespaceName(invocation))));
}

/** Writes to a namespace, which the first write creates if `create`. */
export async function writing<R>(
  invocation: Invocation,
  options: { create: boolean },
  use: (namespace: Namespace) => Promise<R>,
): Promise<R> {
  return await withStore(invocation, (store) => use(store.namespace(namespaceName(invocation), options)), {
    durability: durabilityOption(invocation),
  });
}
