/** `peat verify`: checks every byte of a store. */
import { nodeSystem } from '../../base/system.ts';
import { checkNamespaceName } from '../../format/layout.ts';
import { type Finding, findingText } from '../../inspect/finding.ts';
import { type VerifyReport, verifyStore } from '../../inspect/verify.ts';
import type { NamespaceCensus, VerifyProgress } from '../../inspect/verify-context.ts';
import { openLocation } from '../../medium/open-location.ts';
import { type Command, EXIT_FAILED, EXIT_OK, flag, type Invocation, stringOption } from '../command.ts';

export const command: Command = {
  spec: {
    name: 'verify',
    usage: 'LOCATION [-n NAMESPACE] [--all] [--json]',
    summary: 'Check every checksum, order, reference and count in a store',
    details:
      'Writes nothing, and may run while others write and compact. Each finding says where, what, what it means and what to do. ' +
      'Torn tails, locks and temporary files are normal traces, and only counted unless --all is given. A damaged byte in the last ' +
      "group of an unsealed segment can't be told from a torn tail. Exit code 0: no damage; 1: damage.",
    options: {
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'only this namespace' },
      all: { type: 'boolean', help: 'print the normal traces, too' },
      json: { type: 'boolean', help: 'a JSON line a finding, and one at the end with the counts' },
    },
    positionals: [1, 1],
    examples: ['peat verify /data/index', 'peat verify /data/index -n runs --json'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const namespace = stringOption(invocation, 'namespace');
    const showsAll = flag(invocation, 'all') || output.json;
    const lines: Promise<void>[] = [];
    const onFinding = (finding: Finding): void => {
      if (finding.severity === 'info' && !showsAll) return;
      lines.push(output.json ? output.jsonLine({ finding }) : output.line(findingText(finding)));
    };
    const medium = await openLocation(invocation.positionals[0], { readOnly: true });
    try {
      const report = await verifyStore(
        { medium, system: nodeSystem },
        {
          ...(namespace === undefined ? {} : { namespaces: [checkNamespaceName(namespace)] }),
          onFinding,
          onProgress: (progress) => output.progress(() => progressText(progress)),
          signal,
        },
      );
      await Promise.all(lines);
      if (output.json) await output.jsonLine({ report });
      else for (const line of reportLines(report)) await output.line(line);
      return report.clean ? EXIT_OK : EXIT_FAILED;
    } finally {
      await medium.close();
    }
  },
};

function progressText({ part, namespace, files, bytes }: VerifyProgress): string {
  return `verifying ${namespace} ${part}: ${files} reads, ${(bytes / 1e6).toFixed(1)} MB`;
}

function reportLines({ counts, files, bytes, namespaces, clean }: VerifyReport): string[] {
  const sum = `${counts.damage} damaged, ${counts.warning} warnings, ${counts.info} notes; ${files} reads, ${bytes} bytes`;
  return [...namespaces.map(namespaceLine), `${clean ? 'clean' : 'DAMAGED'}: ${sum}`];
}

function namespaceLine(census: NamespaceCensus): string {
  const { namespace, root, state, roots, shards, tables, entries, segments, tailFrames, tailDeltas, tornBytes } = census;
  const { records, tailRecords, recordDeltas } = census;
  if (state !== 'live') return `${namespace}: ${state}${root === undefined ? '' : ` (root ${root})`}`;
  const torn = tornBytes === 0 ? '' : `, ${tornBytes} torn bytes`;
  const updates = records === 0 ? '' : `; ${records} records, tail of ${tailRecords}, ${recordDeltas} deltas`;
  return `${namespace}: root ${root} of ${roots}, ${shards} shards, ${tables} tables, ${entries} entries; ${segments} segments, tail of ${tailFrames} frames, ${tailDeltas} deltas${torn}${updates}`;
}
