/**
 * A strict S3 server in memory, on loopback. It refuses what a real one may refuse: requests that are not signed as the official SDK
 * would sign them, bodies that are not what was signed, headers and parameters that Peat has no business sending. `deviation` makes it
 * break one promise, as some servers do.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SortedNames } from '../../../src/medium/sorted-names.ts';
import { answerRequest, type Deviation, type FakeAnswer, type FakeState } from './fake-operations.ts';
import { checkSignature } from './fake-signature.ts';

export interface FakeServerOptions {
  /** Small by default, so that every test pages. */
  readonly pageSize?: number;
  readonly deviation?: Deviation | undefined;
  /** What its clock shows, for the `Date` of its answers; undefined: none is sent. Default: this machine's. */
  readonly dateMs?: () => number | undefined;
}

const ACCESS_KEY = 'fake-access-key';
const SECRET_KEY = 'fake/secret+key';

export interface FakeServer {
  readonly endpoint: string;
  /** The environment with which a medium reaches it. */
  readonly env: Readonly<Record<string, string>>;
  /** Each request so far: `PUT /bucket/ns/a/…`. */
  readonly requests: string[];
  /** Headers of each request, in the same order. */
  readonly headers: IncomingMessage['headers'][];
  close(): Promise<void>;
}

export async function startFakeServer({ pageSize = 5, deviation, dateMs = Date.now }: FakeServerOptions = {}): Promise<FakeServer> {
  const state: FakeState = { objects: new Map(), names: new SortedNames(), staleNames: [], pageSize, deviation };
  const requests: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    headers.push(request.headers);
    response.sendDate = false;
    const nowMs = dateMs();
    if (nowMs !== undefined) response.setHeader('date', new Date(nowMs).toUTCString());
    void serve(state, request, response);
  });
  server.listen(0, '127.0.0.1');
  // It ends with the tests that use it.
  server.unref();
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = {
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
  };
  return { endpoint, env, requests, headers, close: () => closeServer(server) };
}

async function closeServer(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

async function serve(state: FakeState, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    // The client has gone: what it sent in part has no effect.
    return;
  }
  const body = Buffer.concat(chunks);
  const refusal = await checkSignature(request, body, { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY });
  const answer: FakeAnswer = refusal ?? answerRequest(state, request, body);
  response.writeHead(answer.status, { 'content-length': answer.body?.length ?? 0, ...answer.headers });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}
