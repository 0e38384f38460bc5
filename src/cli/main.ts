#!/usr/bin/env node
/**
 * The command `peat`: finds the command, parses its arguments, runs it, and turns what happened into an exit code.
 * Start-up counts: nothing is imported that the command does not need.
 */
import { parseArgs } from 'node:util';
import { type Command, EXIT_FAILED, EXIT_OK, EXIT_TEMPORARY, EXIT_USAGE, parseArgsOptions, UsageError } from './command.ts';
import { Output } from './output.ts';

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  init: () => import('./commands/init.ts'),
  put: () => import('./commands/put.ts'),
  get: () => import('./commands/get.ts'),
  update: () => import('./commands/update.ts'),
  delete: () => import('./commands/delete.ts'),
  list: () => import('./commands/list.ts'),
  watch: () => import('./commands/watch.ts'),
  stats: () => import('./commands/stats.ts'),
  sync: () => import('./commands/sync.ts'),
  namespace: () => import('./commands/namespace.ts'),
  lock: () => import('./commands/lock.ts'),
  import: () => import('./commands/import.ts'),
  export: () => import('./commands/export.ts'),
  replay: () => import('./commands/replay.ts'),
  'replay-writer': () => import('./commands/replay-writer.ts'),
  compact: () => import('./commands/compact.ts'),
  compactor: () => import('./commands/compactor.ts'),
  backup: () => import('./commands/backup.ts'),
  restore: () => import('./commands/restore.ts'),
  inspect: () => import('./commands/inspect.ts'),
  verify: () => import('./commands/verify.ts'),
  repair: () => import('./commands/repair.ts'),
};

const TEMPORARY_CODES: ReadonlySet<unknown> = new Set(['TEMPORARY', 'UPDATE_TIMEOUT', 'LOCK_TIMEOUT', 'LOCK_LOST']);

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const { showHelp } = await import('./help.ts');
    return await showHelp(name === 'help' ? rest[0] : undefined, COMMANDS);
  }
  if (name === '--version' || name === '-V') {
    const { showVersion } = await import('./help.ts');
    return await showVersion();
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}; see peat help`);
  const { command } = await load();
  const optionsEnd = rest.indexOf('--');
  if (rest.slice(0, optionsEnd < 0 ? rest.length : optionsEnd).some((arg) => arg === '--help' || arg === '-h')) {
    const { showHelp } = await import('./help.ts');
    return await showHelp(name, COMMANDS);
  }
  return await runCommand(command, rest);
}

async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  const { spec } = command;
  const end = spec.takesCommandLine === true ? args.indexOf('--') : -1;
  const own = end < 0 ? args : args.slice(0, end);
  const commandLine = end < 0 ? [] : args.slice(end + 1);
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...own], options: parseArgsOptions(spec), allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\nusage: peat ${spec.name} ${spec.usage}`);
  }
  const [least, most] = spec.positionals;
  if (parsed.positionals.length < least || parsed.positionals.length > most) {
    const count = least === most ? least : most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`;
    throw new UsageError(
      `peat ${spec.name} takes ${count} arguments, got ${parsed.positionals.length}\nusage: peat ${spec.name} ${spec.usage}`,
    );
  }
  const output = new Output({ json: parsed.values['json'] === true });
  const stop = new AbortController();
  const code = await withSignals(stop, () =>
    command.run({ positionals: parsed.positionals, commandLine, options: parsed.values as never, output, signal: stop.signal }),
  );
  await output.close();
  return code;
}

/** The first INT, TERM or HUP asks the command to end; a second one of the same kind ends it as it stands. */
async function withSignals(stop: AbortController, run: () => Promise<number>): Promise<number> {
  const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
  let received: keyof typeof numbers | undefined;
  for (const name of Object.keys(numbers) as (keyof typeof numbers)[]) {
    process.once(name, () => {
      received = name;
      stop.abort(new Error(`ended by ${name}`));
    });
  }
  try {
    return await run();
  } catch (error) {
    if (received !== undefined && stop.signal.aborted) return 128 + numbers[received];
    throw error;
  }
}

function report(error: unknown): number {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === 'EPIPE') return EXIT_OK;
  const end = process.argv.indexOf('--');
  const json = process.argv.slice(0, end < 0 ? undefined : end).includes('--json');
  process.stderr.write(json ? `${JSON.stringify({ error: { code, message } })}\n` : `peat: ${String(message ?? error)}\n`);
  if (error instanceof UsageError) return EXIT_USAGE;
  if (error instanceof TypeError || error instanceof RangeError) return code === undefined ? EXIT_USAGE : EXIT_FAILED;
  return TEMPORARY_CODES.has(code) ? EXIT_TEMPORARY : EXIT_FAILED;
}

process.exitCode = await main(process.argv.slice(2)).catch(report);
