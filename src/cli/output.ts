/**
 * Where a command writes: data to stdout, everything else to stderr. A reader that went away (EPIPE: `peat list | head`) ends
 * the process quietly. A progress line is shown only on a terminal.
 */
import { writeSync } from 'node:fs';

const BUFFER_BYTES = 64 * 1024;

export class Output {
  readonly json: boolean;
  #pending: string[] = [];
  #pendingLength = 0;
  #progressShown = false;
  #progressAtMs = 0;

  constructor(options: { json: boolean }) {
    this.json = options.json;
  }

  /** A line of data. Buffered; waits where stdout is a slow pipe. */
  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }

  /** A piece of data that is no whole line. */
  async write(text: string): Promise<void> {
    this.#pending.push(text);
    this.#pendingLength += text.length;
    if (this.#pendingLength >= BUFFER_BYTES) await this.flush();
  }

  /** A line of data as JSON. */
  async jsonLine(value: unknown): Promise<void> {
    await this.line(jsonText(value));
  }

  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const text = this.#pending.join('');
    this.#pending = [];
    this.#pendingLength = 0;
    const rest = writeNow(Buffer.from(text));
    if (rest.length === 0) return;
    await writeStdout(rest);
  }

  /** A message for people. */
  message(text: string): void {
    this.#clearProgress();
    writeStderr(`${text}\n`);
  }

  /** Replaces the progress line, a few times a second, on a terminal only. */
  progress(text: () => string): void {
    if (this.json || process.stderr.isTTY !== true) return;
    const nowMs = performance.now();
    if (this.#progressShown && nowMs - this.#progressAtMs < 100) return;
    this.#progressAtMs = nowMs;
    this.#progressShown = true;
    const columns = process.stderr.columns ?? 80;
    writeStderr(`\r\x1b[K${text().slice(0, columns - 1)}`);
  }

  #clearProgress(): void {
    if (!this.#progressShown) return;
    this.#progressShown = false;
    writeStderr('\r\x1b[K');
  }

  async close(): Promise<void> {
    this.#clearProgress();
    await this.flush();
  }
}

/**
 * Writes what stdout takes at once, and returns the rest. The stream `process.stdout` brings sockets along, which take longer to load than
 * a `get` takes; it is needed only where stdout is not ready for more.
 */
function writeNow(bytes: Buffer): Buffer {
  let rest = bytes;
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return rest;
}

let stream: NodeJS.WriteStream | undefined;

/** Resolves when stdout has taken it. Rejects where nobody reads any more: a process with locks in its hands has to end in its own way. */
export async function writeStdout(data: string | Buffer): Promise<void> {
  if (stream === undefined) {
    stream = process.stdout;
    // Whoever writes learns of it.
    stream.on('error', () => {});
  }
  const stdout = stream;
  await new Promise<void>((resolve, reject) => {
    stdout.write(data, (error) => (error == null ? resolve() : reject(error)));
  });
}

function writeStderr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody reads the messages; that is no reason to fail.
  }
}

export function jsonText(value: unknown): string {
  return JSON.stringify(value, jsonValue);
}

/**
 * JSON for what MessagePack holds beyond it: bigints as numbers in text, bytes as base64. Dates write themselves. Buffers would, too, as objects
 * that a value may look like by itself: so what counts is what `this`, the object around it, holds.
 */
function jsonValue(this: unknown, name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  const original = (this as Readonly<Record<string, unknown>>)[name];
  if (original instanceof Uint8Array) return Buffer.from(original.buffer, original.byteOffset, original.length).toString('base64');
  return value;
}
