/**
 * The history of a tree of files: commits, each with its puts and deletes of paths, and at the end an oracle that says what must be left. A line of a
 * history file is `{"c":commit,"t":seconds,"ops":[["put",path,size,blob]|["del",path]]}`, the last one `{"tree":{"entries","sha256"}}`.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Operation } from '../../datastore/batch.ts';

/** A submodule is a commit and has no size: `-`, as git prints it. */
export type HistoryOperation = readonly ['put', path: string, size: number | '-', blob: string] | readonly ['del', path: string];

export interface HistoryCommit {
  readonly commit: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly operations: readonly HistoryOperation[];
}

/** What must be left: how many paths, and the SHA-256 of a line `path size blob` each, in the order of the paths' bytes. */
export interface Oracle {
  readonly entries: number;
  readonly sha256: string;
}

export interface HistorySource {
  readonly description: string;
  commits(signal: AbortSignal): AsyncIterable<HistoryCommit>;
  /** To be asked when all commits have been read. */
  oracle(signal: AbortSignal): Promise<Oracle>;
  /** Paths that can't be keys (not UTF-8, or longer than 1,024 bytes): neither in the commits nor in the oracle. */
  readonly leftOut: number;
}

/** What is stored for a path. */
export interface HistoryValue {
  readonly size: number | '-';
  readonly blob: string;
  readonly commit: string;
  readonly time: number;
}

export function toOperations({ commit, time, operations }: HistoryCommit): Operation<HistoryValue>[] {
  return operations.map((operation) =>
    operation[0] === 'put'
      ? { type: 'put', key: operation[1], value: { size: operation[2], blob: operation[3], commit, time } }
      : { type: 'delete', key: operation[1] },
  );
}

/** @throws Error that says where, and what is wrong */
export function parseHistoryLine(text: string, where: string): HistoryCommit | Oracle {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`);
  }
  const { c, t, ops, tree } = (json ?? {}) as Record<'c' | 't' | 'ops' | 'tree', unknown>;
  if (tree !== undefined) return parseOracle(tree, where);
  if (typeof c !== 'string' || typeof t !== 'number' || !Array.isArray(ops)) {
    throw new Error(`${where}: expected {"c":commit,"t":time,"ops":[...]} or {"tree":{...}}`);
  }
  const wrong = ops.find((operation) => !isOperation(operation)) as unknown;
  if (wrong !== undefined) throw new Error(`${where}: expected ["put",path,size,blob] or ["del",path], got ${JSON.stringify(wrong)}`);
  return { commit: c, time: t, operations: ops as HistoryOperation[] };
}

function parseOracle(tree: unknown, where: string): Oracle {
  const { entries, sha256 } = (tree ?? {}) as Record<'entries' | 'sha256', unknown>;
  if (!Number.isSafeInteger(entries) || typeof sha256 !== 'string')
    throw new Error(`${where}: expected {"tree":{"entries":N,"sha256":text}}`);
  return { entries: entries as number, sha256 };
}

function isOperation(operation: unknown): operation is HistoryOperation {
  if (!Array.isArray(operation)) return false;
  const [kind, path, size, blob] = operation as unknown[];
  if (typeof path !== 'string' || path === '') return false;
  return kind === 'del' ? operation.length === 2 : kind === 'put' && (typeof size === 'number' || size === '-') && typeof blob === 'string';
}

/** Computes an oracle from entries in the order of their paths' bytes. */
export class OracleHash {
  readonly #hash: Hash = createHash('sha256');
  #entries = 0;

  add(path: string, value: Pick<HistoryValue, 'size' | 'blob'>): void {
    this.#entries++;
    this.#hash.update(`${path} ${value.size} ${value.blob}\n`);
  }

  digest(): Oracle {
    return { entries: this.#entries, sha256: this.#hash.digest('hex') };
  }
}
