/** Whether a request is signed: judged by the signer of the official SDK. */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SignatureV4 } from '@smithy/signature-v4';
import { type FakeAnswer, refuse } from './fake-operations.ts';

class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Buffer | string);
  }

  update(data: string | Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {}
}

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** What the official signer makes of a request. */
export async function officialSignature(
  request: { method: string; path: string; query: Record<string, string>; headers: Record<string, string> },
  { credentials, region, nowMs }: { credentials: Keys; region: string; nowMs: number },
): Promise<string> {
  const signer = new SignatureV4({ service: 's3', region, credentials, sha256: Sha256, uriEscapePath: false });
  const signed = await signer.sign({ protocol: 'http:', hostname: '127.0.0.1', ...request }, { signingDate: new Date(nowMs) });
  return signed.headers['authorization'] ?? '';
}

export async function checkSignature(request: IncomingMessage, body: Buffer, keys: Keys): Promise<FakeAnswer | undefined> {
  const { authorization, 'x-amz-date': date, 'x-amz-content-sha256': sha256, connection: _, ...headers } = request.headers;
  if (typeof date !== 'string' || authorization === undefined) return refuse(403, 'AccessDenied', 'not signed');
  if (sha256 !== createHash('sha256').update(body).digest('hex')) return refuse(400, 'XAmzContentSHA256Mismatch', 'another body');
  const nowMs = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  if (Math.abs(nowMs - Date.now()) > 15 * 60_000) return refuse(403, 'RequestTimeTooSkewed', 'The difference is too large.');
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const expected = await officialSignature(
    {
      method: request.method ?? '',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { ...(headers as Record<string, string>), 'x-amz-content-sha256': sha256 },
    },
    { credentials: keys, region: 'us-east-1', nowMs },
  );
  return authorization === expected ? undefined : refuse(403, 'SignatureDoesNotMatch', 'It does not match.');
}
