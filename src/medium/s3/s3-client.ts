/**
 * Requests to one bucket: signed, counted, each attempt with its deadline, and tried again where that can help.
 *
 * What is tried again: connections that fail or break off, answers that are cut off or malformed, 409, 429 and 5xx, and, once, credentials that
 * have expired. Between attempts it waits a random time below a bound that doubles. An attempt without an answer may have been executed,
 * and be executed late; `mayHaveRun` says so, and what that means is the caller's to judge.
 */
import type { System } from '../../base/system.ts';
import { MediumTime } from '../medium-time.ts';
import type { CredentialSource } from './credentials.ts';
import { RequestCounts, type RequestKind } from './request-counts.ts';
import { answerText, RequestFailure } from './request-failure.ts';
import type { S3Target } from './s3-target.ts';
import { MalformedAnswerError, parseError, type S3ErrorFacts } from './s3-xml.ts';
import { encodePath, encodeQuery, sha256Hex, sign } from './signature.ts';
import { type HttpAnswer, type Transport, TransportError } from './transport.ts';

export interface S3Request {
  readonly kind: RequestKind;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The whole key; none for requests to the bucket. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Of the body, if its caller knows it. */
  readonly bodySha256?: string;
  /** Bytes that the answer may have: it gets more time. */
  readonly bytesExpected?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Answer extends HttpAnswer {
  /** What an answer of 300 and more says, if it is S3's. */
  readonly error: S3ErrorFacts | undefined;
  /** By the medium's time; undefined if it bears no date. */
  readonly answeredAtMs: number | undefined;
}

export interface S3ClientOptions {
  readonly target: S3Target;
  readonly credentials: CredentialSource;
  readonly transport: Transport;
  readonly system: System;
  readonly requestTimeoutMs: number;
  readonly retryBudgetMs: number;
}

type Outcome = { readonly answer: S3Answer } | { readonly error: TransportError };

const ATTEMPTS_AT_LEAST = 3;
const BACKOFF_FIRST_MS = 50;
const BACKOFF_MOST_MS = 4000;
const SLOWEST_BYTES_PER_MS = 128;
const RETRIED_STATUS = new Set([408, 409, 429, 500, 502, 503, 504]);
/** Errors of 400 that pass by themselves. */
const RETRIED_CODES = new Set(['RequestTimeout', 'SlowDown', 'Throttling', 'ThrottlingException']);
/** A server that answers so has not done it. */
const NOT_RUN_STATUS = new Set([409, 429]);
const EXPIRED_CODES = new Set(['ExpiredToken', 'TokenRefreshRequired']);

export class S3Client {
  readonly counts: RequestCounts = new RequestCounts();
  /** By the `Date` of each answer. */
  readonly time: MediumTime = new MediumTime();
  readonly #options: S3ClientOptions;

  constructor(options: S3ClientOptions) {
    this.#options = options;
  }

  /**
   * Sends until there is an answer that is final, and hands it to `decode`; a MalformedAnswerError from there counts as a broken answer.
   *
   * @throws RequestFailure, PeatError `ACCESS_DENIED` without credentials, or the signal's reason
   */
  async send<T>(request: S3Request, decode: (answer: S3Answer) => T): Promise<T> {
    const { system } = this.#options;
    const startedAt = system.monotonicNowMs();
    let mayHaveRun = false;
    let renewed = false;
    for (let attempts = 1; ; attempts++) {
      const failed = (reason: string, answer?: S3Answer): RequestFailure =>
        new RequestFailure(reason, {
          what: this.#describe(request),
          attempts,
          elapsedMs: system.monotonicNowMs() - startedAt,
          mayHaveRun,
          status: answer?.status,
          code: answer?.error?.code,
        });
      let outcome: Outcome;
      if (attempts > 1) this.counts.retries++;
      try {
        outcome = await this.#attempt(request);
        if (!renewed && 'answer' in outcome && EXPIRED_CODES.has(outcome.answer.error?.code ?? '')) {
          renewed = true;
          if (await this.#options.credentials.renew()) continue;
        }
      } catch (error) {
        request.signal?.throwIfAborted();
        // There are no credentials any more, say; what went before may have been executed all the same.
        if (mayHaveRun && error instanceof Error) throw failed(error.message);
        throw error;
      }
      if ('answer' in outcome && !isRetried(outcome.answer)) {
        try {
          return decode(outcome.answer);
        } catch (error) {
          if (error instanceof UnusableAnswer) throw failed(answerText(error.answer), error.answer);
          if (!(error instanceof MalformedAnswerError)) throw error;
          outcome = { error: new TransportError(error.message, { mayHaveRun: true }) };
        }
      }
      const answer = 'answer' in outcome ? outcome.answer : undefined;
      mayHaveRun ||= 'error' in outcome ? outcome.error.mayHaveRun : !NOT_RUN_STATUS.has(outcome.answer.status);
      const waitMs = this.#backoffMs(attempts);
      const isFinal = 'error' in outcome && outcome.error.isFinal;
      const isSpent = attempts >= ATTEMPTS_AT_LEAST && system.monotonicNowMs() - startedAt + waitMs > this.#options.retryBudgetMs;
      if (isFinal || isSpent) throw failed('error' in outcome ? outcome.error.message : answerText(outcome.answer), answer);
      await system.sleep(waitMs, { signal: request.signal });
    }
  }

  close(): void {
    this.#options.transport.close();
  }

  async #attempt(request: S3Request): Promise<Outcome> {
    const { target, system, transport, credentials, requestTimeoutMs } = this.#options;
    const { body, query = {} } = request;
    const path = `${target.basePath}${request.key === undefined ? '' : `/${encodePath(request.key)}`}` || '/';
    const headers: Record<string, string> = {
      ...request.headers,
      host: target.origin.host,
      'x-amz-content-sha256': request.bodySha256 ?? sha256Hex(body ?? ''),
      ...(body === undefined ? {} : { 'content-length': String(body.length) }),
    };
    const signed = sign(
      { method: request.method, path, query, headers },
      { credentials: await credentials.get(), region: target.region, nowMs: system.wallNowMs() },
    );
    const queryText = encodeQuery(query);
    const bytes = (body?.length ?? 0) + (request.bytesExpected ?? 0);
    try {
      const answer = await transport.send({
        method: request.method,
        path: queryText === '' ? path : `${path}?${queryText}`,
        headers: signed,
        body,
        deadlineMs: requestTimeoutMs + bytes / SLOWEST_BYTES_PER_MS,
        signal: request.signal,
      });
      this.counts.note(request.kind, { sent: body?.length ?? 0, received: answer.body.length });
      const answeredAtMs = this.time.note(Date.parse(answer.headers.date ?? ''));
      return { answer: { ...answer, answeredAtMs, error: answer.status >= 300 ? parseError(answer.body) : undefined } };
    } catch (error) {
      this.counts.note(request.kind, { sent: body?.length ?? 0, received: 0 });
      if (error instanceof TransportError) return { error };
      throw error;
    }
  }

  #backoffMs(attempts: number): number {
    const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** (attempts - 1));
    const [high = 0, low = 0] = this.#options.system.randomBytes(2);
    return Math.round((most * (high * 256 + low)) / 65_536);
  }

  #describe({ kind, key, query, method }: S3Request): string {
    const { bucket, prefix } = this.#options.target;
    const name = key ?? query?.['prefix'] ?? '';
    return `${kind === 'list' ? 'LIST' : method} of ${name === '' ? bucket : name.slice(prefix.length)} in ${bucket}`;
  }
}

/** Thrown by `decode`: an answer that is final, and not what was wanted. */
export class UnusableAnswer extends Error {
  readonly answer: S3Answer;

  constructor(answer: S3Answer) {
    super(`status ${answer.status}`);
    this.answer = answer;
  }
}

function isRetried({ status, error }: S3Answer): boolean {
  return RETRIED_STATUS.has(status) || (status >= 400 && RETRIED_CODES.has(error?.code ?? ''));
}
