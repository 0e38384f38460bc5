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
    const sizes = new BlobSizes(startGit(this.#path, ['cat-file', '--batch-check=%(objectname) %(objectsize)', '--buffer'], both));
    const window: { raw: RawCommit; time: number; sizes: Promise<readonly number[]> }[] = [];
    try {
      for await (const { raw, time } of this.#changes(both)) {
        window.push({ raw, time, sizes: sizes.ask(raw.changes.filter(needsSize).map(({ blob }) => blob as string)) });
        if (window.length < WINDOW_COMMITS) continue;
        sizes.flush();
        // Half of the window at once, so that git is asked in large pieces.
        for (const { raw, time, sizes } of window.splice(0, WINDOW_COMMITS / 2)) yield this.#toCommit(raw, { time, sizes: await sizes });
      }
      sizes.flush();
      for (const { raw, time, sizes } of window) yield this.#toCommit(raw, { time, sizes: await sizes });
      await sizes.end();
    } finally {
      stop.abort();
    }
  }
}
