/**
 * Listing: pages of a thousand, in byte order of the keys. The order, the prefix and the start are checked in each page: everything rests on
 * them, and there are servers that leave one out.
 */
import { PeatError } from '../../base/errors.ts';
import type { ListedObject, ListOptions } from '../medium.ts';
import { type S3Answer, type S3Client, UnusableAnswer } from './s3-client.ts';
import { type ListPage, parseListPage } from './s3-xml.ts';

export interface ListContext {
  readonly client: S3Client;
  /** Of all keys of the store. */
  readonly storePrefix: string;
  /** For messages. */
  readonly description: string;
}

type DatedPage = ListPage & Pick<S3Answer, 'answeredAtMs'>;

/** @throws RequestFailure, PeatError `MEDIUM_UNSUITABLE` */
export async function listObjects(context: ListContext, prefix: string, options: ListOptions): Promise<ListedObject[]> {
  const { after, stats = false, signal, onAnswer } = options;
  signal?.throwIfAborted();
  // Nothing under the prefix comes after a name that is behind all of it.
  if (after !== undefined && after > prefix && !after.startsWith(prefix)) return [];
  const start = after !== undefined && after >= prefix ? after : undefined;
  const whole = context.storePrefix + prefix;
  const query = { prefix: whole, ...(start === undefined ? {} : { 'start-after': context.storePrefix + start }) };
  const listed: ListedObject[] = [];
  let last = start === undefined ? undefined : context.storePrefix + start;
  let isFirst = true;
  for await (const page of pages(context, query, signal)) {
    if (isFirst) onAnswer?.(page.answeredAtMs);
    isFirst = false;
    for (const { name: key, size, modifiedMs } of page.objects) {
      if (!key.startsWith(whole)) refuse(context, 'a listing shows objects that do not have the prefix');
      if (last !== undefined && !isBefore(last, key)) {
        refuse(context, listed.length === 0 ? 'a listing ignores where it should start (start-after)' : 'a listing is not in order');
      }
      last = key;
      const name = key.slice(context.storePrefix.length);
      listed.push(stats ? { name, size, modifiedMs } : { name });
    }
  }
  return listed;
}

/** @throws RequestFailure, PeatError `MEDIUM_UNSUITABLE` */
export async function listFolders(context: ListContext, prefix: string): Promise<string[]> {
  const whole = context.storePrefix + prefix;
  const folders: string[] = [];
  for await (const page of pages(context, { prefix: whole, delimiter: '/' }, undefined)) {
    for (const folder of page.folders) {
      if (!folder.startsWith(whole)) refuse(context, 'a listing shows folders that do not have the prefix');
      folders.push(folder.slice(whole.length, -1));
    }
  }
  return folders.sort();
}

async function* pages(
  { client }: ListContext,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<DatedPage, void> {
  let continuation: string | undefined;
  do {
    const page: DatedPage = await client.send(
      {
        kind: 'list',
        method: 'GET',
        query: { 'list-type': '2', ...query, ...(continuation === undefined ? {} : { 'continuation-token': continuation }) },
        signal,
      },
      (answer) => {
        if (answer.status !== 200) throw new UnusableAnswer(answer);
        return { ...parseListPage(answer.body), answeredAtMs: answer.answeredAtMs };
      },
    );
    yield page;
    continuation = page.continuation;
  } while (continuation !== undefined);
}

/** By bytes; JavaScript's own order differs from that for some characters that only others' objects can have. */
function isBefore(a: string, b: string): boolean {
  return a < b || Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}

function refuse({ description }: ListContext, what: string): never {
  throw new PeatError('MEDIUM_UNSUITABLE', `${description} can't hold a store: ${what}`);
}
