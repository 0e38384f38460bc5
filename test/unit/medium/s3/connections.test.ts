/** Certificates of one's own, and proxies. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { S3Medium } from '../../../../src/medium/s3/s3-medium.ts';
import { FAKE_BUCKET } from '../../../support/s3/fake-operations.ts';
import { startFakeServer } from '../../../support/s3/fake-server.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0;
const bytes = Buffer.from('mine');

/** A certificate for 127.0.0.1 that nobody has signed. */
function newCertificate(): { readonly key: string; readonly cert: string } {
  const directory = temporaryDirectory();
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert, ...subject];
  expect(spawnSync('openssl', args).status).toBe(0);
  return { key, cert };
}

describe('connections to a bucket', () => {
  it.skipIf(!HAS_OPENSSL)(
    `are made over TLS, with the certificates that AWS_CA_BUNDLE names${HAS_OPENSSL ? '' : ' (skipped: no openssl here)'}`,
    async () => {
      const server = await startFakeServer();
      const { key, cert } = newCertificate();
      const { hostname, port } = new URL(server.endpoint);
      const front = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
        const { method, url: path, headers } = request;
        request.pipe(
          send({ hostname, port, method, path, headers }, (answer) => {
            response.writeHead(answer.statusCode ?? 0, answer.headers);
            answer.pipe(response);
          }),
        );
      });
      front.listen(0, '127.0.0.1');
      await once(front, 'listening');
      const endpoint = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
      const trusting = await S3Medium.open(`s3://${FAKE_BUCKET}`, { endpoint, env: { ...server.env, AWS_CA_BUNDLE: cert } });
      expect(await trusting.putIfAbsent('a', bytes)).toBe(true);
      expect(await trusting.get('a')).toEqual(bytes);
      const wary = await S3Medium.open(`s3://${FAKE_BUCKET}`, { endpoint, env: server.env });
      await expect(wary.get('a')).rejects.toMatchObject({
        code: 'STORAGE',
        message: expect.stringMatching(/at the first attempt: .*SELF_SIGNED/),
      });
      const missing = S3Medium.open(`s3://${FAKE_BUCKET}`, { endpoint, env: { ...server.env, AWS_CA_BUNDLE: `${cert}.none` } });
      await expect(missing).rejects.toMatchObject({ code: 'STORAGE', message: expect.stringContaining('AWS_CA_BUNDLE') });
      await Promise.all([trusting.close(), wary.close()]);
      front.close();
      front.closeAllConnections();
      await server.close();
    },
  );

  it('go through the proxy of the environment, unless it excepts the host', async () => {
    const server = await startFakeServer();
    const tunnels: string[] = [];
    const proxy = createServer().on('connect', (request, client) => {
      tunnels.push(request.url ?? '');
      const { hostname, port } = new URL(`http://${request.url}`);
      const target = connect(Number(port), hostname, () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
      target.pipe(client).pipe(target);
      client.on('error', () => target.destroy());
      target.on('error', () => client.destroy());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const proxyEnv = {
      HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      http_proxy: '',
      NO_PROXY: '',
      no_proxy: '',
    };
    const before = Object.keys(proxyEnv).map((name) => [name, process.env[name]] as const);
    onTestFinished(() => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });
    Object.assign(process.env, proxyEnv);
    const env = { ...server.env, ...proxyEnv };
    const tunnelled = await S3Medium.open(`s3://${FAKE_BUCKET}`, { env });
    expect(await tunnelled.putIfAbsent('a', bytes)).toBe(true);
    expect(await tunnelled.get('a')).toEqual(bytes);
    expect(new Set(tunnels)).toEqual(new Set([new URL(server.endpoint).host]));
    const count = tunnels.length;
    process.env['NO_PROXY'] = '127.0.0.1';
    const direct = await S3Medium.open(`s3://${FAKE_BUCKET}`, { env });
    expect(await direct.get('a')).toEqual(bytes);
    expect(tunnels).toHaveLength(count);
    await Promise.all([tunnelled.close(), direct.close()]);
    proxy.close();
    proxy.closeAllConnections();
    await server.close();
  });
});
