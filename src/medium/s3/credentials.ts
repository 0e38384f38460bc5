/**
 * Who signs. Keys in the environment are taken as they are; for anything else (profiles, SSO, web identity, processes, container and
 * instance roles) the official chain of providers is loaded, which takes longer than everything else a short-lived process does.
 *
 * Credentials that expire are replaced before they do: the chain is asked for each request, and hands out what it has until five
 * minutes before its end. No part of them ever goes into a message.
 */
import { PeatError } from '../../base/errors.ts';
import type { Environment } from './s3-target.ts';
import type { Credentials } from './signature.ts';

export interface CredentialSource {
  /** @throws PeatError `ACCESS_DENIED` if there are none. */
  get(): Promise<Credentials>;
  /** The server says that what it got has expired: the next ones are fresh. False if there is no way to get others. */
  renew(): Promise<boolean>;
}

export function credentialSource(env: Environment): CredentialSource {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'] ?? '';
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'] ?? '';
  const sessionToken = env['AWS_SESSION_TOKEN'] ?? '';
  if (accessKeyId === '' || secretAccessKey === '') return new ChainCredentials();
  const credentials: Credentials = { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) };
  return { get: async () => credentials, renew: async () => false };
}

type Chain = (options?: { readonly forceRefresh?: boolean }) => Promise<Credentials>;

class ChainCredentials implements CredentialSource {
  #chain: Promise<Chain> | undefined;

  async get(): Promise<Credentials> {
    return await this.#ask({});
  }

  async renew(): Promise<boolean> {
    await this.#ask({ forceRefresh: true });
    return true;
  }

  async #ask(options: { readonly forceRefresh?: boolean }): Promise<Credentials> {
    try {
      this.#chain ??= loadChain();
      return await (await this.#chain)(options);
    } catch (cause) {
      this.#chain = undefined;
      const what = cause instanceof Error ? cause.message : String(cause);
      throw new PeatError(
        'ACCESS_DENIED',
        `no credentials for S3: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor a profile, SSO session or role gives any (${what})`,
      );
    }
  }
}

async function loadChain(): Promise<Chain> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  return defaultProvider() as Chain;
}
