/**
 * The history of a git checkout, made linear: HEAD and its first parents, oldest first, each as its difference to its first parent. The differences
 * add up to HEAD's tree exactly, which `git ls-tree` gives independently: the oracle. In a shallow clone the oldest commit that is there
 * counts as the first. A rename is a delete and a put. Nothing is kept in memory but a window of commits.
 *
 * Three gits run side by side: rev-list names the commits, diff-tree tells what they changed, cat-file tells the sizes of blobs.
 */
import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import { KEY_BYTES_MAX } from '../../base/key.ts';
import { readLines } from '../formats/lines.ts';
import { GitDiffParser, type RawChange, type RawCommit } from './git-diff-parser.ts';
import { type GitProcess, gitText, startGit } from './git-process.ts';
import { type HistoryCommit, type HistoryOperation, type HistorySource, type Oracle, OracleHash } from './history.ts';

/** Commits whose sizes have been asked for and not yet told. */
const WINDOW_COMMITS = 64;

export class GitRepository implements HistorySource {
  readonly description: string;
  readonly #path: string;
  readonly #head: string;
  readonly #leftOut = new Set<string>();

  private constructor(path: string, head: { id: string; top: string; isShallow: boolean }) {
    this.#path = path;
    this.#head = head.id;
    this.description = `${head.top} at ${head.id.slice(0, 12)}${head.isShallow ? ' (a shallow clone)' : ''}`;
  }

  /** @throws Error if it is no checkout, or has no commit */
  static async open(path: string, signal: AbortSignal): Promise<GitRepository> {
    const top = await gitText(path, ['rev-parse', '--absolute-git-dir'], signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Error(`${path} is no git checkout: ${(error as Error).message}`);
    });
    const id = await gitText(path, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'], signal).catch(() => {
      signal.throwIfAborted();
      throw new Error(`the git repository ${path} has no commits: there is no history to replay`);
    });
    const isShallow = (await gitText(path, ['rev-parse', '--is-shallow-repository'], signal)) === 'true';
    return new GitRepository(path, { id, top: top.replace(/\/\.git$/, ''), isShallow });
  }

  get leftOut(): number {
    return this.#leftOut.size;
  }

  async *commits(signal: AbortSignal): AsyncGenerator<HistoryCommit, void> {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const sizes = new BlobSizes(startGit(this.#path, ['cat-file', '--batch-check=%(objectname) %(objectsize)'], both));
    const window: { change: TimedCommit; sizes: Promise<readonly number[]> }[] = [];
    try {
      for await (const change of this.#changes(both)) {
        window.push({ change, sizes: sizes.ask(change.changes.filter(hasSize).map(({ blob }) => blob as string)) });
        const oldest = window.length < WINDOW_COMMITS ? undefined : window.shift();
        if (oldest !== undefined) yield this.#toCommit(oldest.change, await oldest.sizes);
      }
      for (const { change, sizes } of window) yield this.#toCommit(change, await sizes);
      await sizes.end();
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      stop.abort();
    }
  }

  async *#changes(signal: AbortSignal): AsyncGenerator<TimedCommit, void> {
    const revList = startGit(this.#path, ['rev-list', '--first-parent', '--reverse', '--parents', '--timestamp', this.#head], signal);
    revList.stdin.end();
    const diffTree = startGit(this.#path, DIFF_TREE, signal);
    const times: { commit: string; time: number }[] = [];
    const feeding = feed(revList, diffTree, times);
    feeding.catch(() => undefined);
    const parser = new GitDiffParser();
    const timed = (raw: RawCommit): TimedCommit => {
      // A commit without changes is not shown.
      while (times[0] !== undefined && times[0].commit !== raw.commit) times.shift();
      return { ...raw, time: times.shift()?.time ?? 0 };
    };
    for await (const chunk of diffTree.stdout) yield* parser.push(chunk as Buffer).map(timed);
    await feeding;
    await diffTree.done;
    yield* parser.end().map(timed);
  }

  #toCommit({ commit, time, changes }: TimedCommit, sizes: readonly number[]): HistoryCommit {
    let next = 0;
    const operations: HistoryOperation[] = [];
    for (const change of changes) {
      const size = hasSize(change) ? (sizes[next++] as number) : '-';
      const path = this.#toKey(change.path);
      if (path === undefined) continue;
      operations.push(change.blob === undefined ? ['del', path] : ['put', path, size, change.blob]);
    }
    return { commit, time, operations };
  }

  /** Undefined, and counted, for a path that can't be a key. */
  #toKey(path: Buffer): string | undefined {
    if (isUtf8(path) && path.length <= KEY_BYTES_MAX) return path.toString('utf8');
    this.#leftOut.add(path.toString('latin1'));
    return undefined;
  }

  async oracle(signal: AbortSignal): Promise<Oracle> {
    const git = startGit(this.#path, ['ls-tree', '-r', '-l', '-z', '--full-tree', this.#head], signal);
    git.stdin.end();
    const pieces: Buffer[] = [];
    for await (const piece of git.stdout) pieces.push(piece as Buffer);
    await git.done;
    // One character a byte, so that they sort as the bytes do.
    const entries = Buffer.concat(pieces).toString('latin1').split('\0').slice(0, -1).map(parseTreeEntry);
    entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    const oracle = new OracleHash();
    for (const { path, size, blob } of entries) {
      const key = this.#toKey(Buffer.from(path, 'latin1'));
      if (key !== undefined) oracle.add(key, { size, blob });
    }
    return oracle.digest();
  }
}

type TimedCommit = RawCommit & { readonly time: number };

// Settings of the user that change what is shown are overruled.
const OVERRULING = ['--no-renames', '--no-abbrev', '--no-relative', '--no-ext-diff', '--ignore-submodules=none'];
const DIFF_TREE = ['diff-tree', '--stdin', '--root', '-r', '--raw', '-z', ...OVERRULING];

function hasSize({ blob, isSubmodule }: RawChange): boolean {
  return blob !== undefined && !isSubmodule;
}

function parseTreeEntry(entry: string): { path: string; size: number | '-'; blob: string } {
  const match = /^\d+ \w+ ([0-9a-f]+) +(\d+|-)\t(.+)$/s.exec(entry);
  if (match === null) throw new Error(`can't read the output of git ls-tree: ${JSON.stringify(entry.slice(0, 120))}`);
  const [, blob, size, path] = match as unknown as [string, string, string, string];
  return { path, size: size === '-' ? size : Number(size), blob };
}

/** Hands each commit with its first parent to diff-tree; a commit without a parent is compared with nothing. */
async function feed(revList: GitProcess, diffTree: GitProcess, times: { commit: string; time: number }[]): Promise<void> {
  try {
    for await (const { text } of readLines(revList.stdout as AsyncIterable<Buffer>, 'git rev-list')) {
      const [time, commit, parent] = text.split(' ') as [string, string, string?];
      times.push({ commit, time: Number(time) });
      if (!diffTree.stdin.write(`${parent === undefined ? commit : `${commit} ${parent}`}\n`)) await writable(diffTree);
    }
    await revList.done;
  } finally {
    diffTree.stdin.end();
  }
}

/** Resolves when git takes in more, or has ended, and throws if it failed. */
async function writable(git: GitProcess): Promise<void> {
  await Promise.race([once(git.stdin, 'drain'), git.done]);
}

/** Asks one `git cat-file` for the sizes of many objects; the answers come in the order of the questions. */
class BlobSizes {
  readonly #git: GitProcess;
  readonly #answers: AsyncGenerator<{ text: string }, void>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(git: GitProcess) {
    this.#git = git;
    this.#answers = readLines(git.stdout as AsyncIterable<Buffer>, 'git cat-file');
  }

  ask(blobs: readonly string[]): Promise<readonly number[]> {
    if (blobs.length === 0) return Promise.resolve([]);
    this.#git.stdin.write(`${blobs.join('\n')}\n`);
    const answer = this.#last.then(() => this.#read(blobs));
    answer.catch(() => undefined);
    this.#last = answer;
    return answer;
  }

  async #read(blobs: readonly string[]): Promise<number[]> {
    const sizes: number[] = [];
    for (const blob of blobs) {
      const { value } = await this.#answers.next();
      if (value === undefined) {
        await this.#git.done;
        throw new Error('git cat-file ended before it had answered');
      }
      const [id, size] = value.text.split(' ');
      if (id !== blob || size === undefined || !/^\d+$/.test(size)) throw new Error(`git can't tell the size of ${blob}: ${value.text}`);
      sizes.push(Number(size));
    }
    return sizes;
  }

  async end(): Promise<void> {
    this.#git.stdin.end();
    // To its end, so that it can end.
    while ((await this.#answers.next()).done !== true);
    await this.#git.done;
  }
}
