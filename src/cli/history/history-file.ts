/** A history from a `.jsonl` or `.jsonl.gz` file. */
import { openInput } from '../formats/input.ts';
import { readLines } from '../formats/lines.ts';
import { type HistoryCommit, type HistorySource, type Oracle, parseHistoryLine } from './history.ts';

export class HistoryFile implements HistorySource {
  readonly description: string;
  readonly leftOut = 0;
  readonly #path: string;
  #oracle: Oracle | undefined;

  constructor(path: string) {
    this.#path = path;
    this.description = path;
  }

  async *commits(signal: AbortSignal): AsyncGenerator<HistoryCommit, void> {
    const { name, chunks } = await openInput(this.#path, signal);
    for await (const { text, number } of readLines(chunks, name)) {
      signal.throwIfAborted();
      if (this.#oracle !== undefined) throw new Error(`${name}:${number}: something follows the oracle, which must be the last line`);
      const line = parseHistoryLine(text, `${name}:${number}`);
      if ('sha256' in line) this.#oracle = line;
      else yield line;
    }
  }

  oracle(): Promise<Oracle> {
    if (this.#oracle === undefined) return Promise.reject(new Error(`${this.#path} has no oracle: its last line must be {"tree":{...}}`));
    return Promise.resolve(this.#oracle);
  }
}
