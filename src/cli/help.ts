/** What `peat help` prints: all commands, or one with its options and examples. Made from the commands' own specifications. */
import { type Command, type CommandSpec, EXIT_OK, type OptionSpec, UsageError } from './command.ts';
import { Output } from './output.ts';

type Commands = Readonly<Record<string, () => Promise<{ command: Command }>>>;

const EXIT_CODES = [
  'Exit codes:',
  '  0   done',
  '  1   failed; the message on stderr says why',
  '  2   wrong arguments',
  '  75  temporary: try again later',
];

export async function showHelp(name: string | undefined, commands: Commands): Promise<number> {
  const output = new Output({ json: false });
  const lines = name === undefined ? await overview(commands) : commandHelp((await find(name, commands)).spec);
  for (const line of lines) await output.line(line);
  await output.close();
  return EXIT_OK;
}

export async function showVersion(): Promise<number> {
  const output = new Output({ json: false });
  await output.line(await findVersion());
  await output.close();
  return EXIT_OK;
}

/** From the package's own `package.json`, which lies above this file, however far the build has moved it. */
async function findVersion(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  for (let folder = new URL('.', import.meta.url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    const text = await readFile(new URL('package.json', folder), 'utf8').catch(() => '{}');
    const { name, version } = JSON.parse(text) as { name?: string; version?: string };
    if (name === 'peatlog' && version !== undefined) return version;
  }
  throw new Error("the package's own package.json was not found");
}

async function find(name: string, commands: Commands): Promise<Command> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}; see peat help`);
  return (await load()).command;
}

async function overview(commands: Commands): Promise<string[]> {
  const specs = (await Promise.all(Object.values(commands).map((load) => load()))).map(({ command }) => command.spec);
  const shown = specs.filter(({ hidden }) => hidden !== true);
  const width = Math.max(...shown.map(({ name }) => name.length));
  return [
    'peat: an embedded datastore that many processes share',
    '',
    'Usage: peat COMMAND LOCATION [ARGUMENTS] [-n NAMESPACE] [--json] ...',
    '',
    'LOCATION is the directory of a store, or s3://bucket/prefix; NAMESPACE is "default" where none is given.',
    '',
    'Commands:',
    ...shown.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Examples:',
    '  peat init ./index',
    `  peat put ./index -n runs run/42 '{"state":"done"}'`,
    '  peat get ./index -n runs run/42',
    '  peat help list',
    '',
    ...EXIT_CODES,
  ];
}

const WRAP_COLUMNS = 100;

function commandHelp(spec: CommandSpec): string[] {
  const options = Object.entries(spec.options).map(([name, option]) => [optionName(name, option), option.help] as const);
  const width = Math.max(0, ...options.map(([name]) => name.length));
  return [
    spec.summary,
    '',
    `Usage: peat ${spec.name} ${spec.usage}`,
    ...(spec.details === undefined ? [] : ['', ...spec.details.split('\n').flatMap(wrap)]),
    ...(options.length === 0 ? [] : ['', 'Options:', ...options.map(([name, help]) => `  ${name.padEnd(width)}  ${help}`)]),
    '',
    'Examples:',
    ...spec.examples.map((example) => `  ${example}`),
    '',
    ...EXIT_CODES,
  ];
}

function optionName(name: string, { short, placeholder, type }: OptionSpec): string {
  const long = type === 'string' ? `--${name} ${placeholder ?? 'VALUE'}` : `--${name}`;
  return short === undefined ? `    ${long}` : `-${short}, ${long}`;
}

function wrap(paragraph: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WRAP_COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
