/**
 * A proxy on loopback in front of an S3 server, which loses, delays and repeats as networks and servers do. Requests go through as they
 * are: their signature covers the host that the client meant, which is the proxy.
 *
 * | fault | what happens to the request, and to the answer |
 * |---|---|
 * | `reset` | neither executed nor answered |
 * | `lost-answer` | executed; the connection breaks before the answer |
 * | `cut-answer` | executed; the connection breaks in the middle of the answer |
 * | `late-execution` | the connection breaks; it is executed later |
 * | `late-duplicate` | executed and answered; executed once more later |
 * | `unavailable`, `conflict` | 503, 409 without being executed |
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type Fault = 'reset' | 'lost-answer' | 'cut-answer' | 'late-execution' | 'late-duplicate' | 'unavailable' | 'conflict';

export interface ProxiedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** From 1. */
  readonly number: number;
}

export interface FaultProxyOptions {
  readonly endpoint: string;
  /** Undefined lets the request through. */
  readonly decide: (request: ProxiedRequest) => Fault | undefined;
  /** Before each request goes on. Default 0. */
  readonly latencyMs?: () => number;
  /** How late what is late comes. Default 50. */
  readonly lateMs?: () => number;
}

export interface FaultProxy {
  readonly endpoint: string;
  /** How often each fault was played. */
  readonly played: Readonly<Partial<Record<Fault, number>>>;
  /** Requests that came. */
  readonly count: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const REFUSALS: Readonly<Partial<Record<Fault, { status: number; code: string }>>> = {
  unavailable: { status: 503, code: 'SlowDown' },
  conflict: { status: 409, code: 'ConditionalRequestConflict' },
};

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new LoopbackProxy(options);
  await proxy.listen();
  return proxy;
}

class LoopbackProxy implements FaultProxy {
  endpoint = '';
  count = 0;
  readonly played: Partial<Record<Fault, number>> = {};
  readonly #options: FaultProxyOptions;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  /** What is to be executed late. */
  readonly #late = new Set<Promise<unknown>>();

  constructor(options: FaultProxyOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.endpoint = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
    await Promise.all(this.#late);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    response.on('error', () => undefined);
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const { decide, latencyMs = () => 0 } = this.#options;
    const { method = '', url = '', headers } = request;
    const fault = decide({ method, url, headers, number: ++this.count });
    if (fault !== undefined) this.played[fault] = (this.played[fault] ?? 0) + 1;
    await delay(latencyMs());
    const execute = (): Promise<Answer> => this.#forward({ method, url, headers }, Buffer.concat(chunks));
    try {
      await this.#play(fault, execute, response);
    } catch {
      // The server is away: so is the proxy.
      response.destroy();
    }
  }

  async #play(fault: Fault | undefined, execute: () => Promise<Answer>, response: ServerResponse): Promise<void> {
    const refusal = fault === undefined ? undefined : REFUSALS[fault];
    if (refusal !== undefined) {
      response.writeHead(refusal.status, { 'content-type': 'application/xml' });
      response.end(`<Error><Code>${refusal.code}</Code><Message>injected</Message></Error>`);
      return;
    }
    if (fault === 'late-execution' || fault === 'late-duplicate') this.#later(execute);
    if (fault === 'reset' || fault === 'late-execution') {
      response.destroy();
      return;
    }
    const { status, headers, body } = await execute();
    if (fault === 'lost-answer') {
      response.destroy();
      return;
    }
    const { connection: _, 'transfer-encoding': __, ...others } = headers;
    response.writeHead(status, { 'content-length': body.length, ...others });
    if (fault === 'cut-answer') {
      response.write(body.subarray(0, body.length >> 1), () => response.destroy());
      return;
    }
    response.end(body);
  }

  #later(execute: () => Promise<Answer>): void {
    const { lateMs = () => 50 } = this.#options;
    const late = delay(lateMs())
      .then(execute)
      .catch(() => undefined)
      .finally(() => this.#late.delete(late));
    this.#late.add(late);
  }

  #forward(request: Omit<ProxiedRequest, 'number'>, body: Buffer): Promise<Answer> {
    const { hostname, port } = new URL(this.#options.endpoint);
    const { connection: _, ...headers } = request.headers;
    return new Promise((resolve, reject) => {
      const sent = send({ hostname, port, path: request.url, method: request.method, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}
