/** What the strict server in memory does with each kind of request. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { parse, type TNode } from 'txml/txml';
import type { SortedNames } from '../../../src/medium/sorted-names.ts';

export const FAKE_BUCKET = 'bucket';

export type Deviation =
  | 'ignores-conditions'
  | 'ignores-start-after'
  | 'lists-late'
  | 'lists-in-disorder'
  | 'keeps-deleted'
  | 'forgets-metadata';

export interface FakeObject {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly modifiedMs: number;
}

export interface FakeState {
  readonly objects: Map<string, FakeObject>;
  readonly names: SortedNames;
  /** What a listing shows on a server that lists late: the names as they were before the last change. */
  staleNames: readonly string[];
  readonly pageSize: number;
  readonly deviation: Deviation | undefined;
}

export interface FakeAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const ALLOWED_HEADERS =
  /^(host|connection|authorization|content-length|content-type|content-md5|range|if-none-match|x-amz-(date|content-sha256|security-token|meta-peat-sha256|server-side-encryption(-aws-kms-key-id)?))$/;

const xml = (text: string): Buffer => Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`);
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

export function refuse(status: number, code: string, message: string): FakeAnswer {
  return { status, body: xml(`<Error><Code>${code}</Code><Message>${escaped(message)}</Message><RequestId>1</RequestId></Error>`) };
}

export function answerRequest(state: FakeState, request: IncomingMessage, body: Buffer): FakeAnswer {
  const strange = Object.keys(request.headers).find((name) => !ALLOWED_HEADERS.test(name));
  if (strange !== undefined) return refuse(501, 'NotImplemented', `header ${strange}`);
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const [bucket, ...rest] = decodeURIComponent(url.pathname.slice(1)).split('/');
  if (bucket !== FAKE_BUCKET) return refuse(404, 'NoSuchBucket', 'The bucket does not exist.');
  const key = rest.join('/');
  if (key !== '' && url.search !== '') return refuse(501, 'NotImplemented', `query ${url.search}`);
  switch (`${request.method} ${key === '' ? 'bucket' : 'object'}`) {
    case 'GET bucket':
      return list(state, url.searchParams);
    case 'POST bucket':
      return deleteMany(state, request, { body, query: url.searchParams });
    case 'PUT object':
      return put(state, request, { key, body });
    case 'GET object':
    case 'HEAD object':
      return get(state, request, key);
    case 'DELETE object':
      remove(state, key);
      return { status: 204 };
    default:
      return refuse(405, 'MethodNotAllowed', 'The method is not allowed.');
  }
}

function put(state: FakeState, request: IncomingMessage, { key, body }: { key: string; body: Buffer }): FakeAnswer {
  if (request.headers['content-length'] === undefined) return refuse(411, 'MissingContentLength', 'no length');
  const condition = request.headers['if-none-match'];
  if (condition !== '*') return refuse(501, 'NotImplemented', 'a PUT without If-None-Match: *');
  if (Buffer.byteLength(key) > 1024) return refuse(400, 'KeyTooLongError', 'The key is too long.');
  if (state.objects.has(key) && state.deviation !== 'ignores-conditions') {
    return refuse(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
  }
  const metadata = Object.fromEntries(Object.entries(request.headers).filter(([name]) => name.startsWith('x-amz-meta-'))) as Record<
    string,
    string
  >;
  state.staleNames = [...state.names.all];
  if (!state.objects.has(key)) state.names.add(key);
  const etag = `"${createHash('md5').update(body).digest('hex')}"`;
  state.objects.set(key, { bytes: body, etag, metadata, modifiedMs: Date.now() });
  return { status: 200, headers: { etag } };
}

function get(state: FakeState, request: IncomingMessage, key: string): FakeAnswer {
  const object = state.objects.get(key);
  if (object === undefined) return refuse(404, 'NoSuchKey', 'The specified key does not exist.');
  const { bytes, etag, metadata } = object;
  const headers = state.deviation === 'forgets-metadata' ? { etag } : { etag, ...metadata };
  if (request.method === 'HEAD') return { status: 200, headers: { ...headers, 'content-length': String(bytes.length) } };
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (range === null) return refuse(501, 'NotImplemented', 'a GET without a range');
  const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)];
  if (start >= bytes.length)
    return { ...refuse(416, 'InvalidRange', 'not satisfiable'), headers: { 'content-range': `bytes */${bytes.length}` } };
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` },
    body: bytes.subarray(start, end),
  };
}

function remove(state: FakeState, key: string): void {
  if (state.deviation === 'keeps-deleted') return;
  state.staleNames = [...state.names.all];
  if (state.objects.delete(key)) state.names.delete(key);
}

function deleteMany(state: FakeState, request: IncomingMessage, { body, query }: { body: Buffer; query: URLSearchParams }): FakeAnswer {
  if ([...query.keys()].join() !== 'delete') return refuse(501, 'NotImplemented', `query ${query}`);
  if (request.headers['content-md5'] !== createHash('md5').update(body).digest('base64'))
    return refuse(400, 'InvalidDigest', 'Content-MD5');
  const [root] = parse(body.toString(), { decodeEntities: true }) as TNode[];
  const objects = (root?.children ?? []).filter((node): node is TNode => typeof node !== 'string' && node.tagName === 'Object');
  const keys = objects.map((node) => String((node.children[0] as TNode).children[0]));
  if (keys.length === 0 || keys.length > 1000) return refuse(400, 'MalformedXML', `${keys.length} keys`);
  for (const key of keys) remove(state, key);
  return { status: 200, body: xml('<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></DeleteResult>') };
}

function list(state: FakeState, query: URLSearchParams): FakeAnswer {
  const {
    'list-type': type,
    prefix = '',
    delimiter,
    'start-after': after,
    'continuation-token': token,
    ...others
  } = Object.fromEntries(query);
  if (type !== '2' || Object.keys(others).length > 0) return refuse(501, 'NotImplemented', `query ${query}`);
  const from =
    token === undefined ? (state.deviation === 'ignores-start-after' ? '' : (after ?? '')) : Buffer.from(token, 'base64url').toString();
  const names = state.deviation === 'lists-late' ? state.staleNames : [...state.names.all];
  const found = new Map<string, boolean>();
  for (const name of names.filter((one) => one.startsWith(prefix) && one > from)) {
    const end = delimiter === undefined ? -1 : name.indexOf(delimiter, prefix.length);
    const shown = end < 0 ? name : name.slice(0, end + 1);
    // A page that ended with a folder goes on behind all of it.
    if (end < 0 || !from.startsWith(shown)) found.set(shown, end >= 0);
  }
  const all = [...found];
  const page = all.slice(0, state.pageSize);
  if (state.deviation === 'lists-in-disorder') page.reverse();
  const isTruncated = all.length > page.length;
  const last = all[page.length - 1]?.[0] ?? '';
  const contents = page.map(([name, isFolder]) => {
    if (isFolder) return `<CommonPrefixes><Prefix>${escaped(name)}</Prefix></CommonPrefixes>`;
    const object = state.objects.get(name);
    const modified = new Date(object?.modifiedMs ?? 0).toISOString();
    const size = object?.bytes.length ?? 0;
    return `<Contents><Key>${escaped(name)}</Key><LastModified>${modified}</LastModified><ETag>${escaped(object?.etag ?? '')}</ETag><Size>${size}</Size></Contents>`;
  });
  const next = isTruncated ? `<NextContinuationToken>${Buffer.from(last).toString('base64url')}</NextContinuationToken>` : '';
  const head = `<Name>${FAKE_BUCKET}</Name><Prefix>${escaped(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><IsTruncated>${isTruncated}</IsTruncated>`;
  return {
    status: 200,
    body: xml(`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${head}${next}${contents.join('')}</ListBucketResult>`),
  };
}
