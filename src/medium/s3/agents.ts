/**
 * Connections to the server: kept open between requests, with the certificates of `AWS_CA_BUNDLE`, and through the proxy that
 * `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name, if any. What a proxy needs is loaded only for one.
 */
import { readFileSync } from 'node:fs';
import type { Agent } from 'node:http';
import { PeatError } from '../../base/errors.ts';
import type { Environment } from './s3-target.ts';

/** More at once wait for a connection. */
const SOCKETS_MAX = 64;

export async function openAgent(origin: URL, env: Environment): Promise<Agent> {
  const options = { keepAlive: true, maxSockets: SOCKETS_MAX, scheduling: 'lifo' as const };
  const tls = origin.protocol === 'https:' ? certificates(env) : {};
  if (Object.entries(env).some(([name, value]) => /^(https?|all)_proxy$/i.test(name) && value !== undefined && value !== '')) {
    const { getProxyForUrl } = await import('proxy-from-env');
    const proxy = getProxyForUrl(origin.href);
    if (proxy !== '') {
      const { HttpsProxyAgent } = await import('https-proxy-agent');
      return new HttpsProxyAgent(proxy, { ...options, ...tls });
    }
  }
  if (origin.protocol === 'https:') return new (await import('node:https')).Agent({ ...options, ...tls });
  return new (await import('node:http')).Agent(options);
}

function certificates(env: Environment): { ca?: Buffer } {
  const file = env['AWS_CA_BUNDLE'] ?? '';
  if (file === '') return {};
  try {
    return { ca: readFileSync(file) };
  } catch (cause) {
    throw new PeatError('STORAGE', `AWS_CA_BUNDLE: ${(cause as Error).message}`, { cause });
  }
}
