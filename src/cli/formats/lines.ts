/** Lines of text from chunks of bytes. A line is copied only where it crosses chunks. */
import { isUtf8 } from 'node:buffer';

export interface Line {
  readonly text: string;
  /** From 1 on. */
  readonly number: number;
}

/** The largest value takes some 100 MB as JSON at worst; a longer line is no line of ours. */
const LINE_BYTES_MAX = 256 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Empty lines are left out, but counted. @throws Error that names the line if it is not UTF-8, or too long */
export async function* readLines(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Line, void> {
  let parts: Buffer[] = [];
  let partBytes = 0;
  let number = 1;
  const take = (end: Buffer): string => {
    const bytes = parts.length === 0 ? end : Buffer.concat([...parts, end]);
    parts = [];
    partBytes = 0;
    if (!isUtf8(bytes)) throw new Error(`${name}:${number}: not valid UTF-8`);
    return bytes.toString('utf8').trim();
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const text = take(chunk.subarray(start, end));
      if (text !== '') yield { text, number };
      number++;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    partBytes += chunk.length - start;
    if (partBytes > LINE_BYTES_MAX) throw new Error(`${name}:${number}: a line of more than ${LINE_BYTES_MAX} bytes`);
  }
  const text = take(Buffer.alloc(0));
  if (text !== '') yield { text, number };
}
