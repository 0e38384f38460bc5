/**
 * Files of lines in a directory that is no store: traces, which each process appends to a file of its own, and which a tool
 * reads all at once. Nothing rests on them, so nothing is synced: a power cut may take or cut off the last lines.
 */
import { appendFileSync, constants, mkdirSync, readdirSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

const ENDING = '.jsonl';
/** No process writes longer lines; one that is may fill the memory. */
const LINE_BYTES_MAX = 2 ** 20;
const CHUNK_BYTES = 65_536;
const NEW_LINE = 10;

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

/** What is told of the files, in the order of their names. */
export interface LineReader {
  /** Without its end. */
  line(text: string): void;
  /** A line of over 1 MiB. */
  overlong(): void;
  /** A name that stands for no file: a pipe, a socket, a directory, a link to nothing. Nothing is waited for. */
  notAFile(path: string): void;
  /** Ends the reading with its reason. */
  readonly signal: AbortSignal;
}

/** Reads the lines of all such files in a directory. Throws what the system says. */
export async function readLineFiles(directory: string, reader: LineReader): Promise<void> {
  const names = readdirSync(directory).filter((name) => name.endsWith(ENDING));
  for (const name of names.sort()) {
    const path = join(directory, name);
    const file = await openFile(path);
    if (file === undefined) {
      reader.notAFile(path);
      continue;
    }
    try {
      await readLines(file, reader);
    } finally {
      await file.close();
    }
  }
}

/** Looks first: to open a device may do something. Doesn't wait for the other end of a pipe that took the file's place since. */
async function openFile(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle | undefined;
  try {
    if (!statSync(path).isFile()) return undefined;
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    if ((await file.stat()).isFile()) return file;
  } catch (error) {
    // A link to nothing, or to itself; a file that was deleted since it was listed.
    if (!GONE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  await file?.close();
  return undefined;
}

const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

async function readLines(file: FileHandle, reader: LineReader): Promise<void> {
  const line = new LineBuffer(reader);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    reader.signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
    if (bytesRead === 0) break;
    const bytes = chunk.subarray(0, bytesRead);
    let start = 0;
    for (let end = bytes.indexOf(NEW_LINE); end >= 0; end = bytes.indexOf(NEW_LINE, start)) {
      line.add(bytes.subarray(start, end));
      line.end();
      start = end + 1;
    }
    line.add(bytes.subarray(start));
  }
  if (!line.isEmpty) line.end();
}

/** A line that comes in pieces; of one that is too long, nothing is kept. */
class LineBuffer {
  readonly #reader: LineReader;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(reader: LineReader) {
    this.#reader = reader;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Copies. */
  add(piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes > LINE_BYTES_MAX) this.#pieces = [];
    else if (piece.length > 0) this.#pieces.push(Buffer.from(piece));
  }

  end(): void {
    if (this.#bytes > LINE_BYTES_MAX) this.#reader.overlong();
    else this.#reader.line(Buffer.concat(this.#pieces).toString('utf8'));
    this.#pieces = [];
    this.#bytes = 0;
  }
}
