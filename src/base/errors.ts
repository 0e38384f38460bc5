/**
 * The one error class of the package. A caller branches on `code`, never on the message; a code exists
 * only where a caller would act differently. Misused arguments are not here: they throw `TypeError` or
 * `RangeError` that show the value received.
 */

/**
 * | code | what the caller does |
 * |---|---|
 * | `STORE_NOT_FOUND`, `NAMESPACE_NOT_FOUND` | create it, or correct the name |
 * | `NAMESPACE_DROPPED` | create it again; what was being written is gone with it |
 * | `ACCESS_DENIED` | mend the permissions (the message names the path) |
 * | `READ_ONLY` | open the store for writing |
 * | `UNSUPPORTED_VERSION` | use a newer release; nothing was written |
 * | `MEDIUM_UNSUITABLE` | mount it otherwise, or choose another place |
 * | `CORRUPT` | `peat verify`, then `peat repair`; `file` and `offset` say where |
 * | `OUTCOME_UNKNOWN` | the write may or may not have happened: read before deciding |
 * | `TEMPORARY` | try again later (exit code 75 of the command line) |
 * | `SNAPSHOT_EXPIRED` | take a new snapshot |
 * | `RESYNC_REQUIRED` | a watch token is older than the retention: read all, watch anew |
 * | `CLOCK_SKEW` | set the clock of this machine |
 * | `STORAGE` | the medium failed (`cause` has its error: EIO, ENOSPC ...) |
 * | `CLOSED` | the handle was closed |
 * | `UPDATE_TIMEOUT` | make the function of the update quicker, or give it longer; nothing was written |
 * | `LOCK_TIMEOUT`, `LOCK_LOST` | try again; `lock` names the lock |
 */
export type PeatErrorCode =
  | 'STORE_NOT_FOUND'
  | 'NAMESPACE_NOT_FOUND'
  | 'NAMESPACE_DROPPED'
  | 'ACCESS_DENIED'
  | 'READ_ONLY'
  | 'UNSUPPORTED_VERSION'
  | 'MEDIUM_UNSUITABLE'
  | 'CORRUPT'
  | 'OUTCOME_UNKNOWN'
  | 'TEMPORARY'
  | 'SNAPSHOT_EXPIRED'
  | 'RESYNC_REQUIRED'
  | 'CLOCK_SKEW'
  | 'STORAGE'
  | 'CLOSED'
  | 'UPDATE_TIMEOUT'
  | 'LOCK_TIMEOUT'
  | 'LOCK_LOST';

/** What an error is about; every field is optional and plain, so that it survives JSON. */
export interface ErrorContext {
  readonly cause?: unknown;
  /** Name of the file or object within the store. */
  readonly file?: string;
  /** Byte offset in `file`. */
  readonly offset?: number;
  readonly key?: string;
  readonly namespace?: string;
  readonly lock?: string;
  /** Who holds the lock, in words. */
  readonly holder?: string;
  readonly waitedMs?: number;
}

/** Every failure that is not a misused argument. */
export class PeatError extends Error {
  override readonly name = 'PeatError';
  readonly code: PeatErrorCode;
  readonly file?: string;
  readonly offset?: number;
  readonly key?: string;
  readonly namespace?: string;
  readonly lock?: string;
  readonly holder?: string;
  readonly waitedMs?: number;

  constructor(code: PeatErrorCode, message: string, context: ErrorContext = {}) {
    const { cause, ...facts } = context;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    Object.assign(this, facts);
  }
}

/** Shorthand for the error that names damaged bytes. */
export function corrupt(file: string, offset: number, what: string): PeatError {
  return new PeatError('CORRUPT', `${file}: ${what} at byte ${offset}`, { file, offset });
}

export function isPeatError(error: unknown, code?: PeatErrorCode): error is PeatError {
  return error instanceof PeatError && (code === undefined || error.code === code);
}

/** States what must hold; a failure is a defect of this package, not of its input. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}
