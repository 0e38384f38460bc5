/** `peat stats`: facts about a store and its namespaces. */
import type { NamespaceStats } from '../../datastore/stats.ts';
import { bucketText } from '../bucket-text.ts';
import { type Command, EXIT_OK, type Invocation, stringOption } from '../command.ts';
import { withStore } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'stats',
    usage: 'LOCATION [-n NAMESPACE] [--json]',
    summary: 'Show facts about a store',
    details:
      'Entries count a key once for each table that has it. The tail is what no root has absorbed yet: a long one says that no compactor keeps up. ' +
      'Dropped files wait for the retention (15 minutes) to pass. For a store in a bucket it also says what this very command asked of it: requests, bytes, ' +
      'an estimate of what that costs at list prices, and what the cache on this machine saved.',
    options: {
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'only this namespace (default: all)' },
      json: { type: 'boolean', help: 'a JSON object a namespace; for a bucket, a last one with its requests' },
    },
    positionals: [1, 1],
    examples: ['peat stats ./index', 'peat stats ./index -n runs --json'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    await withStore(invocation, async (store) => {
      const only = stringOption(invocation, 'namespace');
      const names = only === undefined ? await store.namespaces({ signal }) : [only];
      const rows: string[][] = [];
      for (const name of names) {
        const namespace = store.namespace(name);
        const stats = await namespace.stats({ signal });
        await namespace.close();
        if (output.json) await output.jsonLine({ namespace: name, ...stats });
        else rows.push(toRow(name, stats));
      }
      const { bucket } = await store.stats();
      if (output.json) {
        if (bucket !== undefined) await output.jsonLine({ bucket });
        return;
      }
      await output.line(`store ${store.file.storeId} at ${store.description}, segments ${store.file.segments}`);
      if (rows.length === 0) await output.line('no namespaces');
      else for (const line of toTable([HEAD, ...rows])) await output.line(line);
      if (bucket !== undefined) for (const line of bucketText(bucket)) await output.line(line);
    });
    return EXIT_OK;
  },
};

const HEAD = [
  'namespace',
  'root',
  'shards',
  'tables',
  'depth',
  'entries',
  'tombstones',
  'bytes',
  'tail frames',
  'tail bytes',
  'segments',
  'records',
  'record bytes',
  'dropped files',
];

function toRow(name: string, stats: NamespaceStats): string[] {
  const { root, shards, tables, stackDepthMax, tableEntries, tombstones, tableBytes, tail, droppedFiles } = stats;
  const numbers = [
    root,
    shards,
    tables,
    stackDepthMax,
    tableEntries,
    tombstones,
    tableBytes,
    tail.frames,
    tail.bytes,
    tail.segments,
    tail.records,
    tail.recordBytes,
    droppedFiles,
  ];
  return [name, ...numbers.map(String)];
}

/** Names to the left, numbers to the right. */
function toTable(rows: readonly (readonly string[])[]): string[] {
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number))).join('  '),
  );
}
