/** Deleting: a thousand objects a request. One that is not there is no error, so a request may be repeated. */
import { createHash } from 'node:crypto';
import { PeatError } from '../../base/errors.ts';
import { type S3Client, UnusableAnswer } from './s3-client.ts';
import { encodeDeletion, MalformedAnswerError, parseDeletion } from './s3-xml.ts';

const KEYS_MAX = 1000;
/** Failures of single keys that pass by themselves. */
const PASSING = new Set(['InternalError', 'SlowDown', 'ServiceUnavailable', 'OperationAborted']);

/** @throws RequestFailure, or PeatError for the first object that could not be deleted */
export async function deleteObjects(client: S3Client, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += KEYS_MAX) {
    const some = keys.slice(from, from + KEYS_MAX);
    await (some.length === 1 ? deleteOne(client, some[0] as string) : deleteMany(client, some));
  }
}

async function deleteOne(client: S3Client, key: string): Promise<void> {
  await client.send({ kind: 'delete', method: 'DELETE', key }, (answer) => {
    if (answer.status === 404 && answer.error?.code === 'NoSuchKey') return;
    if (answer.status !== 204 && answer.status !== 200) throw new UnusableAnswer(answer);
  });
}

async function deleteMany(client: S3Client, keys: readonly string[]): Promise<void> {
  const body = encodeDeletion(keys);
  const headers = { 'content-type': 'application/xml', 'content-md5': createHash('md5').update(body).digest('base64') };
  await client.send({ kind: 'delete', method: 'POST', query: { delete: '' }, headers, body }, (answer) => {
    if (answer.status !== 200) throw new UnusableAnswer(answer);
    const failed = parseDeletion(answer.body).filter(({ code }) => code !== 'NoSuchKey');
    const [first] = failed;
    if (first === undefined) return;
    const what = `${failed.length} of ${keys.length} objects could not be deleted: ${first.key}: ${first.code}`;
    if (failed.every(({ code }) => PASSING.has(code))) throw new MalformedAnswerError(what);
    throw new PeatError(first.code === 'AccessDenied' ? 'ACCESS_DENIED' : 'STORAGE', what, { file: first.key });
  });
}
