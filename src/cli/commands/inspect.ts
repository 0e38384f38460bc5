/** `peat inspect`: the microscope. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { PeatError } from '../../base/errors.ts';
import { hexDump } from '../../inspect/hex-dump.ts';
import { inspectBytes } from '../../inspect/inspection.ts';
import { inspectionText } from '../../inspect/inspection-text.ts';
import { storeNameOfPath } from '../../inspect/store-names.ts';
import { type Command, EXIT_FAILED, EXIT_OK, flag, type Invocation, UsageError } from '../command.ts';

export const command: Command = {
  spec: {
    name: 'inspect',
    usage: 'FILE [--values] [--hex] [--json]',
    summary: 'Show what stands in any file of a store',
    details:
      'Recognises the file by its path (segments are checked against their names), or else by what stands in it. Of a damaged file it shows what can be ' +
      'read, and where it can not. Exit code 1 if something in the file is damaged; a torn tail is not.',
    options: {
      values: { type: 'boolean', help: "show values whole, and every entry of tables' blocks" },
      hex: { type: 'boolean', help: 'show segments and tables byte by byte, with the name of each field' },
      json: { type: 'boolean', help: 'print one JSON object' },
    },
    positionals: [1, 1],
    examples: [
      'peat inspect /data/index/peat.json',
      'peat inspect /data/index/ns/runs/root/00000000000000000042',
      'peat inspect --values /data/index/ns/runs/log/00000000000000000042-5jh1k0u3kq2b8c9d-0',
    ],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output } = invocation;
    const path = resolve(invocation.positionals[0] as string);
    const bytes = await read(path);
    const name = storeNameOfPath(path);
    const inspection = inspectBytes(bytes, { name, values: flag(invocation, 'values') });
    if (output.json) {
      await output.jsonLine(inspection);
    } else if (flag(invocation, 'hex')) {
      const lines = name === undefined ? undefined : hexDump(bytes, name);
      if (lines === undefined) throw new UsageError('--hex is for segments and table files, in a folder as a store has it');
      for (const line of lines) await output.line(line);
    } else {
      for (const line of inspectionText(inspection)) await output.line(line);
    }
    return inspection.problems.length === 0 ? EXIT_OK : EXIT_FAILED;
  },
};

async function read(path: string): Promise<Buffer> {
  try {
    // What is no file may never end, or never begin.
    if (!(await stat(path)).isFile()) throw new Error('it is no file');
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new PeatError(code === 'EACCES' ? 'ACCESS_DENIED' : 'STORAGE', `${path} can't be read: ${message}`, { file: path, cause: error });
  }
}
