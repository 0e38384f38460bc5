/**
 * Reads `git diff-tree --stdin --raw -z`: for each commit its id, then for each path
 * `:oldMode newMode oldId newId status` and the path, every piece ended by a zero byte. Paths are bytes, whatever they may be.
 */

export interface RawChange {
  readonly path: Buffer;
  /** Undefined if the path was deleted. */
  readonly blob: string | undefined;
  readonly isSubmodule: boolean;
}

export interface RawCommit {
  readonly commit: string;
  readonly changes: RawChange[];
}

const COMMIT = /^[0-9a-f]{40,64}$/;
const CHANGE = /^:[0-7]{6} ([0-7]{6}) [0-9a-f]+ ([0-9a-f]+) ([AMDT])$/;
const SUBMODULE_MODE = '160000';

export class GitDiffParser {
  #rest: Buffer = Buffer.alloc(0);
  #commit: RawCommit | undefined;
  /** The change whose path comes next. */
  #change: RegExpExecArray | undefined;

  /** Takes in bytes; returns the commits that are complete, which one is when the next begins. */
  push(chunk: Buffer): RawCommit[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const done: RawCommit[] = [];
    let start = 0;
    for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
      this.#take(bytes.subarray(start, end), done);
      start = end + 1;
    }
    this.#rest = bytes.subarray(start);
    return done;
  }

  /** The last commit. @throws Error if the bytes end in the middle */
  end(): RawCommit[] {
    if (this.#rest.length > 0 || this.#change !== undefined) throw new Error('the output of git diff-tree ends in the middle');
    const last = this.#commit;
    this.#commit = undefined;
    return last === undefined ? [] : [last];
  }

  #take(piece: Buffer, done: RawCommit[]): void {
    const change = this.#change;
    if (change !== undefined) {
      const [, mode, blob, status] = change as unknown as [string, string, string, string];
      this.#commit?.changes.push({
        path: Buffer.from(piece),
        blob: status === 'D' ? undefined : blob,
        isSubmodule: mode === SUBMODULE_MODE,
      });
      this.#change = undefined;
      return;
    }
    const text = piece.toString('latin1');
    if (COMMIT.test(text)) {
      if (this.#commit !== undefined) done.push(this.#commit);
      this.#commit = { commit: text, changes: [] };
      return;
    }
    const match = CHANGE.exec(text);
    if (match === null || this.#commit === undefined)
      throw new Error(`can't read the output of git diff-tree: ${JSON.stringify(text.slice(0, 120))}`);
    this.#change = match;
  }
}
