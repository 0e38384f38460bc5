/** `peat update`: reads a value, lets a program make a new one of it, and writes that, as one step. */
import { once } from 'node:events';
import type { UpdateOptions } from '../../datastore/update.ts';
import { type Command, EXIT_OK, type Invocation, numberOption, stringOption, UsageError } from '../command.ts';
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
    if (typeof value !== 'number') throw new TypeError(`--add needs a number to add to, got ${JSON.stringify(value)}`);
    return value + amount;
  };
}

/** What the command printed; undefined if nothing. */
async function runCommand(commandLine: readonly string[], { value, signal }: { value: unknown; signal: AbortSignal }): Promise<unknown> {
  const { spawn } = await import('node:child_process');
  const { buffer } = await import('node:stream/consumers');
  const [program, ...args] = commandLine as [string, ...string[]];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const stop = (): void => {
    child.kill();
    setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
    // What it has begun by itself may hold its output open for longer than it lives.
    child.stdout.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  // A command that does not read its input is as good as any other.
  child.stdin.on('error', () => {});
  child.stdin.end(value === undefined ? '' : `${JSON.stringify(value)}\n`);
  const [printed, [code, killedBy]] = await Promise.all([
    buffer(child.stdout),
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  if (code !== 0) throw new Error(`${program} ended with ${killedBy ?? `exit code ${code}`}; nothing was written`);
  const text = decode(printed, program);
  return text.trim() === '' ? undefined : parseValue(text.trimEnd());
}

function decode(printed: Buffer, program: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(printed);
  } catch {
    throw new Error(`what ${program} printed is not valid UTF-8; nothing was written`);
  }
}
