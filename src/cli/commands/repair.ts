/** `peat repair`: the surgery. */
import { isPeatError } from '../../base/errors.ts';
import { nodeSystem } from '../../base/system.ts';
import { checkNamespaceName } from '../../format/layout.ts';
import type { StoreFile } from '../../format/store-file.ts';
import { readStoreFile } from '../../inspect/copy-store.ts';
import { type RepairAction, type RepairReport, repairStore } from '../../inspect/repair.ts';
import type { Medium } from '../../medium/medium.ts';
import { openLocation } from '../../medium/open-location.ts';
import { type Command, EXIT_FAILED, EXIT_OK, flag, type Invocation, stringOption } from '../command.ts';

export const command: Command = {
  spec: {
    name: 'repair',
    usage: 'LOCATION [-n NAMESPACE] [--yes] [--json]',
    summary: 'Take damage out of a store, and keep everything that can be read',
    details:
      'Without --yes it only says what it would do, and what would be lost; exit code 1 if there is something. With --yes each damaged file is first ' +
      'copied to quarantine/ in the store; then a new root takes in what can be read, while the rest of the store goes on working. Restoring a ' +
      'backup may bring back more.',
    options: {
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'only this namespace' },
      yes: { type: 'boolean', help: 'do it' },
      json: { type: 'boolean', help: 'a JSON line an action, and one at the end' },
    },
    positionals: [1, 1],
    examples: ['peat repair /data/index', 'peat repair /data/index --yes && peat verify /data/index'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const apply = flag(invocation, 'yes');
    const namespace = stringOption(invocation, 'namespace');
    const medium = await openForRepair(invocation.positionals[0] as string, apply);
    const lines: Promise<void>[] = [];
    try {
      const report = await repairStore(
        { medium, system: nodeSystem },
        {
          apply,
          ...(namespace === undefined ? {} : { namespaces: [checkNamespaceName(namespace)] }),
          onAction: (action) => {
            lines.push(output.json ? output.jsonLine({ action }) : output.line(actionText(action, apply)));
          },
          signal,
        },
      );
      await Promise.all(lines);
      await (output.json ? output.jsonLine({ report }) : output.line(summary(report)));
      return (apply ? refused(report) : report.actions.length) === 0 ? EXIT_OK : EXIT_FAILED;
    } finally {
      await medium.close();
    }
  },
};

/** With the modes that the store asks for, where that can be read. */
async function openForRepair(location: string, apply: boolean): Promise<Medium> {
  const reader = await openLocation(location, { readOnly: true });
  if (!apply) return reader;
  let modes: Partial<Pick<StoreFile, 'fileMode' | 'directoryMode' | 'group'>> = {};
  try {
    modes = await readStoreFile(reader);
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT') && !isPeatError(error, 'STORE_NOT_FOUND')) throw error;
  } finally {
    await reader.close();
  }
  const { fileMode, directoryMode, group } = modes;
  return await openLocation(location, { fileMode, directoryMode, group });
}

function actionText({ file, what, does, lost, isRefused }: RepairAction, apply: boolean): string {
  if (isRefused === true) return `${file}: ${what}\n  ${does}`;
  return `${file}: ${what}\n  ${apply ? 'did' : 'would'}: ${does}\n  lost: ${lost ?? 'nothing'}`;
}

function summary({ applied, actions, roots }: RepairReport): string {
  if (actions.length === 0) return 'nothing to repair';
  const left = refused({ actions });
  const made = actions.length - left;
  const rest = left === 0 ? [] : [`${left} that it can't make`];
  if (made === 0) return `${left} repairs that it can't make, see above`;
  if (!applied) return [`${made} repairs to make; run it again with --yes`, ...rest].join('; ');
  const put = roots.map(({ namespace, root }) => `root ${root} of ${namespace}`).join(', ');
  return [`${made} repairs made${put === '' ? '' : `: ${put}`}; damaged files are kept in quarantine/`, ...rest].join('; ');
}

function refused({ actions }: Pick<RepairReport, 'actions'>): number {
  return actions.filter(({ isRefused }) => isRefused === true).length;
}
