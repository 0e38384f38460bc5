/**
 * Reading an object, or a part of it. The first request asks for the first piece, and learns the size; what is left of a large object is
 * read in pieces at once, which takes a fraction of the time that one connection needs.
 *
 * Only an answer that says "no such key" means that there is no such object.
 */
import { PeatError } from '../../base/errors.ts';
import type { ByteRange } from '../medium.ts';
import { type S3Answer, type S3Client, UnusableAnswer } from './s3-client.ts';
import { MalformedAnswerError } from './s3-xml.ts';

export const PIECE_BYTES: number = 8 * 1024 * 1024;
const PIECES_AT_ONCE = 6;

export interface GetContext {
  readonly client: S3Client;
  readonly key: string;
  readonly range?: ByteRange | undefined;
}

interface Piece {
  readonly bytes: Buffer;
  /** Of the whole object. */
  readonly size: number;
  readonly etag: string | undefined;
}

/** Undefined if it is not there. @throws RequestFailure */
export async function getObject({ client, key, range }: GetContext): Promise<Buffer | undefined> {
  const offset = range?.offset ?? 0;
  const length = range?.length ?? Number.POSITIVE_INFINITY;
  // A range of no bytes can't be asked for.
  const first = await getPiece({ client, key }, { offset, length: Math.max(1, Math.min(length, PIECE_BYTES)) });
  if (first === undefined) return undefined;
  if (length === 0) return Buffer.alloc(0);
  const end = Math.min(offset + length, first.size);
  if (offset + first.bytes.length >= end) return first.bytes;
  return await getRest({ client, key }, { offset, end, first });
}

async function getRest(
  context: Omit<GetContext, 'range'>,
  { offset, end, first }: { offset: number; end: number; first: Piece },
): Promise<Buffer | undefined> {
  const { default: PQueue } = await import('p-queue');
  const queue = new PQueue({ concurrency: PIECES_AT_ONCE });
  const whole = Buffer.allocUnsafe(end - offset);
  first.bytes.copy(whole);
  const starts: number[] = [];
  for (let start = offset + first.bytes.length; start < end; start += PIECE_BYTES) starts.push(start);
  let isGone = false;
  try {
    await queue.addAll(
      starts.map((start) => async () => {
        const length = Math.min(PIECE_BYTES, end - start);
        const piece = await getPiece(context, { offset: start, length });
        if (piece === undefined) isGone = true;
        else if (piece.etag !== first.etag)
          throw new PeatError('STORAGE', `${context.key} changed while it was read`, { file: context.key });
        else piece.bytes.copy(whole, start - offset);
      }),
    );
  } finally {
    queue.clear();
  }
  return isGone ? undefined : whole;
}

async function getPiece({ client, key }: Omit<GetContext, 'range'>, { offset, length }: ByteRange): Promise<Piece | undefined> {
  return await client.send(
    { kind: 'get', method: 'GET', key, headers: { range: `bytes=${offset}-${offset + length - 1}` }, bytesExpected: length },
    (answer) => decodePiece(answer, { offset, length }),
  );
}

function decodePiece(answer: S3Answer, { offset, length }: ByteRange): Piece | undefined {
  const { status, headers, body, error } = answer;
  const etag = headers.etag;
  if (status === 404 && error?.code === 'NoSuchKey') return undefined;
  // The range begins behind the end.
  if (status === 416) return { bytes: Buffer.alloc(0), size: Math.min(offset, sizeOf(headers['content-range']) ?? offset), etag };
  // Ranges are no server's duty; some send the whole of a small object.
  if (status === 200) return { bytes: body.subarray(offset, offset + length), size: body.length, etag };
  if (status !== 206) throw new UnusableAnswer(answer);
  const size = sizeOf(headers['content-range']);
  if (size === undefined) throw new MalformedAnswerError('a part of an object that does not say how large that is');
  const isRight = headers['content-range']?.startsWith(`bytes ${offset}-`) === true && body.length === Math.min(length, size - offset);
  if (!isRight) throw new MalformedAnswerError('a part of an object that is not the one asked for');
  return { bytes: body, size, etag };
}

/** The number behind the slash of `bytes 0-99/1234`. */
function sizeOf(contentRange: string | undefined): number | undefined {
  const text = contentRange?.slice(contentRange.lastIndexOf('/') + 1) ?? '';
  const size = Number(text);
  return text !== '' && Number.isSafeInteger(size) ? size : undefined;
}
