/** One attempt at one HTTP request: sent, and the whole answer read, before its deadline; or a `TransportError`. */
import type { Agent, IncomingMessage, RequestOptions } from 'node:http';
import type { System } from '../../base/system.ts';

export interface HttpRequest {
  readonly method: string;
  /** Path and query, encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** No answer, or only a part of one. */
export class TransportError extends Error {
  override readonly name = 'TransportError';
  /** False if nothing was sent for sure: no connection came about. */
  readonly mayHaveRun: boolean;
  /** True if the next attempt can't fare better: no such host, or one that is not trusted. */
  readonly isFinal: boolean;

  constructor(message: string, facts: { readonly mayHaveRun: boolean; readonly isFinal?: boolean }) {
    super(message);
    this.mayHaveRun = facts.mayHaveRun;
    this.isFinal = facts.isFinal === true;
  }
}

/** Errors of making a connection. */
const NEVER_SENT = new Set(['ECONNREFUSED', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
const FINAL = /^ENOTFOUND$|CERT|^UNABLE_TO_|^ERR_TLS_|^ERR_SSL_/;

export interface Transport {
  send(request: HttpRequest): Promise<HttpAnswer>;
  close(): void;
}

export async function openTransport(origin: URL, { agent, system }: { agent: Agent; system: System }): Promise<Transport> {
  const { request } = origin.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const target = { protocol: origin.protocol, hostname: origin.hostname.replace(/^\[|\]$/g, ''), port: origin.port, agent };
  return {
    send: (what) => attempt((options) => request({ ...target, ...options }), what, system),
    close: () => agent.destroy(),
  };
}

type Sender = (options: RequestOptions) => ReturnType<typeof import('node:http').request>;

function attempt(begin: Sender, { method, path, headers, body, deadlineMs, signal }: HttpRequest, system: System): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = begin({ method, path, headers });
    const over = new AbortController();
    const fail = (error: Error): void => {
      over.abort();
      signal?.removeEventListener('abort', onAbort);
      request.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(reasonOf(signal));
    const lost = (error: NodeJS.ErrnoException): void => {
      // The message of a failed connection may name several addresses; the code says what matters.
      const { code = error.message } = error;
      const isFinal = FINAL.test(code);
      fail(new TransportError(code, { mayHaveRun: !isFinal && !NEVER_SENT.has(code), isFinal }));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    system.sleep(deadlineMs, { signal: over.signal, background: true }).then(
      () => fail(new TransportError(`no answer within ${Math.round(deadlineMs / 100) / 10} s`, { mayHaveRun: true })),
      () => undefined,
    );
    request.on('error', lost);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', lost);
      response.on('end', () => {
        const answer = Buffer.concat(chunks);
        const wanted = method === 'HEAD' ? undefined : response.headers['content-length'];
        if (!response.complete || (wanted !== undefined && Number(wanted) !== answer.length)) {
          fail(new TransportError('the answer was cut off', { mayHaveRun: true }));
          return;
        }
        over.abort();
        signal?.removeEventListener('abort', onAbort);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer });
      });
    });
    request.end(body);
  });
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
