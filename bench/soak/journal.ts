/**
 * What an actor was about to do, and what it was told, on disk before it goes on: so that its next life, and the judge at the end, know what a
 * killed one had under way. A line a step; `write` without a sync is enough, since processes are killed here, not the machine.
 */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export class Journal<Line> {
  readonly #path: string;
  #fd: number | undefined;

  constructor(directory: string, name: string) {
    this.#path = join(directory, `${name}.jsonl`);
  }

  /** All lines of earlier lives. A last line that a kill cut off does not count. */
  read(): Line[] {
    if (!existsSync(this.#path)) return [];
    const lines = readFileSync(this.#path, 'utf8').split('\n').slice(0, -1);
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
  }

  note(line: Line): void {
    // The first line of a life ends the one that a kill may have cut off.
    const isFirst = this.#fd === undefined;
    this.#fd ??= openSync(this.#path, 'a');
    writeSync(this.#fd, `${isFirst ? '\n' : ''}${JSON.stringify(line)}\n`);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
