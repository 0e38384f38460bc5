/** `peat backup`: a copy of a store, made while others write. */
import { resolve } from 'node:path';
import { nodeSystem } from '../../base/system.ts';
import { checkNamespaceName } from '../../format/layout.ts';
import type { CopyProgress } from '../../inspect/copy-namespace.ts';
import { type CopyReport, copyStore, readStoreFile } from '../../inspect/copy-store.ts';
import { isBucketLocation, openLocation } from '../../medium/open-location.ts';
import { type Command, EXIT_OK, type Invocation, stringOption, UsageError } from '../command.ts';
import type { Output } from '../output.ts';

export const command: Command = {
  spec: {
    name: 'backup',
    usage: 'LOCATION DEST [-n NAMESPACE] [--segments appended|framed] [--json]',
    summary: 'Copy a store to a new directory while others write',
    details:
      'DEST must be empty or new. It becomes a store of its own, with an id of its own, that can be opened, verified and restored. Each ' +
      'namespace is copied as it is at one time: its newest root, the tables of that, and what the log holds beyond it. Checksums are verified on ' +
      'the way, and the copy is verified at the end. An interrupted backup has no peat.json and is no store; delete it.',
    options: {
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'only this namespace' },
      segments: {
        type: 'string',
        placeholder: 'appended|framed',
        help: "how the copy's log is written (default: what suits the file system)",
      },
      json: { type: 'boolean', help: 'print the counts as JSON' },
    },
    positionals: [2, 2],
    examples: ['peat backup /data/index /backup/index-monday', 'peat backup /data/index /mnt/nfs/index --segments framed'],
  },

  async run(invocation: Invocation): Promise<number> {
    return await runCopy(invocation, 'backup');
  },
};

export async function runCopy(invocation: Invocation, verb: 'backup' | 'restore'): Promise<number> {
  const [from, to] = invocation.positionals as [string, string];
  const { output, signal } = invocation;
  const namespace = stringOption(invocation, 'namespace');
  const segments = stringOption(invocation, 'segments');
  if (segments !== undefined && segments !== 'appended' && segments !== 'framed') {
    throw new UsageError(`--segments must be appended or framed, got ${JSON.stringify(segments)}`);
  }
  checkApart(from, to);
  const source = await openLocation(from, { readOnly: true });
  try {
    const { fileMode, directoryMode, group } = await readStoreFile(source);
    const canAppend = segments === undefined ? {} : { canAppend: segments === 'appended' };
    // Permissions of files mean nothing in a bucket.
    const modes = isBucketLocation(to) ? {} : { fileMode, directoryMode, group };
    const target = await openLocation(to, { create: true, ...modes, ...canAppend });
    try {
      const options = {
        ...(namespace === undefined ? {} : { namespaces: [checkNamespaceName(namespace)] }),
        onProgress: (progress: CopyProgress) => output.progress(() => progressText(verb, progress)),
        signal,
      };
      await print(output, await copyStore({ source, target, system: nodeSystem }, options), { verb, to });
      return EXIT_OK;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** A copy within the store would be stray files of it; a store within its copy likewise. */
function checkApart(from: string, to: string): void {
  const place = (location: string): string => `${isBucketLocation(location) ? location.replace(/\/+$/, '') : resolve(location)}/`;
  const [source, target] = [place(from), place(to)];
  if (source !== target && (source.startsWith(target) || target.startsWith(source))) {
    throw new UsageError(`a copy must not lie within its store, nor the store within its copy: got ${from} and ${to}`);
  }
}

function progressText(verb: string, { namespace, tables, tablesTotal, frames, bytes }: CopyProgress): string {
  return `${verb} of ${namespace}: ${tables} of ${tablesTotal} tables, ${frames} frames, ${(bytes / 1e6).toFixed(1)} MB`;
}

async function print(output: Output, report: CopyReport, { verb, to }: { verb: string; to: string }): Promise<void> {
  if (output.json) return await output.jsonLine(report);
  for (const { namespace, root, tables, entries, frames, deltas, records, recordDeltas } of report.namespaces) {
    await output.line(
      `${namespace}: root ${root}, ${tables} tables with ${entries} entries, tail of ${frames} frames with ${deltas} deltas` +
        `${records === 0 ? '' : ` and ${records} records with ${recordDeltas}`}: in = out`,
    );
  }
  await output.line(
    `${verb} of store ${report.copiedFrom} is store ${report.storeId} at ${to}: ${report.namespaces.length} namespaces, ${report.bytes} bytes, verified`,
  );
}
