/** `peat restore`: a store from a backup. The same copy the other way. */
import type { Command, Invocation } from '../command.ts';
import { runCopy } from './backup.ts';

export const command: Command = {
  spec: {
    name: 'restore',
    usage: 'BACKUP LOCATION [-n NAMESPACE] [--segments appended|framed] [--json]',
    summary: 'Make a store from a backup',
    details:
      'LOCATION must be empty or new; restore beside the old store, and move it into place. Checksums are verified on the way, and the new ' +
      'store at the end. With --segments it is also the way from a local disk to a network file system and back.',
    options: {
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'only this namespace' },
      segments: {
        type: 'string',
        placeholder: 'appended|framed',
        help: "how the store's log is written (default: what suits the file system)",
      },
      json: { type: 'boolean', help: 'print the counts as JSON' },
    },
    positionals: [2, 2],
    examples: ['peat restore /backup/index-monday /data/index', 'peat restore /backup/index-monday /mnt/nfs/index --segments framed'],
  },

  async run(invocation: Invocation): Promise<number> {
    return await runCopy(invocation, 'restore');
  },
};
