/** What `import` and `replay` read: a file or stdin, gunzipped if its first bytes say so, whatever its name. */
import { createReadStream } from 'node:fs';

export interface Input {
  /** For messages: the path, or `stdin`. */
  readonly name: string;
  /** The first bytes, at most 4 KiB, which `chunks` gives again. */
  readonly head: Buffer;
  readonly chunks: AsyncIterable<Buffer>;
}

const HEAD_BYTES = 4096;

/**
 * Opens a file, or stdin for undefined and "-". The chunks must be read to the end, or the iteration ended, to close it. The signal ends a wait
 * for stdin, which may be for ever.
 */
export async function openInput(path: string | undefined, signal: AbortSignal): Promise<Input> {
  const isStdin = path === undefined || path === '-';
  if (isStdin) signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
  const raw: AsyncIterable<Buffer> = isStdin ? process.stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
  const first = await peek(raw, 2);
  const isGzip = first.head[0] === 0x1f && first.head[1] === 0x8b;
  const { head, chunks } = await peek(isGzip ? await gunzip(first.chunks) : first.chunks, HEAD_BYTES);
  return { name: isStdin ? 'stdin' : path, head: head.subarray(0, HEAD_BYTES), chunks };
}

async function gunzip(chunks: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const [{ createGunzip }, { Readable, pipeline }] = await Promise.all([import('node:zlib'), import('node:stream')]);
  // An error of either end destroys the other, and comes out of the iteration.
  return pipeline(Readable.from(chunks, { objectMode: false }), createGunzip({ chunkSize: 256 * 1024 }), () => undefined);
}

async function peek(chunks: AsyncIterable<Buffer>, bytes: number): Promise<{ head: Buffer; chunks: AsyncIterable<Buffer> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < bytes) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  return { head, chunks: again(head, iterator) };
}

async function* again(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void> {
  try {
    if (head.length > 0) yield head;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      yield value;
    }
  } finally {
    await iterator.return?.();
  }
}
