/**
 * Calls to the file system, and how they are run.
 *
 * What `FileMedium` does is written once, as generators that yield the calls they want made (`FileSteps`); a
 * `FileCaller` runs them either blocking or through the thread pool. So both forms of the medium share every
 * rule about order, retries and errors.
 *
 * Errors that pass by themselves (a full descriptor table, a server that restarts) are tried again, a bounded
 * number of times. Writes and syncs never are: the kernel reports a lost write once, so a second sync that
 * succeeds says nothing about the data of the first (rule A15). Nor is close, which frees the descriptor anyway.
 */
import * as fs from 'node:fs';
import { PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { CallPace } from './call-pace.ts';

type Done<T> = (error: NodeJS.ErrnoException | null | undefined, result?: T) => void;

export interface FileCall<T = unknown> {
  readonly operation: string;
  readonly path: string;
  /** True if a failure must not be tried again. */
  readonly once: boolean;
  blocking(): T;
  async(done: Done<T>): void;
}

/** What a group of calls came to, one for each. */
export type Settled = { readonly value: unknown } | { readonly error: FileCallError };

/** A computation that yields the calls it wants made: one at a time, or several in any order. */
export type FileSteps<T> = Generator<FileCall | readonly FileCall[], T, unknown>;

/** Makes one call. @throws FileCallError */
export function* perform<T>(call: FileCall<T>): FileSteps<T> {
  return (yield call) as T;
}

/** Makes several calls, at once where the caller can. Failures come back as values. */
export function* performAll(calls: readonly FileCall[]): FileSteps<readonly Settled[]> {
  return (yield calls) as readonly Settled[];
}

export const open = (path: string, flags: number, mode = 0o666): FileCall<number> => ({
  operation: 'open',
  path,
  once: false,
  blocking: () => fs.openSync(path, flags, mode),
  async: (done) => fs.open(path, flags, mode, done),
});

export const close = (path: string, fd: number): FileCall<void> => ({
  operation: 'close',
  path,
  once: true,
  blocking: () => fs.closeSync(fd),
  async: (done) => fs.close(fd, done),
});

export interface ReadTarget {
  readonly fd: number;
  readonly into: Buffer;
  /** Where in the buffer to begin. */
  readonly start: number;
  /** Where in the file. */
  readonly position: number;
}

/** Reads up to the end of the buffer; returns how many bytes came. */
export const read = (path: string, { fd, into, start, position }: ReadTarget): FileCall<number> => ({
  operation: 'read',
  path,
  once: false,
  blocking: () => fs.readSync(fd, into, start, into.length - start, position),
  async: (done) => fs.read(fd, into, start, into.length - start, position, done),
});

export const write = (path: string, fd: number, bytes: Uint8Array): FileCall<number> => ({
  operation: 'write',
  path,
  once: true,
  blocking: () => fs.writeSync(fd, bytes, 0, bytes.length, null),
  async: (done) => fs.write(fd, bytes, 0, bytes.length, null, done),
});

export const syncData = (path: string, fd: number): FileCall<void> => ({
  operation: 'fdatasync',
  path,
  once: true,
  blocking: () => fs.fdatasyncSync(fd),
  async: (done) => fs.fdatasync(fd, done),
});

export const syncAll = (path: string, fd: number): FileCall<void> => ({
  operation: 'fsync',
  path,
  once: true,
  blocking: () => fs.fsyncSync(fd),
  async: (done) => fs.fsync(fd, done),
});

export const statOpen = (path: string, fd: number): FileCall<fs.Stats> => ({
  operation: 'fstat',
  path,
  once: false,
  blocking: () => fs.fstatSync(fd),
  async: (done) => fs.fstat(fd, done),
});

export const stat = (path: string): FileCall<fs.Stats> => ({
  operation: 'stat',
  path,
  once: false,
  blocking: () => fs.statSync(path),
  async: (done) => fs.stat(path, done),
});

/** Inode numbers beyond 2^53 exist, so identity needs the exact form. */
export const statExact = (path: string): FileCall<fs.BigIntStats> => ({
  operation: 'stat',
  path,
  once: false,
  blocking: () => fs.statSync(path, { bigint: true }),
  async: (done) => fs.stat(path, { bigint: true }, done),
});

export const readDirectory = (path: string): FileCall<fs.Dirent[]> => ({
  operation: 'readdir',
  path,
  once: false,
  blocking: () => fs.readdirSync(path, { withFileTypes: true }),
  async: (done) => fs.readdir(path, { withFileTypes: true }, done),
});

/** Gives the file at `from` a second name. */
export const link = (from: string, path: string): FileCall<void> => ({
  operation: 'link',
  path,
  once: false,
  blocking: () => fs.linkSync(from, path),
  async: (done) => fs.link(from, path, done),
});

export const rename = (from: string, path: string): FileCall<void> => ({
  operation: 'rename',
  path,
  once: false,
  blocking: () => fs.renameSync(from, path),
  async: (done) => fs.rename(from, path, done),
});

export const unlink = (path: string): FileCall<void> => ({
  operation: 'unlink',
  path,
  once: false,
  blocking: () => fs.unlinkSync(path),
  async: (done) => fs.unlink(path, done),
});

export const makeDirectory = (path: string): FileCall<void> => ({
  operation: 'mkdir',
  path,
  once: false,
  blocking: () => fs.mkdirSync(path),
  async: (done) => fs.mkdir(path, (error) => done(error)),
});

export const removeDirectory = (path: string): FileCall<void> => ({
  operation: 'rmdir',
  path,
  once: false,
  blocking: () => fs.rmdirSync(path),
  async: (done) => fs.rmdir(path, done),
});

export const changeMode = (path: string, mode: number): FileCall<void> => ({
  operation: 'chmod',
  path,
  once: false,
  blocking: () => fs.chmodSync(path, mode),
  async: (done) => fs.chmod(path, mode, done),
});

/** Changes the group; the owner stays. */
export const changeGroup = (path: string, group: number): FileCall<void> => ({
  operation: 'chown',
  path,
  once: false,
  blocking: () => fs.chownSync(path, -1, group),
  async: (done) => fs.chown(path, -1, group, done),
});

/** A call that failed for good. It stays inside the medium: `FileCaller` turns what leaves it into a `PeatError`. */
export class FileCallError extends Error {
  readonly code: string;
  readonly operation: string;
  readonly path: string;
  readonly attempts: number;

  constructor(call: FileCall, { cause, attempts, elapsedMs }: { cause: NodeJS.ErrnoException; attempts: number; elapsedMs: number }) {
    const tries = attempts === 1 ? '' : ` (tried ${attempts} times in ${Math.round(elapsedMs)} ms)`;
    super(`${call.operation} of ${call.path} failed: ${cause.message}${tries}`, { cause });
    this.code = cause.code ?? 'UNKNOWN';
    this.operation = call.operation;
    this.path = call.path;
    this.attempts = attempts;
  }
}

export function isFileError(error: unknown, ...codes: readonly string[]): error is FileCallError {
  return error instanceof FileCallError && (codes.length === 0 || codes.includes(error.code));
}

/** True if there is no such file: its name is free, or a directory on the way to it is missing. */
export function isMissing(error: unknown): boolean {
  return isFileError(error, 'ENOENT', 'ENOTDIR');
}

/** The public form of a failure. `file` is the object's name in the store. */
export function storageError(error: FileCallError, file: string): PeatError {
  const code = error.code === 'EROFS' ? 'READ_ONLY' : error.code === 'EACCES' || error.code === 'EPERM' ? 'ACCESS_DENIED' : 'STORAGE';
  return new PeatError(code, error.message, { cause: error.cause, file });
}

const TRANSIENT: ReadonlySet<string> = new Set(['EINTR', 'EAGAIN', 'EIO', 'EMFILE', 'ENFILE', 'EBUSY', 'ETIMEDOUT', 'ESTALE']);
const ATTEMPTS_MAX = 10;
const RETRY_BUDGET_MS = 3_000;

/** True if the call may have been executed although it failed, or may succeed later. */
export function isTransient(error: FileCallError): boolean {
  return TRANSIENT.has(error.code);
}

export interface FileCallerOptions {
  readonly system: System;
  /** The store's directory; names in errors are relative to it. */
  readonly root: string;
  /** Which asynchronous calls may block; without it none does. */
  readonly pace?: CallPace | undefined;
  /** For tests: runs before every attempt, and may throw an errno error in the call's place. */
  readonly beforeCall?: ((operation: string, path: string) => void) | undefined;
}

/** A first attempt that did not succeed: to be tried again, or reported. */
class FirstFailure {
  readonly startedMs: number;
  readonly error: unknown;

  constructor(startedMs: number, error: unknown) {
    this.startedMs = startedMs;
    this.error = error;
  }
}

export class FileCaller {
  readonly #system: System;
  readonly #root: string;
  readonly #beforeCall: ((operation: string, path: string) => void) | undefined;
  readonly #pace: CallPace | undefined;

  constructor(options: FileCallerOptions) {
    this.#pace = options.pace;
    this.#system = options.system;
    this.#root = options.root;
    this.#beforeCall = options.beforeCall;
  }

  /** @throws PeatError for every failure that the steps let out. */
  runBlocking<T>(steps: FileSteps<T>): T {
    try {
      let state = steps.next();
      while (state.done !== true) {
        const wanted = state.value;
        try {
          const result = isGroup(wanted) ? wanted.map((call) => this.#settleBlocking(call)) : this.#callBlocking(wanted);
          state = steps.next(result);
        } catch (error) {
          if (!(error instanceof FileCallError)) throw error;
          state = steps.throw(error);
        }
      }
      return state.value;
    } catch (error) {
      throw this.toPublic(error);
    }
  }

  /** @throws PeatError for every failure that the steps let out. */
  async run<T>(steps: FileSteps<T>): Promise<T> {
    try {
      let state = steps.next();
      while (state.done !== true) {
        const wanted = state.value;
        try {
          let result: unknown;
          if (isGroup(wanted)) {
            result = await Promise.all(wanted.map((call) => this.#settle(call)));
          } else {
            const pace = this.#paceToBlock(wanted.operation);
            // What blocks needs no promise.
            result = pace === undefined ? await this.#call(wanted) : this.#blockOnce(wanted, pace);
            if (result instanceof FirstFailure) result = await this.#call(wanted, result);
          }
          state = steps.next(result);
        } catch (error) {
          if (!(error instanceof FileCallError)) throw error;
          state = steps.throw(error);
        }
      }
      return state.value;
    } catch (error) {
      throw this.toPublic(error);
    }
  }

  /** Makes a call in the way that is the quicker one for its kind. */
  async paced<T>(operation: string, call: Pick<FileCall<T>, 'blocking' | 'async'>): Promise<T> {
    const pace = this.#pace;
    if (pace === undefined) return await inPool(call);
    if (!pace.mayBlock(operation)) return await pace.pool(operation, () => inPool(call));
    const due = pace.due();
    if (due !== undefined) await due;
    return pace.block(operation, () => call.blocking());
  }

  /** The pace, if a call of this kind may block right now. */
  #paceToBlock(operation: string): CallPace | undefined {
    const pace = this.#pace;
    return pace?.mayBlock(operation) === true && pace.due() === undefined ? pace : undefined;
  }

  #blockOnce(call: FileCall, pace: CallPace): unknown {
    const startedMs = this.#system.monotonicNowMs();
    try {
      this.#beforeCall?.(call.operation, call.path);
      return pace.block(call.operation, () => call.blocking());
    } catch (error) {
      return new FirstFailure(startedMs, error);
    }
  }

  /** Lets a call made elsewhere be intercepted, too. */
  intercept(operation: string, path: string): void {
    this.#beforeCall?.(operation, path);
  }

  toPublic(error: unknown): unknown {
    return error instanceof FileCallError ? storageError(error, error.path.slice(this.#root.length + 1)) : error;
  }

  #callBlocking(call: FileCall): unknown {
    const startedMs = this.#system.monotonicNowMs();
    for (let attempts = 1; ; attempts++) {
      try {
        this.#beforeCall?.(call.operation, call.path);
        return call.blocking();
      } catch (error) {
        this.#system.sleepSync(this.#delayOrThrow(call, { error, attempts, startedMs }));
      }
    }
  }

  /** @param first what became of the first attempt, if that was made */
  async #call(call: FileCall, first?: FirstFailure): Promise<unknown> {
    const startedMs = first?.startedMs ?? this.#system.monotonicNowMs();
    for (let attempts = 1; ; attempts++) {
      try {
        if (first !== undefined && attempts === 1) throw first.error;
        this.#beforeCall?.(call.operation, call.path);
        return await this.paced(call.operation, call);
      } catch (error) {
        await this.#system.sleep(this.#delayOrThrow(call, { error, attempts, startedMs }));
      }
    }
  }

  #settleBlocking(call: FileCall): Settled {
    try {
      return { value: this.#callBlocking(call) };
    } catch (error) {
      return settledFailure(error);
    }
  }

  async #settle(call: FileCall): Promise<Settled> {
    try {
      return { value: await this.#call(call) };
    } catch (error) {
      return settledFailure(error);
    }
  }

  /** How long to wait before the next attempt; throws if there is none. */
  #delayOrThrow(call: FileCall, failed: { error: unknown; attempts: number; startedMs: number }): number {
    const { error, attempts, startedMs } = failed;
    if (!isErrno(error)) throw error;
    const elapsedMs = this.#system.monotonicNowMs() - startedMs;
    const again = !call.once && TRANSIENT.has(error.code) && attempts < ATTEMPTS_MAX && elapsedMs < RETRY_BUDGET_MS;
    if (!again) throw new FileCallError(call, { cause: error, attempts, elapsedMs });
    return 2 ** (attempts - 1);
  }
}

function inPool<T>(call: Pick<FileCall<T>, 'async'>): Promise<T> {
  return new Promise((resolve, reject) => {
    call.async((error, result) => {
      if (error == null) resolve(result as T);
      else reject(error);
    });
  });
}

function isGroup(wanted: FileCall | readonly FileCall[]): wanted is readonly FileCall[] {
  return Array.isArray(wanted);
}

function settledFailure(error: unknown): Settled {
  if (!(error instanceof FileCallError)) throw error;
  return { error };
}

export function isErrno(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'errno' in error;
}
