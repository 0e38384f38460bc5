/**
 * `putIfAbsent` on S3: one conditional PUT. The object's metadata carries the hash of its bytes, which differ for each caller since they
 * hold a nonce.
 *
 * A PUT whose answer was lost is sent again, and may meet its own success as 412; so 412 is judged by what stands there: the hash
 * in its metadata, or its bytes where something else has copied the store without that. The object may also be there and
 * gone again by then, so that nobody can tell any more: `OUTCOME_UNKNOWN`.
 */
import { PeatError } from '../../base/errors.ts';
import { publicError, RequestFailure } from './request-failure.ts';
import { type S3Answer, type S3Client, UnusableAnswer } from './s3-client.ts';
import { getObject } from './s3-get.ts';
import { sha256Hex } from './signature.ts';

const HASH_METADATA = 'x-amz-meta-peat-sha256';

export interface PutContext {
  readonly client: S3Client;
  /** Of the object in the store, for messages. */
  readonly name: string;
  readonly key: string;
  /** Those that ask for encryption. */
  readonly headers: Readonly<Record<string, string>>;
}

export async function putIfAbsent(bytes: Uint8Array, { client, name, key, headers }: PutContext): Promise<boolean> {
  const bodySha256 = sha256Hex(bytes);
  let created: boolean;
  try {
    created = await client.send(
      {
        kind: 'put',
        method: 'PUT',
        key,
        headers: { ...headers, 'content-type': 'application/octet-stream', 'if-none-match': '*', [HASH_METADATA]: bodySha256 },
        body: bytes,
        bodySha256,
      },
      isCreated,
    );
  } catch (error) {
    throw error instanceof RequestFailure && error.facts.mayHaveRun ? outcomeUnknown(name, error) : publicError(error, name);
  }
  if (created) return true;
  try {
    return await isMine({ client, name, key }, bytes, bodySha256);
  } catch (error) {
    throw error instanceof RequestFailure ? outcomeUnknown(name, error) : error;
  }
}

/** True if this created it, false if something has that name. */
function isCreated(answer: S3Answer): boolean {
  if (answer.status === 200 || answer.status === 201 || answer.status === 204) return true;
  if (answer.status === 412) return false;
  throw new UnusableAnswer(answer);
}

async function isMine({ client, name, key }: Omit<PutContext, 'headers'>, bytes: Uint8Array, sha256: string): Promise<boolean> {
  const found = await client.send({ kind: 'head', method: 'HEAD', key }, (answer) => {
    if (answer.status === 404) return 'gone' as const;
    if (answer.status !== 200) throw new UnusableAnswer(answer);
    const hash = answer.headers[HASH_METADATA];
    return { hash: typeof hash === 'string' ? hash : undefined, length: Number(answer.headers['content-length'] ?? -1) };
  });
  if (found !== 'gone') {
    if (found.hash !== undefined) return found.hash === sha256;
    if (found.length !== bytes.length) return false;
    const there = await getObject({ client, key });
    if (there !== undefined) return there.equals(bytes);
  }
  throw new PeatError('OUTCOME_UNKNOWN', `${name} may or may not have been created: it was there, and was deleted since`, { file: name });
}

function outcomeUnknown(name: string, failure: RequestFailure): PeatError {
  return new PeatError('OUTCOME_UNKNOWN', `${name} may or may not have been created: ${failure.message}`, { file: name });
}
