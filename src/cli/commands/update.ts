/** `peat update`: reads a value, lets a program make a new one of it, and writes that, as one step. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { VALUE_BYTES_MAX } from '../../base/value.ts';
import type { UpdateOptions } from '../../datastore/update.ts';
import { type Command, EXIT_OK, type Invocation, numberOption, stringOption, UsageError } from '../command.ts';
import { jsonText } from '../output.ts';
import { NAMESPACE_OPTION, writing } from '../store-access.ts';
import { parseValue } from '../value-text.ts';

export const command: Command = {
  spec: {
    name: 'update',
    usage: 'LOCATION KEY [-n NAMESPACE] (--add N | -- COMMAND [ARGUMENT ...])',
    summary: 'Change a value, so that no change of another process is lost',
    details:
      'COMMAND gets the value as JSON on stdin (nothing if there is none), and prints the new one, as put takes it. If it prints nothing, the value stays. If it ' +
      'fails, nothing is written. It may run several times: whenever another process was faster. Prints the value that is there now.',
    options: {
      namespace: NAMESPACE_OPTION,
      add: { type: 'string', placeholder: 'N', help: 'add a number; a key that is not there counts as 0' },
      'deadline-ms': { type: 'string', placeholder: 'MS', help: 'how long one run of COMMAND may take (default: 10000)' },
      'max-wait-ms': { type: 'string', placeholder: 'MS', help: 'how long to wait behind other updates (default: 60000)' },
      json: { type: 'boolean', help: 'print the outcome as JSON: value, changed, stamp, token' },
    },
    positionals: [2, 2],
    takesCommandLine: true,
    examples: ['peat update ./index hits --add 1', `peat update ./index run/42 -- jq -c '.state = "done"'`],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const key = invocation.positionals[1] as string;
    const change = changeOf(invocation);
    const deadlineMs = numberOption(invocation, 'deadline-ms', { least: 1 });
    const maxWaitMs = numberOption(invocation, 'max-wait-ms', { least: 0 });
    const options: UpdateOptions = {
      signal,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
    };
    const result = await writing(invocation, { create: true }, (namespace) =>
      namespace.update(key, (value, call) => change(value, call.signal), options),
    );
    if (output.json) await output.jsonLine(result);
    else if (typeof result.value === 'string') await output.line(result.value);
    else if (result.value !== undefined) await output.jsonLine(result.value);
    return EXIT_OK;
  },
};

/** How long a command that is no longer waited for may take to end. */
const KILL_AFTER_MS = 2_000;

type Change = (value: unknown, signal: AbortSignal) => unknown;

function changeOf(invocation: Invocation): Change {
  const add = stringOption(invocation, 'add');
  const { commandLine } = invocation;
  if ((add === undefined) === (commandLine.length === 0)) throw new UsageError('give --add N, or a command after "--"');
  if (add === undefined) return (value, signal) => runCommand(commandLine, { value, signal });
  const amount = Number(add);
  if (add.trim() === '' || !Number.isFinite(amount)) throw new UsageError(`--add must be a number, got ${JSON.stringify(add)}`);
  return (value = 0) => {
    if (typeof value !== 'number') throw new Error(`--add needs a number to add to, got ${jsonText(value)}`);
    return value + amount;
  };
}

/** What the command printed; undefined if nothing. */
async function runCommand(commandLine: readonly string[], { value, signal }: { value: unknown; signal: AbortSignal }): Promise<unknown> {
  const { spawn } = await import('node:child_process');
  const [program, ...args] = commandLine as [string, ...string[]];
  const input = value === undefined ? '' : `${toJson(value)}\n`;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const stop = (): void => {
    child.kill();
    setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
    // What it has begun by itself may hold its output open for longer than it lives.
    child.stdout.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  const ended = (once(child, 'exit') as Promise<[number | null, string | null]>).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error(`${program}: command not found; nothing was written`) : error;
  });
  // A command that does not read its input is as good as any other.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let printed: Buffer | undefined;
  try {
    [printed] = await Promise.all([readAtMost(child.stdout, VALUE_BYTES_MAX), ended]);
  } finally {
    if (printed === undefined) stop();
  }
  const [code, killedBy] = await ended;
  if (code !== 0) throw new Error(`${program} ended with ${killedBy ?? `exit code ${code}`}; nothing was written`);
  const text = decode(printed, program);
  return text.trim() === '' ? undefined : parseValue(text.trimEnd());
}

/** @throws TypeError for a value that would not come back as it is */
function toJson(value: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch {
    // A bigint.
  }
  if (json !== undefined && isDeepStrictEqual(JSON.parse(json), value)) return json;
  throw new TypeError(
    'the value holds what JSON has no form for (a date, bytes, a bigint ...), so a command can not get it; nothing was written',
  );
}

async function readAtMost(stream: Readable, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > bytesMax) throw new RangeError(`a value may take ${bytesMax} bytes, and the command printed more; nothing was written`);
  }
  return Buffer.concat(chunks);
}

function decode(printed: Buffer, program: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(printed);
  } catch {
    throw new Error(`what ${program} printed is not valid UTF-8; nothing was written`);
  }
}
