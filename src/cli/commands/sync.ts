/** `peat sync`: brings this machine's cache of a bucket level with the store. */
import type { SyncProgress, SyncReport } from '../../datastore/sync.ts';
import { type Command, EXIT_OK, type Invocation, stringOption } from '../command.ts';
import { withStore } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'sync',
    usage: 'LOCATION [-n NAMESPACE] [--prefix PREFIX] [--json]',
    summary: "Bring this machine's cache of a bucket level with the store",
    details:
      'Fetches what the cache lacks of the tables of the newest roots, so that reads afterwards move only what is new. Writes nothing into the store. ' +
      'A store that is not in a bucket has no cache, and there is nothing to do. If some tables fail, the others are fetched all the same; ' +
      'the error lists every failure.',
    options: {
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'only this namespace (default: all)' },
      prefix: { type: 'string', placeholder: 'PREFIX', help: 'only tables that may have keys that begin with this' },
      json: { type: 'boolean', help: 'one JSON object: what was moved' },
    },
    positionals: [1, 1],
    examples: ['peat sync s3://bucket/index', 'peat sync s3://bucket/index -n runs --prefix run/ --json'],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const namespace = stringOption(invocation, 'namespace');
    const prefix = stringOption(invocation, 'prefix');
    const onProgress = (progress: SyncProgress): void => output.progress(() => progressText(progress));
    const options = { signal, onProgress, ...(namespace === undefined ? {} : { namespace }), ...(prefix === undefined ? {} : { prefix }) };
    const report = await withStore(invocation, (store) => store.sync(options));
    if (output.json) await output.jsonLine(report);
    else await output.line(reportText(report));
    const { cache, tableBytes } = report;
    if (cache !== undefined && tableBytes > cache.bytesMax) {
      output.message(
        `peat: the tables have ${tableBytes} bytes, and the cache in ${cache.directory} holds ${cache.bytesMax}: not all of them stay; see PEAT_CACHE_BYTES`,
      );
    }
    return EXIT_OK;
  },
};

function progressText({ tables, tablesDone, bytes, bytesDone }: SyncProgress): string {
  return `${tablesDone} of ${tables} tables, ${bytesDone} of ${bytes} bytes`;
}

function reportText(report: SyncReport): string {
  if (report.nothingToDo === 'no-bucket') return 'nothing to do: the store is not in a bucket, so it has no cache';
  if (report.nothingToDo === 'no-cache')
    return 'nothing to do: this machine caches nothing of buckets (see PEAT_CACHE_BYTES and PEAT_CACHE_DIR)';
  const { namespaces, tables, tablesFetched, bytesFetched, bytesThere, requests } = report;
  return (
    `${namespaces.length} namespaces, ${tables} tables: fetched ${tablesFetched} of them, ${bytesFetched} bytes, ` +
    `with ${requests} requests in all; ${bytesThere} bytes were there already`
  );
}
