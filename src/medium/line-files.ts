/**
 * Files of lines in a directory that is no store: traces, which each process appends to a file of its own, and which a tool
 * reads all at once. Nothing rests on them, so nothing is synced: a power cut may take or cut off the last lines.
 */
import { appendFileSync, createReadStream, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ENDING = '.jsonl';

/** Where lines go; see `openLineFile`. */
export interface LineFile {
  /** Blocks, so that it works while the process exits. `text` is whole lines. Throws what the system says. */
  append(text: string): void;
}

/** A file that only the caller writes to: `name` must be its own. The first append creates it, and its directory. */
export function openLineFile(directory: string, name: string): LineFile {
  const path = join(directory, name + ENDING);
  let isThere = false;
  return {
    append: (text) => {
      if (!isThere) mkdirSync(directory, { recursive: true });
      appendFileSync(path, text);
      isThere = true;
    },
  };
}

/** The lines of all such files in a directory, file by file, in the order of their names. */
export async function* readLineFiles(directory: string): AsyncGenerator<string> {
  const names = readdirSync(directory).filter((name) => name.endsWith(ENDING));
  for (const name of names.sort()) {
    yield* createInterface({ input: createReadStream(join(directory, name), 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
  }
}
