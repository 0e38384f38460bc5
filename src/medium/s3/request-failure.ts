/** What came of a request that was not answered as it should be, and the error that callers of the medium see. */
import { PeatError, type PeatErrorCode } from '../../base/errors.ts';
import type { S3ErrorFacts } from './s3-xml.ts';

export interface FailureFacts {
  /** `PUT of ns/runs/root/…` */
  readonly what: string;
  readonly attempts: number;
  readonly elapsedMs: number;
  /** Whether the server may have done it, in any of the attempts. */
  readonly mayHaveRun: boolean;
  readonly status: number | undefined;
  readonly code: string | undefined;
}

/** The last attempt's failure, with how often and how long it was tried. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure';
  readonly facts: FailureFacts;

  constructor(reason: string, facts: FailureFacts) {
    const { what, attempts, elapsedMs } = facts;
    const tried = attempts === 1 ? 'at the first attempt' : `after ${attempts} attempts in ${(elapsedMs / 1000).toFixed(1)} s`;
    super(`${what} failed ${tried}: ${reason}`);
    this.facts = facts;
  }
}

/** How an answer that is an error is called in messages. */
export function answerText({ status, error }: { readonly status: number; readonly error: S3ErrorFacts | undefined }): string {
  if (error === undefined) return `status ${status}`;
  return `${status} ${error.code}${error.message === '' ? '' : ` (${error.message})`}`;
}

const DENIED_STATUS = new Set([401, 403]);

/** The public error of a failed call. */
export function publicError(failure: unknown, file: string): unknown {
  if (!(failure instanceof RequestFailure)) return failure;
  const { status, code } = failure.facts;
  return new PeatError(publicCode(status, code), `${failure.message}${hint(code)}`, { file });
}

function publicCode(status: number | undefined, code: string | undefined): PeatErrorCode {
  if (code === 'RequestTimeTooSkewed') return 'CLOCK_SKEW';
  return status !== undefined && DENIED_STATUS.has(status) ? 'ACCESS_DENIED' : 'STORAGE';
}

function hint(code: string | undefined): string {
  switch (code) {
    case 'RequestTimeTooSkewed':
      return '; set the clock of this machine';
    case 'NoSuchBucket':
      return '; the bucket must be there, it is not created';
    case 'AuthorizationHeaderMalformed':
    case 'PermanentRedirect':
    case 'IllegalLocationConstraintException':
      return '; is AWS_REGION the region of the bucket?';
    default:
      return '';
  }
}
