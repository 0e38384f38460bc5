/** `peat init`: creates a store. */
import { open } from '../../datastore/open.ts';
import type { OpenOptions } from '../../datastore/options.ts';
import { type Command, EXIT_OK, flag, type Invocation, stringOption, UsageError } from '../command.ts';

export const command: Command = {
  spec: {
    name: 'init',
    usage: 'LOCATION [--segments appended|framed] [--file-mode MODE] [--directory-mode MODE] [--group ID] [--single-host [--lock-dir DIR]]',
    summary: 'Create a store, or say what is there',
    details:
      'Probes the file system and writes peat.json. A store that is there already is left as it is. For a store that several users share ' +
      'give it to a group: all files and directories of the store get these permissions, whatever the umask of the process that creates them.',
    options: {
      segments: {
        type: 'string',
        placeholder: 'appended|framed',
        help: 'a growing file a writer, or a file a group of appends (default: what suits)',
      },
      'file-mode': { type: 'string', placeholder: 'MODE', help: 'permission bits of files, octal: 0660' },
      'directory-mode': { type: 'string', placeholder: 'MODE', help: 'permission bits of directories, octal: 2770' },
      group: { type: 'string', placeholder: 'ID', help: "the group's number" },
      'single-host': { type: 'boolean', help: 'processes of one host only will use the store' },
      'lock-dir': {
        type: 'string',
        placeholder: 'DIR',
        help: 'with --single-host: keep lock files here, in a directory that is there (default: in the store)',
      },
      json: { type: 'boolean', help: 'print what peat.json says' },
    },
    positionals: [1, 1],
    examples: ['peat init ./index', 'peat init /srv/index --group 1042 --file-mode 0660 --directory-mode 2770'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output } = invocation;
    const location = invocation.positionals[0] as string;
    const store = await open(location, { create: true, ...createOptions(invocation) });
    try {
      const { file } = store;
      if (output.json) await output.jsonLine(file);
      else await output.line(`store ${file.storeId} at ${store.description}, segments ${file.segments}`);
      return EXIT_OK;
    } finally {
      await store.close();
    }
  },
};

function createOptions(invocation: Invocation): OpenOptions {
  const segments = stringOption(invocation, 'segments');
  if (segments !== undefined && segments !== 'appended' && segments !== 'framed') {
    throw new UsageError(`--segments must be appended or framed, got ${JSON.stringify(segments)}`);
  }
  const fileMode = wholeNumber(invocation, 'file-mode', 8);
  const directoryMode = wholeNumber(invocation, 'directory-mode', 8);
  const group = wholeNumber(invocation, 'group', 10);
  const singleHost = flag(invocation, 'single-host');
  const lockDir = stringOption(invocation, 'lock-dir');
  if (lockDir !== undefined && !singleHost) throw new UsageError('--lock-dir goes with --single-host: other hosts would lock elsewhere');
  return {
    ...(segments === undefined ? {} : { segments }),
    ...(fileMode === undefined ? {} : { fileMode }),
    ...(directoryMode === undefined ? {} : { directoryMode }),
    ...(group === undefined ? {} : { group }),
    ...(singleHost ? { singleHost } : {}),
    ...(lockDir === undefined ? {} : { lockDir }),
  };
}

function wholeNumber(invocation: Invocation, name: string, radix: 8 | 10): number | undefined {
  const text = stringOption(invocation, name);
  if (text === undefined) return undefined;
  if (!(radix === 8 ? /^[0-7]{3,5}$/ : /^\d{1,10}$/).test(text)) {
    throw new UsageError(`--${name} must be ${radix === 8 ? 'octal permission bits, as 0660' : 'a number'}, got ${JSON.stringify(text)}`);
  }
  return Number.parseInt(text, radix);
}
