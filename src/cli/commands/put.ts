/** `peat put`: puts one value. */
import type { Condition } from '../../datastore/update.ts';
import { type Command, EXIT_FAILED, EXIT_OK, flag, type Invocation, numberOption, stringOption, UsageError } from '../command.ts';
import { jsonText } from '../output.ts';
import { DURABILITY_OPTION, NAMESPACE_OPTION, writing } from '../store-access.ts';
import { parseValue } from '../value-text.ts';

export const command: Command = {
  spec: {
    name: 'put',
    usage:
      'LOCATION KEY [VALUE] [-n NAMESPACE] [--string] [--ttl-ms MS | --expires-at TIME] [--if-absent | --if-stamp STAMP | --if-value JSON]',
    summary: 'Put a value',
    details:
      'VALUE is taken as JSON if it is JSON, otherwise as text; --string takes it as text in any case. Without VALUE, or with "-", it is read from ' +
      'stdin. A key or value that begins with "-" goes after "--". The first put creates the namespace. When the command ends, the value is durable. ' +
      'With a condition it puts only if that holds; if not, it says what is there, and exits with 1.',
    options: {
      namespace: NAMESPACE_OPTION,
      string: { type: 'boolean', help: 'the value is text, also if it looks like JSON' },
      'ttl-ms': { type: 'string', placeholder: 'MS', help: 'the key reads as missing after so many milliseconds' },
      'expires-at': { type: 'string', placeholder: 'TIME', help: 'the same as a time: 2030-01-31T12:00:00Z, or milliseconds since 1970' },
      'if-absent': { type: 'boolean', help: 'only if the key is not there' },
      'if-stamp': { type: 'string', placeholder: 'STAMP', help: 'only if this version is there, as peat get --stamp printed it' },
      'if-value': { type: 'string', placeholder: 'JSON', help: 'only if this value is there' },
      durability: DURABILITY_OPTION,
      json: { type: 'boolean', help: 'print the append token as JSON; with a condition, the outcome' },
    },
    positionals: [2, 3],
    examples: [
      `peat put ./index run/42 '{"state":"done"}'`,
      'peat put ./index -n notes today --string 42',
      'peat put ./index -n runs run/43 --ttl-ms 86400000 < run.json',
      'peat put ./index balance -- -5',
      'peat put ./index leader me --if-absent --ttl-ms 60000',
    ],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const [, key, given] = invocation.positionals as [string, string, string?];
    const expiry = expiryOptions(invocation);
    const text = given === undefined || given === '-' ? await readStdin(signal) : given;
    const value = flag(invocation, 'string') ? text : parseValue(text);
    const condition = conditionOption(invocation);
    if (condition !== undefined) return await putIf(invocation, { key, value, condition, expiry });
    const token = await writing(invocation, { create: true }, (namespace) => namespace.put(key, value, { ...expiry, signal }));
    if (output.json) await output.jsonLine({ token });
    return EXIT_OK;
  },
};

function conditionOption(invocation: Invocation): Condition<unknown> | undefined {
  const ifStamp = stringOption(invocation, 'if-stamp');
  const ifValue = stringOption(invocation, 'if-value');
  const conditions: Condition<unknown>[] = [
    ...(flag(invocation, 'if-absent') ? [{ ifAbsent: true } as const] : []),
    ...(ifStamp === undefined ? [] : [{ ifStamp }]),
    ...(ifValue === undefined ? [] : [{ ifValue: parseValue(ifValue) }]),
  ];
  if (conditions.length > 1) throw new UsageError('give one of --if-absent, --if-stamp and --if-value');
  return conditions[0];
}

async function putIf(
  invocation: Invocation,
  put: { key: string; value: unknown; condition: Condition<unknown>; expiry: { ttlMs?: number; expiresAt?: number } },
): Promise<number> {
  const { output, signal } = invocation;
  const { key, value, condition, expiry } = put;
  const result = await writing(invocation, { create: true }, (namespace) => namespace.putIf(key, value, condition, { ...expiry, signal }));
  if (output.json) await output.jsonLine(result);
  if (result.ok) return EXIT_OK;
  const found = result.value === undefined ? 'the key is not there' : `there is ${jsonText(result.value)}, stamp ${result.stamp}`;
  if (!output.json) output.message(`peat: nothing was put: ${found}`);
  return EXIT_FAILED;
}

async function readStdin(signal: AbortSignal): Promise<string> {
  signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
  const { buffer } = await import('node:stream/consumers');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await buffer(process.stdin));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TypeError) throw new UsageError('the value on stdin is not valid UTF-8');
    throw error;
  }
}

function expiryOptions(invocation: Invocation): { ttlMs?: number; expiresAt?: number } {
  const ttlMs = numberOption(invocation, 'ttl-ms', { least: 1 });
  const time = stringOption(invocation, 'expires-at');
  if (ttlMs !== undefined && time !== undefined) throw new UsageError('give --ttl-ms or --expires-at, not both');
  if (ttlMs !== undefined) return { ttlMs };
  if (time === undefined) return {};
  const expiresAt = /^\d+$/.test(time) ? Number(time) : Date.parse(time);
  if (!Number.isSafeInteger(expiresAt)) throw new UsageError(`--expires-at must be a time, got ${JSON.stringify(time)}`);
  return { expiresAt };
}
