/**
 * The medium in a bucket. Names are keys below the location's prefix; each object is put once, whole, by a conditional PUT.
 *
 * There is no append and no blocking form, so a group of appends is an object of its own. Objects are durable when their
 * PUT is answered; names need no syncing.
 */
import { PeatError } from '../../base/errors.ts';
import { nodeSystem, type System } from '../../base/system.ts';
import { STORE_FILE } from '../../format/layout.ts';
import type { AppendFile, ByteRange, ListedObject, ListOptions, Medium } from '../medium.ts';
import { openAgent } from './agents.ts';
import { credentialSource } from './credentials.ts';
import { profileRegion } from './profile-region.ts';
import type { RequestCounts } from './request-counts.ts';
import { publicError } from './request-failure.ts';
import { S3Client } from './s3-client.ts';
import { deleteObjects } from './s3-delete.ts';
import { getObject } from './s3-get.ts';
import { type ListContext, listFolders, listObjects } from './s3-list.ts';
import { putIfAbsent } from './s3-put.ts';
import { type Environment, resolveTarget, type S3Options } from './s3-target.ts';
import { openTransport } from './transport.ts';

export interface S3MediumOptions extends S3Options {
  readonly system?: System | undefined;
  /** Never writes an object. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Where credentials, region, endpoint and proxy come from. Default: the process's. */
  readonly env?: Environment;
}

export class S3Medium implements Medium {
  readonly description: string;
  readonly canAppend = false;
  readonly isRemote = true;
  readonly localDirectory: undefined = undefined;
  readonly blocking: undefined = undefined;
  readonly #client: S3Client;
  readonly #prefix: string;
  readonly #readOnly: boolean;
  readonly #putHeaders: Readonly<Record<string, string>>;

  private constructor(client: S3Client, facts: { description: string; prefix: string; options: S3MediumOptions }) {
    this.#client = client;
    this.#prefix = facts.prefix;
    this.description = facts.description;
    this.#readOnly = facts.options.readOnly === true;
    this.#putHeaders = encryptionHeaders(facts.options);
  }

  /**
   * Opens a location `s3://bucket/prefix`. Nothing is sent by this.
   *
   * @throws RangeError that says what is wrong with the location or an option; PeatError `STORAGE` if no region is known
   */
  static async open(location: string, options: S3MediumOptions = {}): Promise<S3Medium> {
    const { system = nodeSystem, env = process.env, requestTimeoutMs = 15_000, retryBudgetMs = 60_000 } = options;
    const target = await resolveTarget(location, { options, env, profileRegion });
    const agent = await openAgent(target.origin, env);
    const transport = await openTransport(target.origin, { agent, system });
    const credentials = credentialSource(env);
    const client = new S3Client({ target, credentials, transport, system, requestTimeoutMs, retryBudgetMs });
    return new S3Medium(client, { description: target.description, prefix: target.prefix, options });
  }

  /** Requests so far, every attempt counted. */
  get counts(): RequestCounts {
    return this.#client.counts;
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    this.#checkWritable(name);
    return await putIfAbsent(bytes, { client: this.#client, name, key: this.#prefix + name, headers: this.#putHeaders });
  }

  async get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    return await this.#call(name, getObject({ client: this.#client, key: this.#prefix + name, range }));
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListedObject[]> {
    return await this.#call(prefix, listObjects(this.#listContext(), prefix, options));
  }

  async listFolders(prefix: string): Promise<string[]> {
    return await this.#call(prefix, listFolders(this.#listContext(), prefix));
  }

  async delete(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    this.#checkWritable(names[0] as string);
    const keys = names.map((name) => this.#prefix + name);
    await this.#call(names[0] as string, deleteObjects(this.#client, keys));
  }

  async openAppend(name: string): Promise<AppendFile> {
    throw new PeatError('MEDIUM_UNSUITABLE', `${this.description} has no append-only files`, { file: name });
  }

  async syncNames(): Promise<void> {}

  /** In whole seconds, as servers tell it. An earlier answer would not do: how long it was on its way would count as a difference of clocks. */
  async nowMs(): Promise<number | undefined> {
    const dateMs = this.#client.send({ kind: 'head', method: 'HEAD', key: this.#prefix + STORE_FILE }, ({ headers }) =>
      Date.parse(headers.date ?? ''),
    );
    const nowMs = await this.#call(STORE_FILE, dateMs);
    return Number.isNaN(nowMs) ? undefined : nowMs;
  }

  lastAnsweredAtMs(): number | undefined {
    return this.#client.time.lastAnsweredAtMs();
  }

  /** Gives its connections back. Its callers have ended what they began; a call that is under way is tried again on a new connection. Idempotent. */
  async close(): Promise<void> {
    this.#client.close();
  }

  #listContext(): ListContext {
    return { client: this.#client, storePrefix: this.#prefix, description: this.description };
  }

  #checkWritable(name: string): void {
    if (this.#readOnly) throw new PeatError('READ_ONLY', `${this.description} was opened for reading`, { file: name });
  }

  async #call<T>(file: string, call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw publicError(error, file);
    }
  }
}

function encryptionHeaders({ encryption, kmsKeyId }: S3Options): Record<string, string> {
  return {
    ...(encryption === undefined ? {} : { 'x-amz-server-side-encryption': encryption }),
    ...(kmsKeyId === undefined ? {} : { 'x-amz-server-side-encryption-aws-kms-key-id': kmsKeyId }),
  };
}
