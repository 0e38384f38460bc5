/** The signature is the one that the official SDK makes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePath, encodeQuery, sha256Hex, sign } from '../../../../src/medium/s3/signature.ts';
import { officialSignature } from '../../../support/s3/fake-signature.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => value.isWellFormed());
const visible = fc.string({ unit: fc.constantFrom(..."abcXYZ019-_.~!*'()=+/ %&@:,".split('')), maxLength: 20 });

describe('a signature', () => {
  it('is the official one, whatever is signed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          method: fc.constantFrom('GET', 'PUT', 'HEAD', 'POST', 'DELETE'),
          key: visible,
          query: fc.dictionary(fc.constantFrom('list-type', 'prefix', 'start-after', 'delete', 'continuation-token'), text),
          metadata: visible,
          sessionToken: fc.option(fc.constantFrom('token', 'a/b+c=='), { nil: undefined }),
          nowMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
        }),
        async ({ method, key, query, metadata, sessionToken, nowMs }) => {
          const path = `/bucket/${encodePath(key)}`;
          const headers = { host: '127.0.0.1:9000', 'x-amz-content-sha256': sha256Hex('body'), 'x-amz-meta-x': metadata };
          const credentials = { accessKeyId: 'id', secretAccessKey: 'secret', ...(sessionToken === undefined ? {} : { sessionToken }) };
          const facts = { credentials, region: 'eu-central-1', nowMs };
          const signed = sign({ method, path, query, headers }, facts);
          expect(signed['authorization']).toBe(await officialSignature({ method, path, query, headers }, facts));
        },
      ),
    );
  });

  it('encodes what a path and a query hold', () => {
    expect(encodePath("a b/c+d/e%f/(g)'!*")).toBe('a%20b/c%2Bd/e%25f/%28g%29%27%21%2A');
    expect(encodeQuery({ prefix: 'a/b', 'list-type': '2', delete: '' })).toBe('delete=&list-type=2&prefix=a%2Fb');
  });
});
